// Corrections of cells: what is begun, what it would come to, and what is asked of the server.

import { computed, effect, signal, untracked } from "@preact/signals";
import { get, post } from "../base/api.js";
import type { AskCorrection, Doubted } from "../base/messages.js";
import { inWords, resource } from "../base/resource.js";
import {
  at,
  cell,
  cells,
  cellsQuestion,
  chooseCell,
  expectCorrections,
  fovNumber,
  goToFov,
  isSameFov,
  picking,
  rowOfCell,
  second,
  t,
} from "../look/state.js";
import { nextDoubt } from "./walk.js";

export type Part = "all" | "this" | "from" | "until";

/** A correction that is begun. */
export type Begun =
  | { readonly kind: "join" | "parent"; readonly other: number | null }
  | { readonly kind: "cut" }
  | { readonly kind: "remove"; readonly part: Part }
  | { readonly kind: "note" };

export const begun = signal<Begun | null>(null);
export interface Said {
  readonly words: string;
  readonly isError: boolean;
  /** State of the cells that it was said of. */
  readonly turn: number;
}
/** What was corrected last, or why it was not. */
export const said = signal<Said | null>(null);
function say(words: string, isError = false): void {
  said.value = { words, isError, turn: cellsQuestion.peek()?.turn ?? 0 };
}
/** Whether the chosen cell is known not to exist, and that is news. */
export const isGone = computed(
  () =>
    cell.value !== null &&
    cells.value.value !== undefined &&
    !cells.loading.value &&
    !rowOfCell.value.has(cell.value) &&
    said.value?.turn !== cellsQuestion.value?.turn,
);
/** Whether a correction is on its way to the server. */
export const saving = signal(false);

export const doubts = resource(
  () => cellsQuestion.value,
  ({ at, fov }, abort) => get("/api/doubts", { at, fov }, abort),
  isSameFov,
);

export const edits = resource(
  () => cellsQuestion.value,
  ({ at, fov }, abort) => get("/api/edits", { at, fov }, abort),
  isSameFov,
);

// What is begun ends when another cell or position is chosen.
effect(() => {
  fovNumber.value;
  cell.value;
  at.value;
  untracked(() => {
    begun.value = null;
    said.value = null;
  });
});

effect(() => {
  const now = begun.value;
  if (now) said.value = null;
  second.value = now && "other" in now ? now.other : null;
  picking.value = now && {
    pick: "other" in now ? (other) => (begun.value = { kind: now.kind, other }) : null,
    cancel: () => (begun.value = null),
  };
});

/** What is begun as a question to the server; null as long as something is to be chosen. */
const asked = computed<AskCorrection | null>(() => {
  const [now, question, number] = [begun.value, cellsQuestion.value, cell.value];
  if (!now || !question || number === null) return null;
  const base = { at: question.at, fov: question.fov, cell: number };
  if (now.kind === "join") return now.other === null ? null : { ...base, action: "join", other: now.other };
  if (now.kind === "parent") return now.other === null ? null : { ...base, action: "parent", other: now.other };
  if (now.kind === "cut") return { ...base, action: "cut", frame: t.value };
  if (now.kind === "remove") return { ...base, action: "remove", frames: framesOf(now.part) };
  return null;
});

function framesOf(part: Part): string | null {
  const where = rowOfCell.value.get(cell.value ?? -1);
  const table = cells.value.value;
  if (part === "all" || where === undefined || !table) return null;
  if (part === "this") return String(t.value);
  const last = Math.max(table.last_frame[where] as number, t.value);
  return part === "from" ? `${t.value}-${last}` : `0-${t.value}`;
}

export const preview = resource(
  () => (asked.value ? { ...asked.value, turn: cellsQuestion.value?.turn } : null),
  ({ turn: _, ...asks }, abort) => get("/api/preview", asks, abort),
  (before, now) => before.action === now.action && before.cell === now.cell,
);

export function begin(next: Begun): void {
  if (cell.peek() === null) {
    say("Choose a cell first: click it, or press n for one that is doubted.");
    return;
  }
  begun.value = next;
}

export function beginToJoin(): void {
  begin({ kind: "join", other: null });
}

// The cell that a doubt names is proposed, also where the doubts come after the key.
effect(() => {
  const now = begun.value;
  const proposed = doubtOf(cell.value)?.other ?? null;
  if (now?.kind === "join" && now.other === null && proposed !== null) {
    begun.value = { kind: "join", other: proposed };
  }
});

export function doubtOf(number: number | null): Doubted | undefined {
  return doubts.value.value?.doubts.find((each) => each.cell === number);
}

/** Do what is begun. */
export function confirm(): void {
  if (asked.peek() && preview.value.peek()?.refused === "") void send(asked.peek() as AskCorrection);
}

export function judge(isGood: boolean, note = ""): void {
  const [question, number] = [cellsQuestion.peek(), cell.peek()];
  if (!question || number === null) {
    begin({ kind: "note" });
    return;
  }
  const action = isGood ? "good" : "bad";
  void send({ at: question.at, fov: question.fov, cell: number, action, note });
}

/** Say of a cell that it has no parent. */
export function unsetParent(): void {
  const [question, number] = [cellsQuestion.peek(), cell.peek()];
  if (!question || number === null) return;
  void send({ at: question.at, fov: question.fov, cell: number, action: "parent", other: null });
}

/** What is begun and on its way: it is not asked for twice. */
let confirmed: Begun | null = null;

async function send(asks: AskCorrection): Promise<void> {
  const now = begun.peek();
  if (now && now === confirmed) return;
  confirmed = now;
  await change(asks.fov, asks.cell, () => post("/api/correct", asks), "");
}

export function undo(name: string | null = null): void {
  const question = cellsQuestion.peek();
  if (!question) return;
  const asks = { at: question.at, fov: question.fov, name };
  void change(asks.fov, cell.peek(), () => post("/api/undo", asks), "undone: ");
}

export function redo(name: string | null = null): void {
  const question = cellsQuestion.peek();
  if (!question) return;
  const asks = { at: question.at, fov: question.fov, name };
  void change(asks.fov, cell.peek(), () => post("/api/redo", asks), "done again: ");
}

type Answer = { readonly words: readonly string[]; readonly cell: number | null };

/** Ask for a change, one at a time in the order of the keys, and tell what came of it. */
function change(fov: number, number: number | null, ask: () => Promise<Answer>, how: string) {
  waiting = waiting.then(async () => {
    saving.value = true;
    try {
      const done = await ask();
      expectCorrections(fov);
      if (fovNumber.peek() === fov && cell.peek() === number) {
        begun.value = null;
        if (done.cell !== number) chooseCell(done.cell);
      }
      say(how + done.words.join("; "));
    } catch (reason) {
      confirmed = null;
      say(inWords(reason), true);
    } finally {
      saving.value = false;
    }
  });
  return waiting;
}
let waiting: Promise<void> = Promise.resolve();

// The walk through what is doubted

/** The list in which the chosen cell was last, for cells leave it when they are judged. */
let remembered: readonly Doubted[] = [];
effect(() => {
  const all = doubts.value.value?.doubts ?? [];
  if (all.some((each) => each.cell === cell.value)) remembered = all;
});
/** What is done as soon as the doubts of a position are known. */
let onceKnown: (() => void) | null = null;
effect(() => {
  fovNumber.value;
  remembered = [];
  onceKnown = null;
});
let wasAtEnd = false;

/** Go to the next cell that is doubted, or the one before. */
export function walk(by: 1 | -1, positions: readonly number[]): void {
  const all = doubts.value.peek()?.doubts;
  if (!all) {
    onceKnown = () => walk(by, positions);
    return;
  }
  const next = nextDoubt(all, remembered, cell.peek(), by);
  if (next) {
    wasAtEnd = false;
    chooseCell(next.cell, next.frame);
    return;
  }
  const place = positions.indexOf(fovNumber.peek() ?? -1);
  const beyond = positions[place + by];
  const key = by > 0 ? "n" : "p";
  if (wasAtEnd && beyond !== undefined) {
    wasAtEnd = false;
    goToFov(beyond);
    onceKnown = () => goToFirst(key);
    return;
  }
  wasAtEnd = true;
  const what = all.length ? "No further cell of this position is doubted" : "No cell of this position is doubted";
  const then = beyond === undefined ? ", and it is the last in the list." : `; ${key} again goes to position ${beyond}.`;
  say(what + then);
}

effect(() => {
  const act = onceKnown;
  if (!doubts.value.value || doubts.loading.value || !act) return;
  onceKnown = null;
  untracked(act);
});

function goToFirst(key: string): void {
  const first = nextDoubt(doubts.value.peek()?.doubts ?? [], [], null, 1);
  if (first) chooseCell(first.cell, first.frame);
  else {
    wasAtEnd = true;
    say(`No cell of this position is doubted; ${key} again goes on.`);
  }
}

effect(() => {
  cell.value;
  wasAtEnd = false;
});
