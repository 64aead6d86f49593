// The ticks of an axis of time: round numbers of the unit in which they are told.

const MINUTES = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30].map((each) => each / 60);
const SPACE = 60; // pixels

/** Whether times, which are in hours, are told in minutes. */
export function inMinutes(unit: string | undefined, min: number, max: number): boolean {
  return unit === "h" && max - min < 2;
}

/** Where ticks are; no closer than can be read. */
export function ticks(unit: string | undefined, min: number, max: number, width: number): number[] {
  const most = Math.max(width / SPACE, 1);
  const step = steps(unit, min, max).find((each) => (max - min) / each <= most);
  if (step === undefined) return [];
  const [first, last] = [Math.ceil(min / step - 1e-6), Math.floor(max / step + 1e-6)];
  return Array.from({ length: Math.max(last - first + 1, 0) }, (_, i) => (first + i) * step);
}

/** What stands at ticks. */
export function labels(
  unit: string | undefined,
  min: number,
  max: number,
  at: readonly number[],
): string[] {
  const told = (value: number, digits: number) => `${Number(value.toFixed(digits))}`;
  if (inMinutes(unit, min, max)) return at.map((hours) => `${told(hours * 60, 1)} min`);
  return at.map((value) => (unit === "h" ? `${told(value, 3)} h` : `${value}`));
}

function steps(unit: string | undefined, min: number, max: number): number[] {
  if (inMinutes(unit, min, max)) return MINUTES;
  const smallest = unit === "h" ? -1 : 0; // there is no half a frame
  return Array.from({ length: 30 }, (_, i) => [1, 2, 5][i % 3]! * 10 ** (smallest + Math.floor(i / 3)));
}
