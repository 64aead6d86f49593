// Something that is computed with what is set, again whenever that changes. One question is
// underway at a time; of those that come meanwhile only the newest is asked. What was found stays
// until the next is there, also when that is an error.

import { effect, signal, untracked, type ReadonlySignal } from "@preact/signals";
import { inWords } from "../base/resource.js";

export interface Trying<T> {
  readonly found: ReadonlySignal<T | null>;
  /** Why there is nothing newer, in words. */
  readonly problem: ReadonlySignal<string>;
  readonly isBusy: ReadonlySignal<boolean>;
  end(): void;
}

interface Tried<T> {
  readonly found: T | null;
  readonly problem: string;
}

/**
 * @param question What to ask, or null for nothing; signals that it reads are followed.
 * @param ask Asks it.
 * @param refine Asks for what is better than was found, and takes longer; null if nothing is.
 * @param isOther Whether what was found for a question says nothing of another.
 */
export function trying<Q, T>(
  question: () => Q | null,
  ask: (question: Q) => Promise<Tried<T>>,
  isOther: (before: Q, now: Q) => boolean = () => false,
  refine: (question: Q, found: T) => Promise<Tried<T>> | null = () => null,
): Trying<T> {
  const found = signal<T | null>(null);
  const problem = signal("");
  const isBusy = signal(false);
  let newest: Q | null = null;
  let isAsked = true;
  const answer = async (asks: () => Promise<Tried<T>>): Promise<Tried<T>> => {
    try {
      return await asks();
    } catch (reason) {
      return { found: null, problem: inWords(reason) };
    }
  };
  const take = (mine: Q, told: Tried<T>) => {
    if (newest === null || (newest !== mine && isOther(mine, newest))) return;
    problem.value = told.problem;
    if (told.found) found.value = told.found;
  };
  const next = async (): Promise<void> => {
    if (isBusy.peek() || newest === null || isAsked) return;
    const mine = newest;
    isAsked = true;
    isBusy.value = true;
    const told = await answer(() => ask(mine));
    take(mine, told);
    // Nobody waits for better of what was set before.
    const better = told.found && newest === mine ? refine(mine, told.found) : null;
    if (better) take(mine, await answer(() => better));
    isBusy.value = false;
    await next();
  };
  const end = effect(() => {
    const now = question();
    untracked(() => {
      if (now === null || (newest !== null && isOther(newest, now))) {
        found.value = null;
        problem.value = "";
      }
      newest = now;
      isAsked = now === null;
      void next();
    });
  });
  return { found, problem, isBusy, end };
}
