// Arrays as the server sends them: bytes that a typed array looks at, without a copy.

import type { TableHeader } from "./messages.js";

export type Values =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** An image, or several of one size. */
export interface Pixels {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly values: Values;
}

/** Columns of numbers by name. */
export type Table = ReadonlyMap<string, Values>;

const KINDS: Record<string, new (buffer: ArrayBuffer, offset: number, length: number) => Values> = {
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array,
};

function view(dtype: string, buffer: ArrayBuffer, offset: number, length: number): Values {
  const Kind = KINDS[dtype];
  if (!Kind) throw new Error(`the server sent ${dtype}, which this page cannot show`);
  return new Kind(buffer, offset, length);
}

export function readPixels(shape: string, dtype: string, buffer: ArrayBuffer): Pixels {
  const sides = shape.split(",").map(Number);
  const length = sides.reduce((product, side) => product * side, 1);
  return { shape: sides, dtype, values: view(dtype, buffer, 0, length) };
}

export function readTable(buffer: ArrayBuffer): Table {
  const length = new DataView(buffer).getUint32(0, true);
  const text = new TextDecoder().decode(new Uint8Array(buffer, 4, length));
  const header = JSON.parse(text) as TableHeader;
  const table = new Map<string, Values>();
  let offset = 4 + length;
  for (const column of header.columns) {
    const values = view(column.dtype, buffer, offset, column.length);
    table.set(column.name, values);
    offset += Math.ceil(values.byteLength / 8) * 8;
  }
  return table;
}

/** A column that has to be there. */
export function column(table: Table, name: string): Values {
  const values = table.get(name);
  if (!values) throw new Error(`the server sent no column ${name}`);
  return values;
}
