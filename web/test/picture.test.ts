import assert from "node:assert/strict";
import { formatContrasts, formatWords, parseContrasts, readWords } from "../src/look/words.js";
import { barOf } from "../src/picture/bar.js";
import { formatView, parseView } from "../src/picture/view.js";
import { test } from "node:test";
import type { Pixels } from "../src/base/binary.js";
import type { AskFrame } from "../src/base/messages.js";
import { ByteCache } from "../src/picture/cache.js";
import { Frames } from "../src/picture/frames.js";
import { labelAt } from "../src/picture/renderer.js";
import { fitting, levelFor, moved, showing, toImage, toPicture, zoomed } from "../src/picture/view.js";

test("a cache forgets what was not used for longest, and counts bytes", () => {
  const cache = new ByteCache<string>(30);
  cache.set("a", "A", 10);
  cache.set("b", "B", 10);
  cache.set("c", "C", 10);
  assert.equal(cache.get("a"), "A");
  cache.set("d", "D", 10);
  assert.equal(cache.get("b"), undefined);
  assert.equal(cache.get("a"), "A");
  assert.equal(cache.bytes, 30);
  cache.set("a", "A2", 20);
  assert.equal(cache.bytes, 30);
  cache.set("huge", "H", 100);
  assert.equal(cache.get("huge"), "H");
  cache.forget((key) => key.startsWith("h"));
  assert.equal(cache.bytes, 0);
});

const picture = { width: 800, height: 600 };

test("a fitting view shows the whole image", () => {
  const view = fitting({ width: 400, height: 400 }, picture);
  assert.equal(view.scale, 1.5);
  assert.deepEqual(toPicture(view, 200, 200, picture), [400, 300]);
});

test("what is under the mouse stays there when zooming", () => {
  const view = fitting({ width: 1000, height: 500 }, picture);
  const before = toImage(view, 123, 456, picture);
  const after = toImage(zoomed(view, 3.7, 123, 456, picture), 123, 456, picture);
  before.forEach((value, i) => assert.ok(Math.abs(value - (after[i] as number)) < 1e-9));
});

test("moving by pixels of the screen moves what is seen by as many", () => {
  const view = { scale: 2, x: 100, y: 100 };
  assert.deepEqual(toPicture(moved(view, 30, -10), 100, 100, picture), [430, 290]);
});

test("a place that is to be seen is brought in, and nothing moves if it is seen already", () => {
  const view = { scale: 2, x: 100, y: 100 };
  assert.deepEqual(showing(view, 110, 90, picture), view);
  const [px] = toPicture(showing(view, 900, 100, picture), 900, 100, picture);
  assert.ok(px <= 760 && px >= 40);
});

test("an image is asked for no larger than it is seen", () => {
  assert.deepEqual([2, 1, 0.6, 0.5, 0.3, 0.25, 0.001].map(levelFor), [0, 0, 0, 1, 1, 2, 6]);
});

test("the label under a place is found at every level, also beyond 16 bits", () => {
  const labels: Pixels = { shape: [2, 2], dtype: "uint32", values: Uint32Array.of(0, 1, 70_001, 2) };
  assert.equal(labelAt(labels, 0.5, 1.5, 2, 2), 70_001);
  assert.equal(labelAt(labels, 1.9, 3.9, 4, 4), 70_001);
  assert.equal(labelAt(labels, 4, 0, 4, 4), 0);
  assert.equal(labelAt(labels, -0.1, 0, 4, 4), 0);
});

const frame = (t: number): AskFrame => ({ at: "/x", fov: 0, kind: "phase", t });
const pixels: Pixels = { shape: [1, 1], dtype: "uint8", values: Uint8Array.of(1) };
const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

test("frames are fetched in order, a few at a time, and once", async () => {
  const asked: number[] = [];
  const waiting: (() => void)[] = [];
  const frames = new Frames((asks) => {
    asked.push(asks.t);
    return new Promise((resolve) => waiting.push(() => resolve(pixels)));
  });
  frames.want([0, 1, 2, 3, 4].map(frame));
  assert.deepEqual(asked, [0, 1, 2]);
  waiting[0]?.();
  await settled();
  assert.deepEqual(asked, [0, 1, 2, 3]);
  assert.equal(frames.get(frame(0)), pixels);
  frames.want([0, 1, 2, 3, 4].map(frame));
  assert.deepEqual(asked, [0, 1, 2, 3]);
});

test("a request that went stale is aborted, and its answer is not kept", async () => {
  const signals: AbortSignal[] = [];
  const answers: ((value: Pixels) => void)[] = [];
  const frames = new Frames((_, signal) => {
    signals.push(signal);
    return new Promise((resolve) => answers.push(resolve));
  });
  frames.want([frame(1)]);
  frames.want([frame(2)]);
  assert.equal(signals[0]?.aborted, true);
  answers[0]?.(pixels);
  await settled();
  assert.equal(frames.get(frame(1)), undefined);
});

test("a frame that cannot be read says why, and is not asked for again and again", async () => {
  let n = 0;
  const frames = new Frames(() => {
    n += 1;
    return Promise.reject(new Error("released"));
  });
  frames.want([frame(1)]);
  await settled();
  frames.want([frame(1)]);
  assert.equal(frames.failure(frame(1)), "released");
  assert.equal(n, 1);
  frames.forget(() => true);
  assert.equal(n, 2);
});

test("views, contrasts and names stand in the address and come back", () => {
  const view = { scale: 2.5, x: 100.5, y: 33 };
  assert.deepEqual(parseView(formatView(view)), view);
  for (const text of ["", "1,2", "0,1,1", "a,1,1", "1e9,1,1", "1,,2", "1,2,3,4"]) {
    assert.equal(parseView(text), null, text);
  }
  const limits = new Map([["GFP, 5%: dim~raw", [10, 2000.5] as const], ["phase", [0, 1] as const]]);
  assert.deepEqual(parseContrasts(formatContrasts(limits)), limits);
  assert.deepEqual([...parseContrasts("GFP:5:1,a:b:c,,x:1,y:1:2:3,z::4")], []);
  assert.deepEqual(readWords(formatWords(["a,b", "c:d", "%2C"])), ["a,b", "c:d", "%2C"]);
});

test("scale bars have a round length that fits", () => {
  assert.deepEqual(barOf(1, 0.65, 100), { pixels: 50 / 0.65, words: "50 µm" });
  assert.deepEqual(barOf(2, null, 110), { pixels: 100, words: "50 px" });
});
