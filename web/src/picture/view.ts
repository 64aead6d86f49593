// Which part of an image is seen in a picture: pure arithmetic.
// `scale` is pixels of the screen per pixel of the image; (x, y) is the place in the image, in
// pixels from its upper left corner, that is in the middle of the picture.

export interface View {
  readonly scale: number;
  readonly x: number;
  readonly y: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

const LARGEST_SCALE = 64;
const MOST_LEVEL = 6;

/** The view that shows a whole image. */
export function fitting(image: Size, picture: Size): View {
  const scale = Math.min(picture.width / image.width, picture.height / image.height);
  return { scale: scale > 0 ? scale : 1, x: image.width / 2, y: image.height / 2 };
}

/** Zoom by a factor; what is under a place of the picture stays there. */
export function zoomed(view: View, factor: number, px: number, py: number, picture: Size): View {
  const scale = Math.min(Math.max(view.scale * factor, 0.01), LARGEST_SCALE);
  const [ix, iy] = toImage(view, px, py, picture);
  return {
    scale,
    x: ix - (px - picture.width / 2) / scale,
    y: iy - (py - picture.height / 2) / scale,
  };
}

export function moved(view: View, dx: number, dy: number): View {
  return { ...view, x: view.x - dx / view.scale, y: view.y - dy / view.scale };
}

/** The view in which a place of the image is certainly seen, moved no more than needed. */
export function showing(view: View, ix: number, iy: number, picture: Size, margin = 40): View {
  const halfWidth = Math.max(picture.width / 2 - margin, 0) / view.scale;
  const halfHeight = Math.max(picture.height / 2 - margin, 0) / view.scale;
  return {
    ...view,
    x: Math.min(Math.max(view.x, ix - halfWidth), ix + halfWidth),
    y: Math.min(Math.max(view.y, iy - halfHeight), iy + halfHeight),
  };
}

/** The place in the image that is seen at a place of the picture. */
export function toImage(view: View, px: number, py: number, picture: Size): [number, number] {
  return [
    view.x + (px - picture.width / 2) / view.scale,
    view.y + (py - picture.height / 2) / view.scale,
  ];
}

/** The place in the picture at which a place of the image is seen. */
export function toPicture(view: View, ix: number, iy: number, picture: Size): [number, number] {
  return [
    picture.width / 2 + (ix - view.x) * view.scale,
    picture.height / 2 + (iy - view.y) * view.scale,
  ];
}

/** How much smaller an image is enough for a scale: 2**level pixels make one. */
export function levelFor(scale: number): number {
  if (scale >= 1) return 0;
  return Math.min(Math.floor(Math.log2(1 / scale) + 1e-6), MOST_LEVEL);
}

/** A view as the address has it: scale, x and y. */
export function formatView(view: View): string {
  return [Number(view.scale.toPrecision(4)), view.x.toFixed(1), view.y.toFixed(1)].map(Number).join(",");
}

/** The view that a text stands for; null if it is none. */
export function parseView(text: string): View | null {
  const parts = text.split(",").map((each) => (each.trim() ? Number(each) : NaN));
  const [scale = NaN, x = NaN, y = NaN] = parts;
  if (parts.length !== 3 || !parts.every(Number.isFinite)) return null;
  return scale >= 0.01 && scale <= LARGEST_SCALE ? { scale, x, y } : null;
}
