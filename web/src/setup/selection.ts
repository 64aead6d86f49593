// Which positions are selected, and to which sample they belong: plain arithmetic.

import type { SampleOf } from "../base/messages.js";

/** What a click selects: alone, from the one before on (shift), or beside the others (ctrl). */
export function clicked(
  before: ReadonlySet<number>,
  order: readonly number[],
  at: number,
  last: number | null,
  keys: { shift: boolean; more: boolean },
): Set<number> {
  if (keys.shift && last !== null) {
    const ends = [order.indexOf(last), order.indexOf(at)].sort((a, b) => a - b);
    const range = order.slice(Math.max(ends[0] ?? 0, 0), (ends[1] ?? 0) + 1);
    return new Set([...(keys.more ? before : []), ...range]);
  }
  if (!keys.more) return new Set([at]);
  const next = new Set(before);
  if (!next.delete(at)) next.add(at);
  return next;
}

/** The samples after positions were given one; an empty name takes them out of theirs. */
export function assigned(
  samples: readonly SampleOf[],
  fovs: ReadonlySet<number>,
  sample: string,
): SampleOf[] {
  const rest = samples.map((each) => ({ ...each, fovs: each.fovs.filter((fov) => !fovs.has(fov)) }));
  const name = sample.trim();
  if (!name) return rest.filter((each) => each.fovs.length > 0);
  const known = rest.find((each) => each.sample === name);
  const added = [...(known?.fovs ?? []), ...fovs].sort((a, b) => a - b);
  const next = known
    ? rest.map((each) => (each === known ? { ...each, fovs: added } : each))
    : [...rest, { sample: name, fovs: added }];
  return next.filter((each) => each.fovs.length > 0);
}

export function renamed(samples: readonly SampleOf[], from: string, to: string): SampleOf[] {
  const name = to.trim();
  const own = samples.find((each) => each.sample === from);
  if (!own || !name || name === from) return [...samples];
  if (samples.some((each) => each.sample === name)) return assigned(samples, new Set(own.fovs), name);
  return samples.map((each) => (each === own ? { ...each, sample: name } : each));
}

/** The sample of each position. */
export function bySample(samples: readonly SampleOf[]): Map<number, string> {
  return new Map(samples.flatMap((each) => each.fovs.map((fov) => [fov, each.sample] as const)));
}

/** `0-3,7` of numbers. */
export function ranges(numbers: Iterable<number>): string {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let i = 0; i < sorted.length; i += 1) {
    const first = sorted[i] as number;
    while (sorted[i + 1] === (sorted[i] as number) + 1) i += 1;
    const last = sorted[i] as number;
    parts.push(first === last ? `${first}` : `${first}-${last}`);
  }
  return parts.join(",");
}
