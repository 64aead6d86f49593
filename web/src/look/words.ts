// Names of columns as people say them.

/** `intensity_total_GFP` as people say it. */
export function inWords(column: string): string {
  const units: Record<string, string> = { area: " (px)", perimeter: " (px)" };
  return column.replaceAll("_", " ") + (units[column] ?? "");
}
