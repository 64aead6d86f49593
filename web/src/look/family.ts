// The relatives of a cell, and the frames of its life: pure functions of the table of cells.

import type { Cells } from "../base/messages.js";

const MOST = 60;

export interface Relative {
  readonly cell: number;
  readonly first: number;
  readonly last: number;
  /** Line of the drawing, halves between the lines of daughters. */
  readonly line: number;
  readonly parent: Relative | null;
}

/** The family of a cell: its earliest ancestor and all that came of it, laid out as a tree. */
export function familyOf(table: Cells, number: number): readonly Relative[] {
  const place = new Map(table.cell.map((each, i) => [each, i]));
  const daughters = new Map<number, number[]>();
  table.parent.forEach((parent, i) => {
    if (parent >= 0) daughters.set(parent, [...(daughters.get(parent) ?? []), table.cell[i] as number]);
  });
  let root = number;
  const seen = new Set([root]);
  for (;;) {
    const parent = table.parent[place.get(root) ?? -1] ?? -1;
    if (parent < 0 || !place.has(parent) || seen.has(parent)) break;
    root = parent;
    seen.add(parent);
  }
  if (!place.has(root)) return [];
  const found: Relative[] = [];
  let line = 0;
  const visit = (each: number, parent: Relative | null): Relative => {
    const i = place.get(each) as number;
    const made = {
      cell: each,
      first: table.first_frame[i] as number,
      last: table.last_frame[i] as number,
      line: 0,
      parent,
    };
    found.push(made);
    const children = (daughters.get(each) ?? []).filter(() => found.length < MOST);
    const lines = children.map((child) => visit(child, made).line);
    made.line = lines.length
      ? ((lines[0] as number) + (lines[lines.length - 1] as number)) / 2
      : line++;
    return made;
  };
  visit(root, null);
  return found;
}

/** Frames spread over the life of a cell, its first and last among them. */
export function spread(first: number, last: number, most: number): readonly number[] {
  const n = Math.min(last - first + 1, most);
  if (n <= 1) return [first];
  return Array.from({ length: n }, (_, i) => Math.round(first + ((last - first) * i) / (n - 1)));
}
