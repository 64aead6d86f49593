// What is looked at while parameters are chosen, and what the server finds with them. The
// parameters themselves are those of Set up: what is changed here is what a run will do.

import { computed, effect, signal } from "@preact/signals";
import { address, numberPart, part, shift } from "../base/address.js";
import { get, post } from "../base/api.js";
import type { Pixels } from "../base/binary.js";
import type { AskSource, Control, Draft, Method, Methods, Outlines } from "../base/messages.js";
import { resource } from "../base/resource.js";
import { Frames } from "../picture/frames.js";
import { parseView, type Size, type View, fitting, formatView, levelFor } from "../picture/view.js";
import { asked, at, base, cells, change, draft, source } from "../setup/state.js";
import { trying, type Trying } from "./trying.js";

/** What a page is called, so that what it asks for next takes the place of what it asked before. */
const PAGE = crypto.randomUUID();

export const SHOWS = ["cells", "three", "background", "tracks"] as const;
export type Show = (typeof SHOWS)[number];

const isHere = computed(() => address.value["place"] === "tune");

export const methods = resource(
  () => (isHere.value ? true : null),
  (_, abort) => get("/api/tune/methods", {}, abort),
);

// Where

const fovPart = numberPart("fov");
const tPart = numberPart("t");
const showPart = part("show");
const viewPart = part("view");

export const fovs = computed(() => (source.value.value?.fovs ?? []).filter((each) => each.n_frames));
export const fov = computed(
  () => fovs.value.find((each) => each.fov === fovPart.value) ?? fovs.value[0] ?? null,
);
export const last = computed(() => Math.max((fov.value?.n_frames ?? 1) - 1, 0));
export const t = computed(() => Math.min(tPart.value ?? 0, last.value));
export const show = computed<Show>(() => SHOWS.find((each) => each === showPart.value) ?? "cells");
export const outlinesShown = signal(true);

export const image = computed<Size | null>(() => {
  const now = fov.value;
  return now && now.width ? { width: now.width, height: now.height } : null;
});

export function goTo(frame: number): void {
  shift({ t: Math.min(Math.max(frame, 0), last.peek()) });
}

export function showAs(next: Show): void {
  shift({ show: next === "cells" ? null : next });
}

export function goToFov(number: number): void {
  shift({ fov: number, view: null });
}

/** First, middle and last frame, each once. */
export const three = computed(() =>
  [...new Set([0, Math.floor((last.value + 1) / 2), last.value])].sort((a, b) => a - b),
);

// Which part of the image is seen: the same in all pictures.

export const size = signal<Size>({ width: 0, height: 0 });
const chosenView = computed<View | null>(() => parseView(viewPart.value));
export const view = computed<View | null>(() => {
  if (!image.value || !size.value.width) return null;
  return chosenView.value ?? fitting(image.value, size.value);
});
export const level = computed(() => (view.value ? levelFor(view.value.scale) : 0));
export function setView(next: View | null): void {
  shift({ view: next && formatView(next) });
}

// Frames of the file

interface Place {
  readonly base: AskSource;
  readonly fov: number;
}
const place = computed<Place | null>(() =>
  isHere.value && base.value && fov.value && draft.value
    ? { base: asked({ ...base.value, reading: draft.value.reading }), fov: fov.value.fov }
    : null,
);
const placeKey = computed(() => JSON.stringify(place.value));

export const frames = new Frames((asks, abort) => {
  const now = place.peek();
  if (!now) return Promise.reject(new Error("no file is open"));
  const { fov: number, t: frame, level: size = 0, channel = "0" } = asks;
  return get(
    "/api/source/frame",
    { ...now.base, fov: number, channel: Number(channel), t: frame, level: size },
    abort,
  );
});

/** The name under which a frame of the file is kept. */
export function askFrame(channel: number, frame: number) {
  return {
    at: placeKey.value, fov: place.value?.fov ?? 0, kind: "raw" as const,
    channel: String(channel), t: frame, level: level.value,
  };
}

export const cellRange = resource(
  () => (place.value && cells.value !== null ? { ...place.value, channel: cells.value } : null),
  (q, abort) => get("/api/source/range", { ...q.base, fov: q.fov, channel: q.channel }, abort),
);

// What is found

interface Question {
  readonly key: string;
  readonly base: AskSource;
  readonly draft: Draft;
  readonly fov: number;
  readonly t: number;
}

/** What decides on labels, and no more: what else is set does not let them be found again. */
const setting = computed(() => {
  const now = draft.value;
  if (!now || !place.value || (now.channels.pc === null && now.channels.segment === null)) return null;
  return { ...place.value, draft: now };
});

function ask(frame: number, ...steps: readonly string[]): Question | null {
  const now = setting.value;
  if (!now) return null;
  const parts = steps.map((step) => now.draft.steps[step] ?? {});
  const key = JSON.stringify([placeKey.value, now.draft.channels, parts, frame]);
  return { key, base: now.base, draft: now.draft, fov: now.fov, t: frame };
}

const isElsewhere = (a: Question, b: Question) =>
  JSON.stringify([a.base, a.fov]) !== JSON.stringify([b.base, b.fov]);

/** Follow what is found in a frame; each of the three side by side has a name of its own. */
function outlinesOf(name: string, frame: () => number | null): Trying<Outlines> {
  let before: Question | null = null;
  const question = computed(() => {
    const number = frame();
    const now = number === null ? null : ask(number, "segmentation");
    if (now && before?.key === now.key) return before;
    before = now;
    return now;
  });
  const find = (q: Question, in_haste: boolean) =>
    post("/api/tune/outlines", {
      ...q.base, draft: q.draft, page: `${PAGE} ${name}`, fov: q.fov, t: q.t, in_haste,
    });
  return trying(
    () => question.value,
    (q) => find(q, true),
    isElsewhere,
    (q, found) => (found.is_rough ? find(q, false) : null),
  );
}

const isOne = computed(() => isHere.value && show.value !== "three");
export const one = outlinesOf("one", () => (isOne.value ? t.value : null));
export const side = [0, 1, 2].map((i) =>
  outlinesOf(`side ${i}`, () => (isHere.value && show.value === "three" ? (three.value[i] ?? null) : null)),
);

// Fluorescence

export const measured = computed(() => draft.value?.channels.fl ?? []);
const channelPart = numberPart("channel");
export const channel = computed<number | null>(() =>
  measured.value.includes(channelPart.value ?? -1) ? channelPart.value : (measured.value[0] ?? null),
);
let lastCorrection: (Question & { channel: number }) | null = null;
const correctionAsked = computed(() => {
  if (!isHere.value || show.value !== "background" || channel.value === null) return null;
  const now = ask(t.value, "segmentation", "correction");
  if (!now) return null;
  const next = { ...now, channel: channel.value };
  if (lastCorrection && lastCorrection.key === next.key && lastCorrection.channel === next.channel) {
    return lastCorrection;
  }
  lastCorrection = next;
  return next;
});
export const correction = trying(
  () => correctionAsked.value,
  (q) =>
    post("/api/tune/background", {
      ...q.base, draft: q.draft, page: PAGE, fov: q.fov, t: q.t, channel: q.channel,
    }),
  (a, b) => isElsewhere(a, b) || a.channel !== b.channel,
);

// Tracks: on demand, for they take longer

const tracksAsked = signal<Question | null>(null);
export const tracks = trying(
  () => tracksAsked.value,
  (q) => post("/api/tune/tracks", { ...q.base, draft: q.draft, page: PAGE, fov: q.fov, t: q.t }),
  isElsewhere,
);
/** Whether the tracks are of what is set now. */
export const tracksAreNew = computed(() => {
  const now = tracksAsked.value && ask(tracksAsked.value.t, "segmentation", "tracking", "correction");
  return now !== null && now.key === tracksAsked.value?.key;
});
export function followCells(): void {
  tracksAsked.value = ask(t.peek(), "segmentation", "tracking", "correction");
  showAs("tracks");
}
export const paths = resource(
  () => tracks.found.value?.number ?? null,
  (number, abort) => get("/api/tune/paths", { number }, abort),
);
// Of another position, or with nobody there to see them, they are of no use.
effect(() => {
  placeKey.value;
  tracksAsked.value = null;
});

// Pictures that were computed

const readings = new Map<string, Pixels>();
const news = signal(0);
const underway = new Set<string>();
const failed = new Set<string>();
const MOST_READINGS = 24;

/** A picture that was computed, as soon as it is here; `undefined` until then. */
export function readingOf(number: number, name: string, size: number): Pixels | undefined {
  news.value;
  const key = `${number} ${name} ${size}`;
  const known = readings.get(key);
  if (!known && !underway.has(key) && !failed.has(key)) {
    underway.add(key);
    get("/api/tune/reading", { number, name, level: size }).then(
      (pixels) => {
        readings.set(key, pixels);
        for (const oldest of [...readings.keys()].slice(0, -MOST_READINGS)) readings.delete(oldest);
        underway.delete(key);
        news.value += 1;
      },
      () => {
        underway.delete(key);
        failed.add(key);
        news.value += 1;
      },
    );
  }
  return known;
}

// Methods and parameters

export type Step = "segmentation" | "correction" | "tracking";

export function methodOf(step: Step): string {
  const known: Methods | undefined = methods.value.value;
  const given = draft.value?.steps[step]?.["method"];
  if (typeof given === "string") return given;
  const isOther = step === "segmentation" && draft.value?.channels.pc === null;
  return known?.usual[isOther ? "segmentation of another channel" : step] ?? "";
}

export function known(step: Step): Method | null {
  const name = methodOf(step);
  return methods.value.value?.[step].find((each) => each.name === name) ?? null;
}

/** Choose a method; what it has in common with the one before stays. */
export function chooseMethod(step: Step, name: string): void {
  const now = draft.peek();
  const next = methods.value.peek()?.[step].find((each) => each.name === name);
  if (!now || !next) return;
  const before = now.steps[step] ?? {};
  const section: Record<string, unknown> = { method: name };
  for (const { name: each } of next.controls) if (each in before) section[each] = before[each];
  change({ steps: { ...now.steps, [step]: section } });
}

export function valueOf(step: Step, control: Control): unknown {
  const section = draft.value?.steps[step];
  return section && control.name in section ? section[control.name] : control.default;
}

/** Set a parameter; its default is left out, as nobody chose it. */
export function setValue(step: Step, control: Control, value: unknown): void {
  const now = draft.peek();
  if (!now) return;
  const section: Record<string, unknown> = { ...now.steps[step], method: methodOf(step) };
  if (value === control.default) delete section[control.name];
  else section[control.name] = value;
  change({ steps: { ...now.steps, [step]: section } });
}

// The ruler

/** What the cell diameter is, in pixels: as it was given or found. */
export const diameter = computed(() => current.value?.cell_diameter ?? null);
/** What was found in the frame that is looked at first. */
export const current = computed(() => (show.value === "three" ? (side[0] as Trying<Outlines>) : one).found.value);

export const ruled = computed<Control | null>(
  () => known("segmentation")?.controls.find((each) => each.name === "cell_diameter") ?? null,
);

/** Set the diameter to so many pixels: as a length, where a length stands there. */
export function setDiameter(pixels: number): void {
  const control = ruled.peek();
  if (!control) return;
  const [low, high] = [control.low ?? 1, control.high ?? Infinity];
  const rounded = Math.round(Math.min(Math.max(pixels, low), high));
  const size = source.value.peek()?.pixel_size_um;
  const isLength = typeof valueOf("segmentation", control) === "string" &&
    valueOf("segmentation", control) !== "auto";
  setValue("segmentation", control, isLength && size ? `${(rounded * size).toPrecision(3)} um` : rounded);
}

export { at };
