// Traces of many cells, as the table has them: one array for all, and where each cell begins.

export type Unit = "h" | "frame";

export interface Traces {
  /** Numbers of cells, in order. */
  readonly cells: Int32Array;
  /** Of each cell, its first row; one more for the end. */
  readonly starts: Int32Array;
  readonly frames: Int32Array;
  /** Hours, or frames where times are not known. */
  readonly x: Float32Array;
  readonly y: Float32Array;
  readonly unit: Unit;
  readonly positionX: Float32Array;
  readonly positionY: Float32Array;
}

/** Rows are sorted by cell and frame. */
export function makeTraces(
  cell: Int32Array,
  frame: Int32Array,
  timeMin: Float32Array | undefined,
  values: Float32Array,
  positionX: Float32Array,
  positionY: Float32Array,
): Traces {
  const n = cell.length;
  const cells: number[] = [];
  const starts: number[] = [];
  for (let i = 0; i < n; i++) {
    if (i === 0 || cell[i] !== cell[i - 1]) {
      cells.push(cell[i] as number);
      starts.push(i);
    }
  }
  starts.push(n);
  const knowsTimes = timeMin !== undefined && n > 0 && timeMin.every(Number.isFinite);
  const x = knowsTimes ? timeMin.map((minutes) => minutes / 60) : Float32Array.from(frame);
  return {
    cells: Int32Array.from(cells),
    starts: Int32Array.from(starts),
    frames: frame,
    x,
    y: values,
    unit: knowsTimes ? "h" : "frame",
    positionX,
    positionY,
  };
}

/** First row of a cell, and the row after its last; none if there is no such cell. */
export function rowsOf(traces: Traces, cell: number): readonly [number, number] | null {
  let [low, high] = [0, traces.cells.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = traces.cells[middle] as number;
    if (found === cell) {
      return [traces.starts[middle] as number, traces.starts[middle + 1] as number];
    }
    if (found < cell) low = middle + 1;
    else high = middle - 1;
  }
  return null;
}

/** Row of a cell in a frame; -1 if it was not seen in it. */
export function rowAt(traces: Traces, cell: number, frame: number): number {
  const rows = rowsOf(traces, cell);
  if (!rows) return -1;
  for (let i = rows[0]; i < rows[1]; i++) if (traces.frames[i] === frame) return i;
  return -1;
}

export interface Scale {
  /** Pixels of a value. */
  readonly toX: (value: number) => number;
  readonly toY: (value: number) => number;
}

export interface Hit {
  readonly cell: number;
  readonly frame: number;
}

/** The trace next to a place in pixels, and its frame; none if all are too far. */
export function nearest(
  traces: Traces,
  isDrawn: (cell: number) => boolean,
  scale: Scale,
  px: number,
  py: number,
  farthest: number,
): Hit | null {
  let best = farthest * farthest;
  let hit: Hit | null = null;
  for (let k = 0; k < traces.cells.length; k++) {
    const cell = traces.cells[k] as number;
    const [from, to] = [traces.starts[k] as number, traces.starts[k + 1] as number];
    if (!isDrawn(cell)) continue;
    // Times rise along a trace: only what is near enough in x is looked at.
    for (let i = from; i < to; i++) {
      const x1 = scale.toX(traces.x[i] as number);
      if (x1 - px > farthest && i > from && scale.toX(traces.x[i - 1] as number) - px > farthest) break;
      const y1 = scale.toY(traces.y[i] as number);
      if (!Number.isFinite(y1)) continue;
      let distance = (x1 - px) ** 2 + (y1 - py) ** 2;
      if (i > from) {
        const x0 = scale.toX(traces.x[i - 1] as number);
        const y0 = scale.toY(traces.y[i - 1] as number);
        if (x0 <= px + farthest && x1 >= px - farthest && Number.isFinite(y0)) {
          distance = Math.min(distance, toSegment(px, py, x0, y0, x1, y1));
        }
      }
      if (distance < best) {
        best = distance;
        hit = { cell, frame: traces.frames[i] as number };
      }
    }
  }
  return hit;
}

function toSegment(px: number, py: number, x0: number, y0: number, x1: number, y1: number): number {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const length = dx * dx + dy * dy;
  const along = length ? Math.min(Math.max(((px - x0) * dx + (py - y0) * dy) / length, 0), 1) : 0;
  return (x0 + along * dx - px) ** 2 + (y0 + along * dy - py) ** 2;
}
