// Lists of positions and cells, sorted and filtered: pure functions of the tables.

import type { Cells, FovRow } from "../base/messages.js";

export type Line =
  | { readonly kind: "sample"; readonly sample: string; readonly n: number }
  | { readonly kind: "fov"; readonly row: FovRow };

export function linesOf(
  rows: readonly FovRow[],
  samples: readonly string[],
  by: "sample" | "trouble",
  hidden: ReadonlySet<string>,
): readonly Line[] {
  if (by === "trouble") {
    const sorted = [...rows].sort((a, b) => b.trouble - a.trouble || a.fov - b.fov);
    return sorted.map((row) => ({ kind: "fov", row }));
  }
  if (samples.length < 2) return rows.map((row) => ({ kind: "fov", row }));
  const lines: Line[] = [];
  for (const sample of samples) {
    const members = rows.filter((row) => row.sample === sample);
    lines.push({ kind: "sample", sample, n: members.length });
    if (!hidden.has(sample)) for (const row of members) lines.push({ kind: "fov", row });
  }
  return lines;
}

/** A column, or the verdict in a channel, by its place. */
export type Sort = "cell" | "good" | "first" | "frames" | "fate" | number;

/** Rows of the table that words hold for, in order. */
export function listed(
  table: Cells,
  words: string,
  by: Sort,
  down: boolean,
  onlyGood: boolean,
): readonly number[] {
  const asked = words.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const rows: number[] = [];
  for (let i = 0; i < table.cell.length; i++) {
    if (onlyGood && table.good[i] !== true) continue;
    const parent = table.parent[i] as number;
    const text = [
      table.fate[i],
      table.reason[i],
      table.corrections[i],
      table.good[i] === true ? "good" : table.good[i] === false ? "bad" : "",
      parent >= 0 ? `from ${parent}` : "",
    ].join(" ").toLowerCase();
    const number = String(table.cell[i]);
    if (asked.every((word) => (/^[0-9]+$/.test(word) ? number === word : text.includes(word)))) {
      rows.push(i);
    }
  }
  const order = (good: boolean | null | undefined) => (good === true ? 2 : good === false ? 0 : 1);
  const of: Record<Exclude<Sort, number>, (i: number) => number | string> = {
    cell: (i) => table.cell[i] as number,
    good: (i) => order(table.good[i]),
    first: (i) => table.first_frame[i] as number,
    frames: (i) => table.n_frames[i] as number,
    fate: (i) => table.reason[i] || table.fate[i] || "",
  };
  const valueOf = typeof by === "number" ? (i: number) => order(table.verdicts[by]?.good[i]) : of[by];
  const sign = down ? -1 : 1;
  return rows.sort((a, b) => {
    const [x, y] = [valueOf(a), valueOf(b)];
    if (x === y) return (table.cell[a] as number) - (table.cell[b] as number);
    return (x < y ? -1 : 1) * sign;
  });
}
