// Colours of cells, samples, verdicts and channels, which colour-blind people can tell apart.

export type Rgb = readonly [number, number, number];

/** After Okabe and Ito, without black and in an order in which neighbours differ much. */
export const PALETTE: readonly string[] = [
  "#56b4e9",
  "#e69f00",
  "#009e73",
  "#cc79a7",
  "#f0e442",
  "#0072b2",
  "#d55e00",
];

/** What colours are mixed with when all were used once, twice: they stay apart in lightness. */
const TINTS: readonly (readonly [number, number])[] = [[0, 0], [255, 0.55], [0, 0.45]];

/** The colour of a sample by its place among all, the same wherever it is shown. */
export function ofSample(place: number): string {
  const colour = PALETTE[place % PALETTE.length] as string;
  const [goal, share] = TINTS[Math.floor(place / PALETTE.length) % TINTS.length] as readonly [number, number];
  const parts = rgb(colour).map((part) => Math.round(part * 255 * (1 - share) + goal * share));
  return `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

export const VERDICTS = { good: "#56b4e9", bad: "#d55e00", unknown: "#9a9a9a" } as const;

export function ofCell(cell: number): string {
  return PALETTE[cell % PALETTE.length] as string;
}

export function rgb(hex: string): Rgb {
  const value = parseInt(hex.slice(1), 16);
  return [(value >> 16) / 255, ((value >> 8) & 255) / 255, (value & 255) / 255];
}

/** The colour of a fluorescence channel: by its emission where that is known, else by its place. */
export function ofChannel(emissionNm: number | null, place: number): string {
  if (emissionNm === null) return ["#40ff60", "#ff50d8", "#40c8ff", "#ffb020"][place % 4] as string;
  if (emissionNm < 490) return "#5090ff";
  if (emissionNm < 515) return "#30e0e0";
  if (emissionNm < 560) return "#40ff60";
  if (emissionNm < 590) return "#ffd030";
  if (emissionNm < 625) return "#ff7030";
  if (emissionNm < 680) return "#ff50a0";
  return "#e040ff";
}
