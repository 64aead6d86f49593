// The chosen cell in every n-th frame of its life.

import { computed } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { get } from "../base/api.js";
import { column, type Table, type Values } from "../base/binary.js";
import { rgb } from "../base/colours.js";
import { StateOf } from "../base/Says.js";
import { resource } from "../base/resource.js";
import { hoursAndMinutes } from "../base/units.js";
import { barOf } from "../picture/bar.js";
import { spread } from "./family.js";
import { at, cell, cells, chooseCell, fov, layers, rowOfCell, t } from "./state.js";

const MOST = 24;

/** The layer that the strip shows: the first fluorescence that is shown, or what else is. */
const shown = computed(() => {
  const all = layers.value.filter((each) => each.isShown);
  return all.find((each) => each.layer.kind !== "phase") ?? all[0] ?? layers.value[0];
});

/** Side of the squares on the screen. */
const SHOWN = 84;

const question = computed(() => {
  const where = cell.value === null ? undefined : rowOfCell.value.get(cell.value);
  const table = cells.value.value;
  const layer = shown.value?.layer;
  if (cell.value === null || where === undefined || !table || !layer || !fov.value.value) return null;
  const frames = spread(table.first_frame[where] as number, table.last_frame[where] as number, MOST);
  return {
    at: at.value,
    fov: fov.value.value.fov,
    cell: cell.value,
    kind: layer.kind,
    channel: layer.channel,
    frames,
  };
});
type Asks = NonNullable<typeof question.value>;
const asked = computed(() => (question.value ? JSON.stringify(question.value) : null));

const strip = resource(
  () => asked.value,
  async (text, abort) => {
    const asks = JSON.parse(text) as Asks;
    return { asks, table: await get("/api/strip", asks, abort) };
  },
);

export function FilmStrip() {
  const found = strip.value.value;
  if (strip.error.value) return <StateOf of={strip} what="the film strip" />;
  if (fov.value.value && !shown.value) {
    return <p class="quiet pad">There is no film strip, for this position has no images any more, or none yet.</p>;
  }
  if (!found) return <p class="quiet pad">{strip.loading.value ? "reading the film strip …" : ""}</p>;
  const { table, asks } = found;
  return <Strip table={table} asks={asks} />;
}

function Strip(props: { table: Table; asks: Asks }) {
  const { table, asks } = props;
  const box = useRef<HTMLOListElement>(null);
  const place = asks.frames.findLastIndex((frame) => frame <= t.value);
  useEffect(() => {
    const element = box.current;
    const item = element?.children[Math.max(place, 0)] as HTMLElement | undefined;
    if (!element || !item) return;
    const left = item.offsetLeft - element.offsetLeft;
    if (left < element.scrollLeft) element.scrollLeft = left - 8;
    else if (left + item.offsetWidth > element.scrollLeft + element.clientWidth) {
      element.scrollLeft = left + item.offsetWidth - element.clientWidth + 8;
    }
  }, [place, table]);
  const seen = column(table, "seen");
  // The same for all cells of a position, so that sizes can be compared.
  const side = Math.round(Math.sqrt(column(table, "pixels").length / asks.frames.length));
  const bar = barOf(SHOWN / side, fov.value.value?.pixel_size_um ?? null, SHOWN * 0.5);
  return (
    <ol class="strip" aria-label="film strip" ref={box}>
      {asks.frames.map((frame, i) => {
        const minutes = fov.value.value?.times_min[frame];
        const isNow = i === place;
        return (
          <li key={frame} aria-current={isNow ? "true" : undefined} class={seen[i] ? "" : "gap"}>
            <button type="button" onClick={() => chooseCell(asks.cell, frame)}>
              <span class="square">
                <Square table={table} i={i} side={side} />
                {i === Math.max(place, 0) && (
                  <span class="strip-bar" style={{ width: `${bar.pixels}px` }}>
                    {bar.words}
                  </span>
                )}
              </span>
              <span>
                {frame}
                {typeof minutes === "number" && <span class="quiet"> {hoursAndMinutes(minutes)}</span>}
                {!seen[i] && <span class="quiet"> not seen</span>}
              </span>
            </button>
          </li>
        );
      })}
    </ol>
  );
}

function Square(props: { table: Table; i: number; side: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { table, i, side } = props;
  const layer = shown.value;
  const [low, high, colour] = [layer?.low ?? 0, layer?.high ?? 1, layer?.colour ?? "#ffffff"];
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    const area = side * side;
    const pixels = column(table, "pixels").subarray(i * area, (i + 1) * area);
    const inside = column(table, "inside").subarray(i * area, (i + 1) * area);
    context.putImageData(painted(pixels, inside, side, low, high, colour), 0, 0);
  }, [table, i, side, low, high, colour]);
  return <canvas ref={canvas} width={side} height={side} />;
}

/** A square in colour, with the outline of the cell. */
function painted(
  pixels: Values, inside: Values, side: number, low: number, high: number, colour: string,
): ImageData {
  const image = new ImageData(side, side);
  const tint = rgb(colour);
  const isIn = (x: number, y: number) =>
    x >= 0 && y >= 0 && x < side && y < side && inside[y * side + x] === 1;
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const k = y * side + x;
      const value = Math.min(Math.max(((pixels[k] as number) - low) / (high - low), 0), 1) * 255;
      const isEdge =
        isIn(x, y) && !(isIn(x - 1, y) && isIn(x + 1, y) && isIn(x, y - 1) && isIn(x, y + 1));
      for (let c = 0; c < 3; c++) {
        image.data[k * 4 + c] = isEdge ? 255 : value * (tint[c] as number);
      }
      image.data[k * 4 + 3] = 255;
    }
  }
  return image;
}
