// The picture of a field of view: its layers, the outlines of its cells, and the slider of frames.

import { computed, effect, signal, untracked } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { PALETTE, rgb, VERDICTS } from "../base/colours.js";
import type { AskFrame } from "../base/messages.js";
import { popover, useKeysOf, withKey } from "../base/keys.js";
import { Says, StateOf } from "../base/Says.js";
import { count, hoursAndMinutes } from "../base/units.js";
import { Picture } from "../picture/Picture.js";
import { labelAt, type DrawnLayer, type Lookup, type Scene } from "../picture/renderer.js";
import {
  fitting,
  formatView,
  levelFor,
  parseView,
  showing,
  toPicture,
  zoomed,
  type Size,
  type View,
} from "../picture/view.js";
import { rowAt } from "../traces/traces.js";
import { Contrast } from "./Contrast.js";
import {
  at,
  cell,
  cells,
  chooseCell,
  escape,
  fov,
  fovNumber,
  frames,
  goToFrame,
  hovered,
  layers,
  outlines,
  OUTLINES,
  row,
  rowOfCell,
  sampleColour,
  second,
  t,
  toggleLayer,
  traces,
} from "./state.js";
import { part, shift } from "../base/address.js";
import { Save } from "./Save.js";
import { savePicture, type Shown } from "./saving.js";
import { barOf } from "../picture/bar.js";

const AHEAD = 6;
const PERIOD_MS = 100;

const size = signal<Size>({ width: 0, height: 0 });
/** What a person zoomed to, as the address tells; null shows the whole image. */
const chosenView = computed<View | null>(() => parseView(viewPart.value));
const viewPart = part("view");
function setView(view: View | null): void {
  shift({ view: view && formatView(view) });
}
const playing = signal(false);
/** Which way frames were gone through last, so that those to come are fetched ahead. */
const direction = signal<1 | -1>(1);

const image = computed<Size | null>(() => {
  const known = fov.value.value;
  return known && known.width ? { width: known.width, height: known.height } : null;
});

export const view = computed<View | null>(() => {
  if (!image.value || !size.value.width) return null;
  return chosenView.value ?? fitting(image.value, size.value);
});

const level = computed(() => (view.value ? levelFor(view.value.scale) : 0));

/** The frames of all layers that are shown, at a time. */
function asksAt(frame: number): AskFrame[] {
  const known = fov.value.value;
  if (!known) return [];
  const base = { at: at.value, fov: known.fov, t: frame, level: level.value };
  const wanted: AskFrame[] = layers.value
    .filter((each) => each.isShown)
    .map(({ layer }) => ({ ...base, kind: layer.kind, channel: layer.channel }));
  if (known.has_labels) wanted.push({ ...base, kind: "labels" });
  return wanted;
}

// Fetch what is shown first, then what will be.
effect(() => {
  const known = fov.value.value;
  if (!known || !view.value) {
    return;
  }
  const wanted = asksAt(t.value);
  for (let i = 1; i <= AHEAD; i++) {
    const next = t.value + i * direction.value;
    if (next >= 0 && next < known.n_frames) wanted.push(...asksAt(next));
  }
  untracked(() => frames.want(wanted));
});

const colours = computed<Lookup>(() => {
  const table = cells.value.value;
  const by = outlines.value;
  const largest = table ? table.cell.reduce((most, each) => Math.max(most, each), 0) : 0;
  const n = table ? Math.min(largest, 4_000_000) + 1 : 0;
  const rgba = new Uint8Array(n * 4);
  const put = (number: number, colour: string) => {
    if (number >= n) return;
    rgba.set(rgb(colour).map((value) => Math.round(value * 255)), number * 4);
    rgba[number * 4 + 3] = 255;
  };
  const ofSample = sampleColour(row.value?.sample ?? "");
  table?.cell.forEach((number, i) => {
    if (by === "cell") put(number, PALETTE[number % PALETTE.length] as string);
    else if (by === "sample") put(number, ofSample);
    else {
      const good = table.good[i];
      put(number, good === null ? VERDICTS.unknown : good ? VERDICTS.good : VERDICTS.bad);
    }
  });
  lookups += 1;
  return { key: `${lookups}`, rgba };
});
let lookups = 0;
const palette = PALETTE.map(rgb);

/** What was drawn last, which stays until the next is there. */
let lastScene: Scene | null = null;

const scene = computed<Scene | null>(() => {
  frames.news.value;
  const known = fov.value.value;
  if (!known || !view.value || !image.value) return null;
  const shown = layers.value.filter((each) => each.isShown);
  const base = { at: at.value, fov: known.fov, t: t.value, level: level.value };
  const drawn: DrawnLayer[] = [];
  for (const each of shown) {
    const asks: AskFrame = { ...base, kind: each.layer.kind, channel: each.layer.channel };
    const pixels = frames.get(asks);
    if (!pixels) {
      if (frames.failure(asks) === undefined) return keepLast(view.value);
      continue;
    }
    const { low, high } = each;
    const key = `${each.id} ${base.fov} ${base.t} ${base.level} ${frames.generation}`;
    drawn.push({ key, pixels, low, high, colour: rgb(each.colour) });
  }
  const labels = known.has_labels ? frames.get({ ...base, kind: "labels" }) : undefined;
  if (known.has_labels && !labels && frames.failure({ ...base, kind: "labels" }) === undefined) {
    return keepLast(view.value);
  }
  lastScene = {
    view: view.value,
    ...image.value,
    layers: drawn,
    outlines:
      labels && (outlines.value !== "none" || cell.value !== null)
        ? {
            key: `labels ${base.fov} ${base.t} ${base.level} ${frames.generation}`,
            labels,
            lookup: outlines.value === "none" ? { key: "none", rgba: new Uint8Array(4_000) } : colours.value,
            palette,
            chosen: cell.value ?? 0,
            second: second.value ?? 0,
            hovered: hovered.value ?? 0,
          }
        : null,
    background: [0.07, 0.075, 0.085],
  };
  return lastScene;
});

function keepLast(now: View): Scene | null {
  return lastScene && { ...lastScene, view: now };
}

// The picture of one field of view says nothing of another.
effect(() => {
  fovNumber.value;
  at.value;
  lastScene = null;
});

/** Labels of the frame that is shown, for clicks. */
function cellAt(ix: number, iy: number): number | null {
  const known = fov.value.peek();
  if (!known) return null;
  const asks: AskFrame = {
    at: at.peek(), fov: known.fov, t: t.peek(), level: level.peek(), kind: "labels",
  };
  const labels = frames.get(asks);
  return (labels && labelAt(labels, ix, iy, known.width, known.height)) || null;
}

export function step(by: number): void {
  direction.value = by < 0 ? -1 : 1;
  goToFrame(t.peek() + by);
}

// Playing: a frame is shown when it is there, and not before its time.
effect(() => {
  if (!playing.value) return;
  direction.value = 1;
  const timer = setInterval(() => {
    const n = fov.value.peek()?.n_frames ?? 0;
    if (!n) return;
    const next = t.peek() + 1 < n ? t.peek() + 1 : 0;
    if (isThere(t.peek())) goToFrame(next);
  }, PERIOD_MS);
  return () => clearInterval(timer);
});

/** Where the chosen cell is in the image. */
function placeOfChosen(): readonly [number, number] | null {
  const found = traces.value.value;
  const where = found && cell.value !== null ? untracked(() => rowAt(found, cell.value as number, t.value)) : -1;
  return found && where >= 0 ? [found.positionX[where] as number, found.positionY[where] as number] : null;
}

// A cell that is chosen is seen.
effect(() => {
  const place = placeOfChosen();
  const current = chosenView.peek();
  if (!place || !current) return;
  const next = showing(current, ...place, size.peek());
  if (formatView(next) !== formatView(current)) untracked(() => setView(next));
});

/** Zoom to the chosen cell, or to the middle. */
function zoom(factor: number): void {
  const [now, picture] = [view.peek(), size.peek()];
  if (!now) return;
  const place = untracked(placeOfChosen);
  const at = place ? toPicture(now, ...place, picture) : ([picture.width / 2, picture.height / 2] as const);
  setView(zoomed(now, factor, ...at, picture));
}

function shownNow(): Shown | null {
  return view.peek() && image.peek() ? { view: view.peek() as View, image: image.peek() as Size } : null;
}

/** Whether all that is shown of a frame is there, or known not to be. */
function isThere(frame: number): boolean {
  return asksAt(frame).every((asks) => frames.get(asks) || frames.failure(asks) !== undefined);
}

function fit(): void {
  setView(null);
}

const KEYS = [
  { key: "ArrowRight", words: "next frame", act: () => step(1) },
  { key: "ArrowLeft", words: "frame before", act: () => step(-1) },
  { key: "Shift+ArrowRight", words: "ten frames on", act: () => step(10) },
  { key: "Shift+ArrowLeft", words: "ten frames back", act: () => step(-10) },
  { key: "Home", words: "first frame", act: () => goToFrame(0) },
  { key: "End", words: "last frame", act: () => goToFrame(1e9) },
  { key: " ", words: "play, or stop", act: () => (playing.value = !playing.value) },
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => ({
    key: String(n),
    words: `show or hide channel ${n}`,
    act: () => {
      const each = layers.value[n - 1];
      if (each) toggleLayer(each.id);
    },
  })),
  { key: "o", words: "outlines by verdict, by cell, by sample, or none", act: nextOutlines },
  { key: "s", words: "save what is seen as a picture", act: () => void (shownNow() && savePicture(shownNow() as Shown)) },
  { key: "+", words: "zoom in, to the chosen cell", act: () => zoom(1.25) },
  { key: "-", words: "zoom out", act: () => zoom(0.8) },
  { key: "f", words: "the whole image", act: fit },
  { key: "Escape", words: "choose no cell", act: escape },
];

function nextOutlines(): void {
  const next = OUTLINES[(OUTLINES.indexOf(outlines.peek()) + 1) % OUTLINES.length] as string;
  shift({ outlines: next });
}

export function FovPicture() {
  useEffect(() => useKeysOf("Picture", KEYS), []);
  useEffect(
    () => () => {
      playing.value = false;
      popover.value = "";
    },
    [],
  );
  const known = fov.value.value;
  const failures = known ? asksAt(t.value).map((asks) => (frames.news.value, frames.failure(asks))) : [];
  const failure = failures.find((each) => each !== undefined);
  return (
    <section class="look-picture" aria-label="picture">
      <Picture
        scene={scene}
        label={`${known?.title ?? ""}, frame ${t.value}`}
        onSize={(now) => {
          size.value = now;
        }}
        onView={(change) => {
          if (view.peek()) setView(change(view.peek() as View, size.peek()));
        }}
        onClick={(ix, iy) => chooseCell(cellAt(ix, iy))}
        onHover={(ix, iy) => {
          hovered.value = cellAt(ix, iy);
        }}
        onLeave={() => {
          hovered.value = null;
        }}
      >
        <StateOf of={fov} what="this position" />
        {known && !(known.n_frames && known.layers.length) && (
          <NothingToShow missing={known.missing} />
        )}
        {failure && (
          <p class="problem over">
            {failure}{" "}
            <button type="button" onClick={() => frames.retry()}>
              try again
            </button>
          </p>
        )}
        <CellLabel />
        <Waiting />
        <ScaleBar />
      </Picture>
      <Controls />
    </section>
  );
}

function NothingToShow(props: { missing: readonly string[] }) {
  return (
    <Says title="There is no picture of this position">
      <ul>
        {props.missing.slice(0, 6).map((each) => (
          <li key={each}>{each}</li>
        ))}
      </ul>
    </Says>
  );
}

/** That the frame is on its way, should that take a while. */
function Waiting() {
  frames.news.value;
  if (!fov.value.value || isThere(t.value)) return null;
  return <p class="cell-label waiting" role="status">reading frame {t.value} …</p>;
}

/** What is under the mouse, or chosen. */
function CellLabel() {
  const number = hovered.value ?? cell.value;
  if (number === null) return null;
  const where = rowOfCell.value.get(number);
  const table = cells.value.value;
  const good = where === undefined ? null : (table?.good[where] ?? null);
  const reason = where === undefined ? "" : (table?.reason[where] ?? "");
  return (
    <p class="cell-label">
      cell {number}
      {good !== null && <Mark good={good} />}
      {reason}
    </p>
  );
}

export function Mark(props: { good: boolean | null }) {
  if (props.good === null) return <span class="mark">·</span>;
  return <span class={props.good ? "mark good" : "mark bad"}>{props.good ? "✓" : "✕"}</span>;
}

/** A bar of a round length in micrometres, or pixels. */
function ScaleBar() {
  const known = fov.value.value;
  if (!view.value || !known) return null;
  const perPixel = view.value.scale / (window.devicePixelRatio || 1);
  const bar = barOf(perPixel, known.pixel_size_um, 110);
  return (
    <div class="scale-bar" style={{ width: `${bar.pixels}px` }}>
      {bar.words}
    </div>
  );
}

function Controls() {
  const known = fov.value.value;
  const last = Math.max((known?.n_frames ?? 1) - 1, 0);
  const minutes = known?.times_min[t.value];
  return (
    <div class="controls">
      <div class="time">
        <button
          type="button"
          title={withKey(playing.value ? "stop" : "play", " ")}
          aria-label={playing.value ? "stop" : "play"}
          onClick={() => {
            playing.value = !playing.value;
          }}
        >
          {playing.value ? "❚❚" : "▶"}
        </button>
        <button
          type="button"
          title={withKey("frame before", "ArrowLeft")}
          aria-label="frame before"
          onClick={() => step(-1)}
        >
          ◂
        </button>
        <button
          type="button"
          title={withKey("next frame", "ArrowRight")}
          aria-label="next frame"
          onClick={() => step(1)}
        >
          ▸
        </button>
        <input
          type="range"
          min={0}
          max={last}
          value={t.value}
          aria-label="frame"
          onInput={(event) => {
            const next = Number(event.currentTarget.value);
            direction.value = next < t.peek() ? -1 : 1;
            goToFrame(next);
          }}
        />
        <output>
          <b>{t.value}</b>
          <span class="quiet"> / {last}</span>
          {typeof minutes === "number" && <span> · {hoursAndMinutes(minutes)}</span>}
        </output>
        {known && known.layers.length > 0 && <Save shown={shownNow} isThere={isThere} />}
      </div>
      <div class="layers">
        {layers.value.map((each, i) => (
          <Contrast key={each.id} shown={each} place={i} />
        ))}
        {known?.has_labels && (
          <label class="outlines" title={withKey("outlines", "o")}>
            outlines
            <select
              value={outlines.value}
              onChange={(event) => shift({ outlines: event.currentTarget.value })}
            >
              <option value="verdict">by verdict</option>
              <option value="cell">by cell</option>
              <option value="sample">by sample</option>
              <option value="none">none</option>
            </select>
          </label>
        )}
        <button type="button" class="quiet" title={withKey("the whole image", "f")} onClick={fit}>
          fit
        </button>
        {known && known.layers.length > 0 && known.missing.length > 0 && (
          <details class="missing">
            <summary>! {count(known.missing.length, "output")} missing</summary>
            <ul>
              {known.missing.map((each) => (
                <li key={each}>{each}</li>
              ))}
            </ul>
          </details>
        )}
      </div>
    </div>
  );
}
