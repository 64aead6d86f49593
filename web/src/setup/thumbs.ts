// Small pictures of positions and channels, a few at a time, the last that were asked for first.

import { signal } from "@preact/signals";
import { get } from "../base/api.js";
import type { Pixels } from "../base/binary.js";
import { inWords } from "../base/resource.js";
import { base } from "./state.js";

const AT_ONCE = 2;

export interface Thumb {
  readonly picture: Pixels | null;
  readonly error: string;
}

const known = signal<ReadonlyMap<string, Thumb>>(new Map());
const waiting: { key: string; fetchIt: () => Promise<Pixels> }[] = [];
const underway = new Set<string>();

/** Which frame: of a number, or the one in the middle. */
type Frame = number | null;

function keyOf(fov: number, channel: number, size: number, t: Frame): string {
  return JSON.stringify([base.value, fov, channel, size, t]);
}

export function thumb(fov: number, channel: number, size: number, t: Frame = null): Thumb | undefined {
  return known.value.get(keyOf(fov, channel, size, t));
}

/** Ask for a picture, which comes sooner or later. */
export function want(fov: number, channel: number, size: number, t: Frame = null): void {
  const key = keyOf(fov, channel, size, t);
  const file = base.peek();
  if (!file || known.peek().has(key) || underway.has(key)) return;
  if (waiting.some((each) => each.key === key)) return;
  waiting.push({
    key,
    fetchIt: () => get("/api/source/thumbnail", { ...file, fov, channel, size, t }),
  });
  void next();
}

async function next(): Promise<void> {
  if (underway.size >= AT_ONCE) return;
  const one = waiting.pop();
  if (!one) return;
  underway.add(one.key);
  let found: Thumb;
  try {
    found = { picture: await one.fetchIt(), error: "" };
  } catch (reason) {
    found = { picture: null, error: inWords(reason) };
  }
  underway.delete(one.key);
  known.value = new Map([...known.peek(), [one.key, found]]);
  void next();
}
