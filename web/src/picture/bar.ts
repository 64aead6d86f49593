// Scale bars: a round length, as long as there is room for.

export interface Bar {
  /** In pixels. */
  readonly pixels: number;
  readonly words: string;
}

/** The bar of a round length that takes no more than some pixels. */
export function barOf(pixelsPerPixel: number, pixelSizeUm: number | null, most: number): Bar {
  const perUnit = pixelsPerPixel / (pixelSizeUm ?? 1);
  const rough = most / perUnit;
  const power = 10 ** Math.floor(Math.log10(rough));
  const length = [5, 2, 1].map((n) => n * power).find((each) => each <= rough) ?? power;
  const words = `${Number(length.toPrecision(2))} ${pixelSizeUm === null ? "px" : "µm"}`;
  return { pixels: length * perUnit, words };
}
