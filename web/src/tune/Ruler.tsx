// A circle over the picture that is as large as a cell is taken for: its rim sets the diameter, its
// middle moves it onto a cell.

import { signal } from "@preact/signals";
import { toImage, toPicture } from "../picture/view.js";
import { source } from "../setup/state.js";
import { diameter, image, ruled, setDiameter, size, view } from "./state.js";

/** Where it is, in pixels of the image; in the middle as long as nobody moved it. */
const centre = signal<readonly [number, number] | null>(null);
/** As large as it is dragged, until that is found to be so. */
const dragged = signal<number | null>(null);

export function Ruler() {
  const pixels = dragged.value ?? diameter.value;
  const now = view.value;
  if (!ruled.value || !now || !image.value || pixels === null) return null;
  const ratio = window.devicePixelRatio || 1;
  const [ix, iy] = centre.value ?? [image.value.width / 2, image.value.height / 2];
  const [cx, cy] = toPicture(now, ix, iy, size.value).map((each) => each / ratio) as [number, number];
  const r = (pixels / 2) * (now.scale / ratio);
  const um = source.value.value?.pixel_size_um;
  const words = `${pixels.toFixed(0)} px${um ? ` · ${(pixels * um).toPrecision(3)} µm` : ""}`;

  const place = (event: PointerEvent): [number, number] => {
    const box = (event.currentTarget as Element).closest(".picture")?.getBoundingClientRect();
    const [left, top] = [box?.left ?? 0, box?.top ?? 0];
    return toImage(now, (event.clientX - left) * ratio, (event.clientY - top) * ratio, size.value);
  };
  const begin = (event: PointerEvent) => {
    if (event.button !== 0) return;
    event.stopPropagation();
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
  };
  const isHeld = (event: PointerEvent) =>
    (event.currentTarget as Element).hasPointerCapture(event.pointerId);
  const onRim = (event: PointerEvent) => {
    if (!isHeld(event)) return;
    const [x, y] = place(event);
    const next = Math.max(Math.round(2 * Math.hypot(x - ix, y - iy)), 2);
    if (next === dragged.peek()) return;
    dragged.value = next;
    setDiameter(next);
  };
  const onMiddle = (event: PointerEvent) => {
    if (isHeld(event)) centre.value = place(event);
  };
  const onKey = (event: KeyboardEvent) => {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    setDiameter(Math.round(pixels) + by * (event.shiftKey ? 10 : 1));
  };
  return (
    <>
      <svg class="tune-over">
        <circle class="ruler-shade" cx={cx} cy={cy} r={r} />
        <circle class="ruler-line" cx={cx} cy={cy} r={r} />
        <circle class="ruler-middle" cx={cx} cy={cy} r={7} onPointerDown={begin} onPointerMove={onMiddle}>
          <title>move the ruler onto a cell</title>
        </circle>
        <circle
          class="ruler-rim"
          cx={cx}
          cy={cy}
          r={r}
          role="slider"
          tabIndex={0}
          aria-label="cell diameter"
          aria-valuenow={Math.round(pixels)}
          aria-valuetext={words}
          onPointerDown={begin}
          onPointerMove={onRim}
          onLostPointerCapture={() => (dragged.value = null)}
          onKeyDown={onKey}
        >
          <title>drag to set the cell diameter (arrow keys: by a pixel)</title>
        </circle>
      </svg>
      <output class="ruler-words" style={{ left: `${cx}px`, top: `${cy + r + 4}px` }}>⌀ {words}</output>
    </>
  );
}
