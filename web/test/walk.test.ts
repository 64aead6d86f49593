import assert from "node:assert/strict";
import { test } from "node:test";
import type { Doubted } from "../src/base/messages.js";
import { nextDoubt } from "../src/correct/walk.js";

const doubt = (cell: number, is_settled = false): Doubted => ({
  cell, is_settled, frame: 0, words: "", other: null,
});
const all = [doubt(7), doubt(3, true), doubt(9), doubt(1)];

test("doubted cells are gone through in their order, without those that were judged", () => {
  const from = (cell: number | null, by: 1 | -1) => nextDoubt(all, [], cell, by)?.cell ?? null;
  assert.equal(from(null, 1), 7);
  assert.equal(from(42, 1), 7);
  assert.equal(from(7, 1), 9);
  assert.equal(from(3, 1), 9);
  assert.equal(from(9, 1), 1);
  assert.equal(from(1, 1), null);
  assert.equal(from(1, -1), 9);
  assert.equal(from(9, -1), 3);
  assert.equal(from(7, -1), null);
  assert.equal(from(null, -1), null);
});

test("a cell that left the list when it was judged keeps its place", () => {
  const now = [doubt(7), doubt(1), doubt(50_001)];
  assert.equal(nextDoubt(now, all, 9, 1)?.cell, 1);
  assert.equal(nextDoubt(now, all, 9, -1)?.cell, 7);
  // What is new comes last.
  assert.equal(nextDoubt(now.slice(2), all, 1, 1)?.cell, 50_001);
});
