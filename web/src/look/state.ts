// What is looked at: read from the address, fetched from the server, kept here for all parts of Look.

import { computed, effect, signal, untracked } from "@preact/signals";
import { get } from "../base/api.js";
import { formatContrasts, formatWords, parseContrasts, readWords } from "./words.js";
import { go, numberPart, part, resultsIn, shift } from "../base/address.js";
import { column } from "../base/binary.js";
import { ofChannel, ofSample } from "../base/colours.js";
import { onEvent } from "../base/events.js";
import type { Count, FovRow, Layer } from "../base/messages.js";
import { resource } from "../base/resource.js";
import { Frames } from "../picture/frames.js";
import { makeTraces, type Traces } from "../traces/traces.js";

// The address

export const at = computed(() => resultsIn("look"));
const fovPart = numberPart("fov");
const tPart = numberPart("t");
export const cell = numberPart("cell");

/** Goes up when something on disk changed: samples or records, the field of view, its cells. */
const changedResults = signal(0);
const changedFov = signal(0);
const changedCells = signal(0);

// What is fetched

export const overview = resource(
  () => (at.value ? { at: at.value, turn: changedResults.value } : null),
  ({ at }, abort) => get("/api/overview", { at }, abort),
  (before, now) => before.at === now.at,
);

/** The field of view that is looked at: that of the address, or the first of all. */
export const fovNumber = computed(() => {
  const rows = overview.value.value?.fovs ?? [];
  const asked = fovPart.value;
  if (asked !== null) return asked;
  return rows[0]?.fov ?? null;
});

const question = computed(() =>
  at.value && fovNumber.value !== null
    ? { at: at.value, fov: fovNumber.value, turn: changedFov.value }
    : null,
);
/** The same, asked again when cells were corrected. */
export const cellsQuestion = computed(() => {
  const asked = question.value;
  return asked && { ...asked, turn: asked.turn + changedCells.value };
});
export const isSameFov = (a: { at: string; fov: number }, b: { at: string; fov: number }) =>
  a.at === b.at && a.fov === b.fov;

export const fov = resource(
  () => question.value,
  ({ at, fov }, abort) => get("/api/fov", { at, fov }, abort),
  isSameFov,
);

export const cells = resource(
  () => cellsQuestion.value,
  ({ at, fov }, abort) => get("/api/cells", { at, fov }, abort),
  isSameFov,
);

/** The frame that is looked at. */
export const t = computed(() => {
  const n = fov.value.value?.n_frames ?? 0;
  const asked = tPart.value ?? 0;
  return n ? Math.min(asked, n - 1) : asked;
});

// Columns

/** The column of the traces that is drawn: that of the address, or the brightness of a channel. */
export const shownColumn = computed(() => {
  const known = fov.value.value?.columns ?? [];
  const asked = part("column").value;
  if (known.includes(asked)) return asked;
  return known.find((name) => name.startsWith("intensity_total_")) ?? known[0] ?? "";
});

export const traces = resource(
  () => {
    const asked = cellsQuestion.value;
    return asked && shownColumn.value ? { ...asked, column: shownColumn.value } : null;
  },
  async ({ at, fov, column: name }, abort): Promise<Traces> => {
    const table = await get("/api/traces", { at, fov, columns: [name] }, abort);
    return makeTraces(
      column(table, "cell") as Int32Array,
      column(table, "frame") as Int32Array,
      table.get("time_min") as Float32Array | undefined,
      column(table, name) as Float32Array,
      column(table, "position_x") as Float32Array,
      column(table, "position_y") as Float32Array,
    );
  },
  isSameFov,
);

/** Whether only good cells are drawn. */
export const goodOnly = computed(() => part("good").value === "1");
/** Samples that are left out where samples are compared. */
const withoutPart = part("without");
export const leftOut = computed<ReadonlySet<string>>(
  () => new Set(withoutPart.value ? readWords(withoutPart.value) : []),
);
export function toggleSample(sample: string): void {
  const next = new Set(leftOut.peek());
  if (!next.delete(sample)) next.add(sample);
  shift({ without: formatWords([...next]) });
}
/** Whether samples are compared, instead of the cells of the field of view. */
export const bySample = computed(() => part("scope").value === "samples");

export const courses = resource(
  () => {
    const asked = cellsQuestion.value;
    if (!asked || !shownColumn.value) return null;
    return {
      ...asked,
      turn: asked.turn + changedResults.value,
      column: shownColumn.value,
      fovs: bySample.value ? [] : [asked.fov],
      time: traces.value.value?.unit === "frame" ? ("frame" as const) : ("time_h" as const),
    };
  },
  ({ at, column, fovs, time }, abort) =>
    get("/api/courses", { at, column, fovs, time, good: true }, abort),
  (before, now) => before.at === now.at && before.column === now.column
    && String(before.fovs) === String(now.fovs),
);

// Counts of cells, fetched for what is seen of the list

export const counts = signal<ReadonlyMap<number, Count>>(new Map());
const wantedCounts = new Set<number>();
let isCounting = false;
const COUNTED_AT_ONCE = 8;

export function wantCount(number: number): void {
  if (counts.peek().has(number) || wantedCounts.has(number)) return;
  wantedCounts.add(number);
  if (!isCounting) void countWanted();
}

async function countWanted(): Promise<void> {
  isCounting = true;
  await Promise.resolve();
  while (wantedCounts.size) {
    const folder = at.peek();
    const fovs = [...wantedCounts].slice(0, COUNTED_AT_ONCE);
    for (const number of fovs) wantedCounts.delete(number);
    try {
      const found = await get("/api/counts", { at: folder, fovs });
      if (folder !== at.peek()) continue;
      counts.value = new Map([...counts.peek(), ...found.counts.map((c) => [c.fov, c] as const)]);
    } catch {
      wantedCounts.clear(); // The list shows what the records say; the server is told of elsewhere.
    }
  }
  isCounting = false;
}

// Frames

export const frames = new Frames();

effect(() => {
  at.value;
  counts.value = new Map();
  wantedCounts.clear();
});

/** What others wait for who have corrected cells themselves. */
const heard = new Set<() => void>();

onEvent((event) => {
  if (event.kind === "missed") {
    cellsChanged(null);
    changedResults.value += 1;
    changedFov.value += 1;
    frames.forget(() => true);
    return;
  }
  if (event.kind !== "results" || event.at !== at.peek()) return;
  frames.retry();
  if (event.corrections) {
    for (const each of [...heard]) each();
    cellsChanged(event.corrected);
  }
  if (event.samples || event.fovs.length) changedResults.value += 1;
  counts.value = without(counts.peek(), event.fovs);
  const shown = fovNumber.peek();
  if (shown !== null && event.fovs.includes(shown)) {
    changedFov.value += 1;
    frames.forget((key) => key.includes(`|${shown}|`));
  }
});

function without(known: ReadonlyMap<number, Count>, fovs: readonly number[]) {
  return fovs.length ? new Map([...known].filter(([number]) => !fovs.includes(number))) : known;
}

/** Look anew at the cells of some fields of view, or of all. */
function cellsChanged(fovs: readonly number[] | null): void {
  counts.value = fovs ? without(counts.peek(), fovs) : new Map();
  const shown = fovNumber.peek();
  if (fovs && shown !== null && !fovs.includes(shown)) {
    if (bySample.peek()) changedCells.value += 1;
    return;
  }
  changedCells.value += 1;
  frames.forget((key) => key.includes(`|${shown}|labels|`));
}

const EVENT_MS = 700;

/** Look anew at cells that this page corrected, should no event tell of it soon. */
export function expectCorrections(fov: number): void {
  const done = () => {
    window.clearTimeout(timer);
    heard.delete(done);
  };
  const timer = window.setTimeout(() => {
    done();
    cellsChanged([fov]);
  }, EVENT_MS);
  heard.add(done);
}

// Layers: which are shown, how

export interface ShownLayer {
  readonly layer: Layer;
  readonly id: string;
  readonly title: string;
  readonly isShown: boolean;
  readonly low: number;
  readonly high: number;
  readonly colour: string;
}

/** A layer by a word of the address: `phase`, `GFP`, or `GFP~raw`. */
export function idOf(layer: Layer): string {
  if (layer.kind === "phase") return "phase";
  return layer.kind === "raw" ? `${layer.channel}~raw` : layer.channel;
}

/** Contrasts that a person set, by layer, as the address tells. */
const contrastPart = part("contrast");
const contrasts = computed(() => parseContrasts(contrastPart.value));

export function setContrast(id: string, limits: readonly [number, number] | null): void {
  const next = new Map(contrasts.peek());
  if (limits) next.set(id, limits);
  else next.delete(id);
  shift({ contrast: formatContrasts(next) });
}

/** The raw form of channels whose corrected form is shown, is not listed beside it. */
export const layers = computed<readonly ShownLayer[]>(() => {
  const all = fov.value.value?.layers ?? [];
  const asked = part("show").value;
  const words = asked ? readWords(asked) : null;
  const channels = [...new Set(all.filter((l) => l.kind !== "phase").map((l) => l.channel))];
  const rows: ShownLayer[] = [];
  const add = (layer: Layer, isShown: boolean, colour: string): void => {
    const id = idOf(layer);
    const [low, high] = contrasts.value.get(id) ?? [layer.low, layer.high];
    const title = layer.kind === "phase" ? "phase" : layer.channel;
    rows.push({ layer, id, title, isShown, low, high, colour });
  };
  const phase = all.find((layer) => layer.kind === "phase");
  if (phase) add(phase, words ? words.includes("phase") : true, "#ffffff");
  channels.forEach((channel, i) => {
    const raw = all.find((layer) => layer.kind === "raw" && layer.channel === channel);
    const corrected = all.find((l) => l.kind === "corrected" && l.channel === channel);
    const isRaw = words?.includes(`${channel}~raw`) || isRawHidden(channel);
    const layer = (isRaw ? raw : corrected) ?? raw ?? corrected;
    if (!layer) return;
    const isShown = words
      ? words.includes(channel) || words.includes(`${channel}~raw`)
      : !phase && i === 0;
    add(layer, isShown, ofChannel(layer.emission_nm, i));
  });
  return rows;
});

/** Channels that are not shown, and would be shown raw. */
const rawHidden = signal<ReadonlySet<string>>(new Set());
function isRawHidden(channel: string): boolean {
  return rawHidden.value.has(channel);
}

export function hasBoth(channel: string): boolean {
  const all = fov.value.value?.layers ?? [];
  return ["raw", "corrected"].every((kind) =>
    all.some((layer) => layer.kind === kind && layer.channel === channel),
  );
}

function show(rows: readonly ShownLayer[]): void {
  const words = rows.filter((row) => row.isShown).map((row) => row.id);
  shift({ show: words.length ? formatWords(words) : "none" });
}

export function toggleLayer(id: string): void {
  show(layers.value.map((row) => (row.id === id ? { ...row, isShown: !row.isShown } : row)));
}

/** Show a channel raw, or corrected. */
export function setRaw(channel: string, raw: boolean): void {
  const rest = [...rawHidden.value].filter((each) => each !== channel);
  const rows = layers.value.map((row) =>
    row.layer.channel === channel ? { ...row, id: raw ? `${channel}~raw` : channel } : row,
  );
  rawHidden.value = new Set(raw ? [...rest, channel] : rest);
  show(rows);
}

// Outlines

export const OUTLINES = ["verdict", "cell", "sample", "none"] as const;
export type Outlines = (typeof OUTLINES)[number];

export const outlines = computed<Outlines>(() => {
  const asked = part("outlines").value as Outlines;
  return OUTLINES.includes(asked) ? asked : "verdict";
});

export const row = computed<FovRow | undefined>(() =>
  overview.value.value?.fovs.find((each) => each.fov === fovNumber.value),
);

/** The colour of a sample, by its place among all, those included that have no results yet. */
export function sampleColour(sample: string): string {
  const known = overview.value.value?.samples.find((each) => each.sample === sample);
  return ofSample(known?.place ?? 0);
}

// Cells

/** Row of each cell in the table of cells. */
export const rowOfCell = computed<ReadonlyMap<number, number>>(() => {
  const numbers = cells.value.value?.cell ?? [];
  return new Map(numbers.map((number, i) => [number, i]));
});

/** The cell that the mouse is over, in the picture, the traces or the table. */
export const hovered = signal<number | null>(null);

// Going about

export function goToFrame(frame: number): void {
  // While a position is still being read, the movie as a whole tells how long it can be.
  const n = fov.value.peek()?.n_frames || overview.value.peek()?.n_frames || 1;
  shift({ t: Math.max(0, Math.min(frame, n - 1)) });
}

/** What is done with the next cell that is clicked, in place of choosing it. */
export interface Picking {
  readonly pick: ((cell: number) => void) | null;
  readonly cancel: () => void;
}
export const picking = signal<Picking | null>(null);
/** A second cell that is shown like the chosen one. */
export const second = signal<number | null>(null);

/** End what was begun, or choose no cell. */
export function escape(): void {
  if (picking.peek()) picking.peek()?.cancel();
  else chooseCell(null);
}

/** Choose a cell; its frame moves only if it is not seen in the one that is shown. */
export function chooseCell(number: number | null, frame?: number): void {
  const pick = picking.peek()?.pick;
  if (pick && number !== cell.peek()) {
    if (number !== null) pick(number);
    return;
  }
  const where = number === null ? null : untracked(() => rowOfCell.value.get(number));
  let goal = frame ?? t.peek();
  if (where !== null && where !== undefined && frame === undefined) {
    const table = cells.value.peek();
    const [first = 0, last = 0] = [table?.first_frame[where], table?.last_frame[where]];
    if (goal < first || goal > last) goal = first;
  }
  go({ cell: number, t: goal });
}

export function goToFov(number: number): void {
  go({ fov: number, cell: null });
}
