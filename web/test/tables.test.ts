import assert from "node:assert/strict";
import { test } from "node:test";
import { format, parse } from "../src/base/address.js";
import { query } from "../src/base/api.js";
import { readPixels, readTable } from "../src/base/binary.js";
import { count, hoursAndMinutes, short } from "../src/base/units.js";
import { makeTraces, nearest, rowAt, rowsOf } from "../src/traces/traces.js";

test("the address gives back the state that it was made of", () => {
  const state = { place: "look", at: "/data/Übung 1 & 2", fov: "3", show: "phase,GFP+x#", none: "" };
  const { none: _, ...kept } = state;
  assert.deepEqual(parse(format(state).slice(1)), kept);
  assert.equal(format({}), "/");
});

test("several values of a question repeat its name, and what is not given is left out", () => {
  assert.equal(query({ at: "/a b", fovs: [1, 2], t: undefined }), "at=%2Fa+b&fovs=1&fovs=2");
});

test("arrays are read as the server sends them", () => {
  const pixels = readPixels("1,2", "uint16", Uint8Array.of(1, 0, 0, 1).buffer);
  assert.deepEqual([...pixels.values], [1, 256]);
  assert.throws(() => readPixels("1", "complex64", new ArrayBuffer(8)), /complex64/);
});

test("a table is read column by column", () => {
  const header = JSON.stringify({ columns: [
    { name: "a", dtype: "uint8", length: 3 },
    { name: "b", dtype: "float64", length: 1 },
  ] });
  const padded = header.padEnd(Math.ceil((header.length + 4) / 8) * 8 - 4);
  const buffer = new ArrayBuffer(4 + padded.length + 16);
  new DataView(buffer).setUint32(0, padded.length, true);
  new Uint8Array(buffer).set(new TextEncoder().encode(padded), 4);
  new Uint8Array(buffer).set([7, 8, 9], 4 + padded.length);
  new DataView(buffer).setFloat64(12 + padded.length, 0.5, true);
  const table = readTable(buffer);
  assert.deepEqual([...(table.get("a") ?? [])], [7, 8, 9]);
  assert.deepEqual([...(table.get("b") ?? [])], [0.5]);
});

test("numbers carry what people expect", () => {
  assert.equal(hoursAndMinutes(845), "14 h 05 min");
  assert.equal(hoursAndMinutes(59.6), "1 h 00 min");
  assert.equal(hoursAndMinutes(4.2), "4 min");
  assert.deepEqual([0, 0.1234, 99.99, 123.4, 12_345, 2_500_000, NaN].map(short),
    ["0", "0.123", "100", "123", "12.3k", "2.5M", "–"]);
  assert.equal(count(1, "cell"), "1 cell");
  assert.equal(count(12_000, "cell"), "12 000 cells");
});

const traces = makeTraces(
  Int32Array.of(3, 3, 3, 70_001, 70_001),
  Int32Array.of(0, 1, 2, 1, 4),
  Float32Array.of(0, 60, 120, 60, 240),
  Float32Array.of(0, 10, 20, 100, 100),
  new Float32Array(5),
  new Float32Array(5),
);
const scale = { toX: (v: number) => v * 100, toY: (v: number) => v };

test("the rows of a cell are found by its number", () => {
  assert.deepEqual(rowsOf(traces, 3), [0, 3]);
  assert.deepEqual(rowsOf(traces, 70_001), [3, 5]);
  assert.equal(rowsOf(traces, 4), null);
  assert.equal(rowAt(traces, 70_001, 4), 4);
  assert.equal(rowAt(traces, 70_001, 2), -1);
});

test("a click on a line finds its cell and frame, also between two frames", () => {
  const all = () => true;
  assert.deepEqual(nearest(traces, all, scale, 52, 6, 10), { cell: 3, frame: 1 });
  assert.deepEqual(nearest(traces, all, scale, 250, 97, 10)?.cell, 70_001);
  assert.equal(nearest(traces, all, scale, 250, 50, 10), null);
  assert.equal(nearest(traces, (cell) => cell !== 3, scale, 52, 6, 10), null);
});

test("times that are not known leave frames", () => {
  const unknown = makeTraces(
    Int32Array.of(1), Int32Array.of(7), Float32Array.of(NaN), Float32Array.of(1),
    new Float32Array(1), new Float32Array(1),
  );
  assert.deepEqual([unknown.unit, unknown.x[0]], ["frame", 7]);
});
