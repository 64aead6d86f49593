// What the file carries for the script: traces of cells as bytes, one after the other.

import type { Course } from "../base/messages.js";
import type { Traces } from "../traces/traces.js";

export interface StripData {
  readonly image: string;
  readonly frames: readonly number[];
  readonly channels: readonly string[];
  readonly side: number;
  readonly outlines: readonly string[];
}

export interface CellData {
  readonly fov: number;
  readonly position: string;
  readonly cell: number;
  readonly sample: number;
  readonly good: boolean | null;
  readonly reason: string;
  readonly strip: StripData | null;
  readonly anchor: unknown;
}

interface CourseData {
  readonly sample: number;
  readonly x: readonly number[];
  readonly median: readonly number[];
  readonly low: readonly number[];
  readonly high: readonly number[];
}

interface ColumnData {
  readonly name: string;
  readonly low: number;
  readonly high: number;
  readonly values: string;
  readonly courses: readonly CourseData[];
}

export interface Payload {
  readonly folder: string;
  readonly samples: readonly string[];
  /** Of each among all samples, those without results included: by it colours are given. */
  readonly places: readonly number[];
  readonly cells: readonly CellData[];
  readonly starts: string;
  readonly frames: string;
  readonly minutes: string | null;
  readonly columns: readonly ColumnData[];
}

const NONE = 65535;
const STEPS = 65534;

export function bytesOf(text: string): ArrayBuffer {
  const plain = atob(text);
  const bytes = new Uint8Array(plain.length);
  for (let i = 0; i < plain.length; i++) bytes[i] = plain.charCodeAt(i);
  return bytes.buffer;
}

/** Numbers between two others, as steps; the largest step is none. */
export function unpacked(steps: Uint16Array, low: number, high: number): Float32Array {
  return Float32Array.from(steps, (step) => (step === NONE ? NaN : low + (step / STEPS) * (high - low)));
}

/** Traces of a column. Cells have numbers from 1, in the order of the file. */
export function tracesOf(data: Payload, column: number): Traces {
  const starts = new Int32Array(bytesOf(data.starts));
  const frames = new Int32Array(bytesOf(data.frames));
  const shown = data.columns[column] as ColumnData;
  const minutes = data.minutes === null ? null : new Float32Array(bytesOf(data.minutes));
  return {
    cells: Int32Array.from(data.cells, (_, i) => i + 1),
    starts,
    frames,
    x: minutes ? minutes.map((each) => each / 60) : Float32Array.from(frames),
    y: unpacked(new Uint16Array(bytesOf(shown.values)), shown.low, shown.high),
    unit: minutes ? "h" : "frame",
    positionX: new Float32Array(0),
    positionY: new Float32Array(0),
  };
}

/** Median curves of a column; samples by their numbers. */
export function coursesOf(data: Payload, column: number): Course[] {
  const shown = data.columns[column] as ColumnData;
  return shown.courses.map((each) => ({ ...each, sample: `${each.sample}`, n_cells: 0, n_fovs: 0 }));
}

/** A line of a file for `pyama curate --import`. */
export function correction(cell: CellData, good: boolean, at: Date, id: string): string {
  return JSON.stringify({
    version: 1,
    id,
    at: at.toISOString(),
    fov: cell.fov,
    action: "verdict",
    cell: cell.cell,
    good,
    anchors: cell.anchor === null ? [] : [cell.anchor],
  });
}
