// Frames from the server: kept as long as there is room, fetched ahead in the direction of play,
// and aborted when nobody waits for them any more.

import { signal } from "@preact/signals";
import { get, isAbort } from "../base/api.js";
import type { Pixels } from "../base/binary.js";
import type { AskFrame } from "../base/messages.js";
import { inWords } from "../base/resource.js";
import { ByteCache } from "./cache.js";

const MOST_BYTES = 400 * 1024 * 1024;
const AT_ONCE = 3;

type Fetch = (asks: AskFrame, signal: AbortSignal) => Promise<Pixels>;

export function keyOf(asks: AskFrame): string {
  const { at, fov, kind, channel = "", t, level = 0 } = asks;
  return [at, fov, kind, channel, level, t].join("|");
}

export class Frames {
  /** Goes up whenever a frame has come or failed, so that who draws can look again. */
  readonly news = signal(0);
  /** Goes up whenever frames may not be what they were under the same key. */
  generation = 0;
  private readonly cache = new ByteCache<Pixels>(MOST_BYTES);
  private readonly underway = new Map<string, AbortController>();
  private readonly failures = new Map<string, string>();
  private wanted: readonly AskFrame[] = [];

  constructor(private readonly fetchIt: Fetch = (asks, abort) => get("/api/frame", asks, abort)) {}

  get(asks: AskFrame): Pixels | undefined {
    return this.cache.get(keyOf(asks));
  }

  failure(asks: AskFrame): string | undefined {
    return this.failures.get(keyOf(asks));
  }

  /** Fetch these, in this order; what else is underway is stale. */
  want(frames: readonly AskFrame[]): void {
    this.wanted = frames;
    const keys = new Set(frames.map(keyOf));
    for (const [key, controller] of this.underway) {
      if (!keys.has(key)) {
        controller.abort();
        this.underway.delete(key);
      }
    }
    this.next();
  }

  /** Forget frames that a test holds for, for they are not what they were. */
  forget(test: (key: string) => boolean): void {
    this.cache.forget(test);
    for (const key of [...this.failures.keys()]) if (test(key)) this.failures.delete(key);
    for (const [key, controller] of this.underway) {
      if (test(key)) {
        controller.abort();
        this.underway.delete(key);
      }
    }
    this.generation += 1;
    this.news.value += 1;
    this.next();
  }

  /** Ask again for what could not be had, for it may be there now. */
  retry(): void {
    if (this.failures.size === 0) return;
    this.failures.clear();
    this.news.value += 1;
    this.next();
  }

  private next(): void {
    for (const asks of this.wanted) {
      if (this.underway.size >= AT_ONCE) return;
      const key = keyOf(asks);
      if (this.cache.has(key) || this.failures.has(key) || this.underway.has(key)) continue;
      const controller = new AbortController();
      this.underway.set(key, controller);
      this.fetchIt(asks, controller.signal).then(
        (pixels) => {
          if (!controller.signal.aborted) this.cache.set(key, pixels, pixels.values.byteLength);
          this.ended(key, controller);
        },
        (reason: unknown) => {
          if (!controller.signal.aborted && !isAbort(reason)) {
            this.failures.set(key, inWords(reason));
          }
          this.ended(key, controller);
        },
      );
    }
  }

  private ended(key: string, controller: AbortController): void {
    if (controller.signal.aborted) return;
    this.underway.delete(key);
    this.news.value += 1;
    this.next();
  }
}
