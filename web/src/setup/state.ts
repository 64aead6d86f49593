// What is set up: a file, what is known of it, and what is to be done with it. The server keeps it
// as `run.yaml`; here it is changed, and saved a moment later.

import { computed, effect, signal, untracked } from "@preact/signals";
import { get, post } from "../base/api.js";
import { address, part } from "../base/address.js";
import type { ChosenChannels, Draft, Reading, Saved } from "../base/messages.js";
import { inWords, resource } from "../base/resource.js";

const SAVED_AFTER_MS = 350;
/** Places in which a file is prepared for a run. */
export const PLACES_OF_IT: readonly string[] = ["setup", "tune"];
/** The file, or a folder of outputs of it. */
export const at = computed(() =>
  PLACES_OF_IT.includes(address.value["place"] ?? "") ? part("at").value : "",
);
const outAsked = part("out");

export const AS_IT_SAYS: Reading = {
  z: "", axes: "", sizes: "", pattern: "", outside: false, numbering: "",
};
/** How the file is read, as a person said. */
export const reading = signal<Reading>(AS_IT_SAYS);

const turn = signal(0);

/** Ask everything of the file again, such as after it was replaced. */
export function readAgain(): void {
  turn.value += 1;
}

interface Question {
  readonly at: string;
  readonly out: string;
  readonly reading: Reading;
  readonly turn: number;
}

const question = computed<Question | null>(() =>
  at.value
    ? { at: at.value, out: outAsked.value, reading: reading.value, turn: turn.value }
    : null,
);

/** What every question about the file says. */
export function asked(q: { at: string; out: string; reading: Reading }) {
  return { at: q.at, out: q.out, ...q.reading };
}
export const base = computed(() => (question.value ? asked(question.value) : null));

const isSame = (a: Question, b: Question) => a.at === b.at && a.out === b.out;

export const source = resource(
  () => question.value,
  (q, abort) => get("/api/source", asked(q), abort),
  isSame,
);
/** Whether the file can be read at all. */
const isRead = computed(() => (source.value.value ? question.value : null));
export const look = resource(
  () => isRead.value,
  (q, abort) => get("/api/source/look", asked(q), abort),
  isSame,
);
export const stored = resource(
  () => isRead.value,
  (q, abort) => get("/api/draft", asked(q), abort),
  isSame,
);

// The draft

const changedDraft = signal<Draft | null>(null);
export const draft = computed<Draft | null>(
  () => changedDraft.value ?? stored.value.value?.draft ?? null,
);
/** What the server said when it was saved last. */
export const saved = signal<Saved | null>(null);
export const saving = signal<"" | "waits" | "underway">("");
export const saveError = signal("");

// Another file, or another folder: nothing of the last one holds. What is not saved yet, is.
effect(() => {
  at.value;
  outAsked.value;
  untracked(() => {
    if (saving.peek() === "waits") void flush();
    changedDraft.value = null;
    saved.value = null;
    saveError.value = "";
    reading.value = AS_IT_SAYS;
  });
});

let timer = 0;
let goal: { at: string; out: string; draft: Draft } | null = null;
let underway: Promise<void> = Promise.resolve();

/** Change what is to be done; it is saved a moment later. */
export function change(parts: Partial<Draft>): void {
  const now = draft.peek();
  if (!now) return;
  const next = { ...now, ...parts };
  changedDraft.value = next;
  goal = { at: at.peek(), out: outAsked.peek(), draft: next };
  saving.value = "waits";
  clearTimeout(timer);
  timer = window.setTimeout(() => void flush(), SAVED_AFTER_MS);
}

/** Save what is not saved yet; true if all is. */
export async function flush(evenUnchanged = false): Promise<boolean> {
  clearTimeout(timer);
  const now = draft.peek();
  if (!goal && evenUnchanged && now) goal = { at: at.peek(), out: outAsked.peek(), draft: now };
  if (goal) {
    const what = goal;
    goal = null;
    saving.value = "underway";
    underway = underway.then(async () => {
      try {
        const told = await post("/api/draft/save", { ...asked({ ...what, reading: what.draft.reading }), draft: what.draft });
        if (what.at === at.peek()) {
          saved.value = told;
          saveError.value = "";
        }
      } catch (reason) {
        saveError.value = inWords(reason);
      }
    });
  }
  await underway;
  if (!goal) saving.value = "";
  return saveError.peek() === "";
}

window.addEventListener("pagehide", () => void flush());

// Channels

/** In which channel cells are found. */
export const cells = computed(() => draft.value?.channels.pc ?? draft.value?.channels.segment ?? null);

export type Role = "none" | "pc" | "segment" | "nuclei";

export function roleOf(channels: ChosenChannels, channel: number): Role {
  if (channels.pc === channel) return "pc";
  if (channels.segment === channel) return "segment";
  return channels.nuclei === channel ? "nuclei" : "none";
}

export function withRole(channels: ChosenChannels, channel: number, role: Role): ChosenChannels {
  const free = (value: number | null) => (value === channel ? null : value);
  const next = { ...channels, pc: free(channels.pc), segment: free(channels.segment), nuclei: free(channels.nuclei) };
  if (role === "pc") {
    return { ...next, pc: channel, segment: null, fl: next.fl.filter((each) => each !== channel) };
  }
  if (role === "segment") return { ...next, segment: channel, pc: null };
  return role === "nuclei" ? { ...next, nuclei: channel } : next;
}

export function withMeasured(
  channels: ChosenChannels, channel: number, isMeasured: boolean,
): ChosenChannels {
  const rest = channels.fl.filter((each) => each !== channel);
  return { ...channels, fl: isMeasured ? [...rest, channel].sort((a, b) => a - b) : rest };
}

// Sections of steps

/** A parameter of a step, as far as it is not the default. */
export function given(step: string, name: string): unknown {
  return draft.value?.steps[step]?.[name];
}

export function setParameter(step: string, name: string, value: unknown): void {
  const steps = draft.peek()?.steps ?? {};
  const section: Record<string, unknown> = { ...steps[step] };
  if (value === undefined) delete section[name];
  else section[name] = value;
  change({ steps: { ...steps, [step]: section } });
}
