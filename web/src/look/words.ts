// Names as people say them, and as the address has them.

/** `intensity_total_GFP` as people say it. */
export function inWords(column: string): string {
  const units: Record<string, string> = { area: " (px)", perimeter: " (px)" };
  return column.replaceAll("_", " ") + (units[column] ?? "");
}

/** Several names in one part of the address; a comma within a name is written otherwise. */
export function formatWords(words: readonly string[]): string {
  return words.map((each) => each.replaceAll("%", "%25").replaceAll(",", "%2C").replaceAll(":", "%3A")).join(",");
}

export function readWords(text: string): readonly string[] {
  return text.split(",").map(unescaped);
}

function unescaped(word: string): string {
  return word.replaceAll("%3A", ":").replaceAll("%2C", ",").replaceAll("%25", "%");
}

export type Limits = readonly [number, number];

/** `GFP:100:2000` of each layer whose contrast was set. */
export function formatContrasts(contrasts: ReadonlyMap<string, Limits>): string {
  const plain = (value: number) => Number(value.toPrecision(6));
  return [...contrasts].map(([id, [low, high]]) => `${formatWords([id])}:${plain(low)}:${plain(high)}`).join(",");
}

export function parseContrasts(text: string): ReadonlyMap<string, Limits> {
  const found = new Map<string, Limits>();
  for (const part of text.split(",")) {
    const [id = "", ...numbers] = part.split(":");
    const [low = NaN, high = NaN] = numbers.map((each) => (each ? Number(each) : NaN));
    if (numbers.length === 2 && Number.isFinite(low) && Number.isFinite(high) && low < high) {
      found.set(unescaped(id), [low, high]);
    }
  }
  return found;
}
