// Something that is fetched when what it depends on changes. The old content stays until the new is
// there, requests that went stale are aborted, and errors are words.

import { effect, signal, untracked, type ReadonlySignal } from "@preact/signals";
import { isAbort } from "./api.js";

export interface Resource<T> {
  /** The newest content there is; of before, while the new is on its way. */
  readonly value: ReadonlySignal<T | undefined>;
  readonly error: ReadonlySignal<string>;
  readonly loading: ReadonlySignal<boolean>;
  /** Fetch again, for the same question. */
  reload(): void;
}

/**
 * @param question What is to be fetched, or null for nothing. Signals that it reads are followed.
 * @param fetchIt Fetches the answer.
 * @param keeps Whether the old content is still of use while a question is answered.
 */
export function resource<Q, T>(
  question: () => Q | null,
  fetchIt: (question: Q, signal: AbortSignal) => Promise<T>,
  keeps: (before: Q, now: Q) => boolean = () => true,
): Resource<T> {
  const value = signal<T | undefined>(undefined);
  const error = signal("");
  const loading = signal(false);
  const turn = signal(0);
  let before: Q | null = null;
  effect(() => {
    turn.value;
    const asked = question();
    if (asked === null || (before !== null && !keeps(before, asked))) value.value = undefined;
    before = asked;
    error.value = "";
    loading.value = asked !== null;
    if (asked === null) return;
    const controller = new AbortController();
    untracked(() => fetchIt(asked, controller.signal)).then(
      (found) => {
        if (controller.signal.aborted) return;
        loading.value = false;
        value.value = found;
      },
      (reason: unknown) => {
        if (controller.signal.aborted || isAbort(reason)) return;
        loading.value = false;
        value.value = undefined;
        error.value = inWords(reason);
      },
    );
    return () => controller.abort();
  });
  return {
    value,
    error,
    loading,
    reload: () => {
      turn.value += 1;
    },
  };
}

export function inWords(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}
