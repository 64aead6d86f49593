import { test } from "node:test";
import assert from "node:assert/strict";
import { labels, ticks } from "../src/traces/axis.js";

test("ticks of a short movie are at whole minutes, and say where they are", () => {
  const at = ticks("h", 0, 0.25, 700);
  assert.deepEqual(labels("h", 0, 0.25, at).slice(0, 4), ["0 min", "2 min", "4 min", "6 min"]);
  at.forEach((hours, i) => assert.ok(Math.abs(hours * 60 - 2 * i) < 1e-9));
});

test("ticks of a long movie are at round hours, and there is room for them", () => {
  assert.deepEqual(labels("h", 0, 24, ticks("h", 0, 24, 800)).slice(0, 3), ["0 h", "2 h", "4 h"]);
  for (const [max, width] of [[3, 300], [72, 500], [1e5, 200], [2, 60]] as const) {
    const found = ticks("h", 0, max, width);
    assert.ok(found.length >= 1 && found.length <= width / 60 + 1, `${max} ${width}: ${found}`);
    assert.equal(new Set(labels("h", 0, max, found)).size, found.length);
  }
});

test("ticks of frames are at frames", () => {
  assert.deepEqual(ticks("frame", 0, 3, 1000), [0, 1, 2, 3]);
  assert.deepEqual(ticks("frame", 0, 1, 1000), [0, 1]);
});

test("a movie of no length ends", () => {
  assert.deepEqual(ticks("h", 1, 1, 500), [1]);
  assert.deepEqual(ticks("h", 0, Number.NaN, 500), []);
});
