import assert from "node:assert/strict";
import { test } from "node:test";
import type { Cells, FovRow } from "../src/base/messages.js";
import { familyOf, spread } from "../src/look/family.js";
import { linesOf, listed } from "../src/look/lists.js";

const table: Cells = {
  cell: [1, 2, 3, 17],
  parent: [-1, 1, 1, -1],
  first_frame: [0, 5, 5, 2],
  last_frame: [4, 9, 9, 9],
  n_frames: [5, 5, 4, 8],
  fate: ["divided", "lost", "end of movie", "lost"],
  good: [true, false, true, null],
  reason: ["", "too short", "", ""],
  corrections: ["", "", "joined with 4", ""],
  verdicts: [
    { channel: "GFP", good: [true, false, true, null] },
    { channel: "mCherry", good: [true, true, false, null] },
  ],
};

test("cells are found by number, verdict, fate and reason", () => {
  const found = (words: string) =>
    listed(table, words, "cell", false, false).map((i) => table.cell[i]);
  assert.deepEqual(found(""), [1, 2, 3, 17]);
  assert.deepEqual(found("17"), [17]);
  assert.deepEqual(found("1"), [1]);
  assert.deepEqual(found("bad"), [2]);
  assert.deepEqual(found("LOST"), [2, 17]);
  assert.deepEqual(found("lost short"), [2]);
  assert.deepEqual(found("joined"), [3]);
  assert.deepEqual(found("nothing"), []);
});

test("cells are sorted by a column, up and down, and only good ones on request", () => {
  const sorted = (by: "frames" | "good" | number, down: boolean, only = false) =>
    listed(table, "", by, down, only).map((i) => table.cell[i]);
  assert.deepEqual(sorted("frames", false), [3, 1, 2, 17]);
  assert.deepEqual(sorted("frames", true), [17, 1, 2, 3]);
  assert.deepEqual(sorted("good", false), [2, 17, 1, 3]);
  assert.deepEqual(sorted("good", false, true), [1, 3]);
  assert.deepEqual(sorted(0, false), [2, 17, 1, 3]);
  assert.deepEqual(sorted(1, false), [3, 17, 1, 2]);
});

test("a family begins with its first ancestor, and daughters come below each other", () => {
  const family = familyOf(table, 3);
  assert.deepEqual(family.map((each) => [each.cell, each.line]), [[1, 0.5], [2, 0], [3, 1]]);
  assert.deepEqual(familyOf(table, 17).map((each) => each.cell), [17]);
  assert.deepEqual(familyOf(table, 99), []);
});

test("a film strip has the first and the last frame of a cell", () => {
  assert.deepEqual(spread(3, 3, 10), [3]);
  assert.deepEqual(spread(0, 4, 10), [0, 1, 2, 3, 4]);
  assert.deepEqual(spread(0, 100, 3), [0, 50, 100]);
});

const row = (fov: number, sample: string, trouble: number): FovRow => ({
  fov, name: `p${fov}`, sample, state: "done", n_cells: 1, n_good: 1, trouble, words: "", contradictions: [],
});
const rows = [row(0, "drug", 0.1), row(1, "control", 0.9), row(2, "drug", 0.9)];

test("positions come by sample, or the most troubled first", () => {
  const names = (by: "sample" | "trouble", hidden: string[] = []) =>
    linesOf(rows, ["control", "drug"], by, new Set(hidden)).map((line) =>
      line.kind === "fov" ? line.row.fov : line.sample);
  assert.deepEqual(names("sample"), ["control", 1, "drug", 0, 2]);
  assert.deepEqual(names("sample", ["drug"]), ["control", 1, "drug"]);
  assert.deepEqual(names("trouble"), [1, 2, 0]);
  assert.deepEqual(linesOf(rows, ["only"], "sample", new Set()).length, 3);
});
