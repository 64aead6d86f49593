// The order in which doubted cells are gone through: pure functions.

import type { Doubted } from "../base/messages.js";

/**
 * The doubt after, or before, a cell; forwards, those that a person has judged are left out.
 *
 * @param all Those that there are, in their order.
 * @param before The list in which the cell was last; it may have left the other when it was judged.
 */
export function nextDoubt(
  all: readonly Doubted[],
  before: readonly Doubted[],
  cell: number | null,
  by: 1 | -1,
): Doubted | null {
  const isOpen = (each: Doubted) => by < 0 || !each.is_settled;
  const open = new Map(all.filter(isOpen).map((each) => [each.cell, each]));
  const order = all.some((each) => each.cell === cell) ? all : before;
  const place = order.findIndex((each) => each.cell === cell);
  if (place < 0) return by > 0 ? (all.find(isOpen) ?? null) : null;
  for (let i = place + by; i >= 0 && i < order.length; i += by) {
    const found = open.get((order[i] as Doubted).cell);
    if (found) return found;
  }
  // What was not in the list before comes last.
  const known = new Set(order.map((each) => each.cell));
  return by > 0 ? (all.find((each) => isOpen(each) && !known.has(each.cell)) ?? null) : null;
}
