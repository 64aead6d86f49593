// The pictures of Tune: a frame with what was found in it, alone or beside others, all of the same
// part of the image.

import { computed, type ReadonlySignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { ofCell, PALETTE, rgb, type Rgb } from "../base/colours.js";
import { column } from "../base/binary.js";
import { count } from "../base/units.js";
import { barOf } from "../picture/bar.js";
import { Picture } from "../picture/Picture.js";
import type { DrawnLayer, DrawnOutlines, Scene } from "../picture/renderer.js";
import { toPicture } from "../picture/view.js";
import { cells, source } from "../setup/state.js";
import { Ruler } from "./Ruler.js";
import {
  askFrame, cellRange, channel, correction, frames, image, level, one, outlinesShown, paths,
  readingOf, setView, show, side, size, t, three, tracks, tracksAreNew, view,
} from "./state.js";

const GREY: Rgb = [1, 1, 1];
const palette = PALETTE.map(rgb);
const NO_LOOKUP = { key: "none", rgba: new Uint8Array(0) };

interface Content {
  readonly layers: readonly DrawnLayer[];
  readonly outlines: DrawnOutlines | null;
}

/** What is drawn: nothing as long as there is nothing, and then the last until there is the next. */
function useScene(content: () => Content | null, key: unknown): ReadonlySignal<Scene | null> {
  return useMemo(() => {
    let last: Content | null = null;
    return computed<Scene | null>(() => {
      if (!view.value || !image.value) return null;
      last = content() ?? last;
      return (
        last && { view: view.value, ...image.value, ...last, background: [0.07, 0.075, 0.085] }
      );
    });
  }, [key]);
}

function outlinesOf(number: number | undefined, name: string): DrawnOutlines | null {
  if (number === undefined || !outlinesShown.value) return null;
  const labels = readingOf(number, name, level.value);
  return labels
    ? {
        key: `${number} ${name} ${level.value}`, labels, lookup: NO_LOOKUP, palette,
        chosen: 0, second: 0, hovered: 0,
      }
    : null;
}

/** The frame of a channel of the file, once it is here. */
function frameOf(number: number | null, frame: number): DrawnLayer | null {
  frames.news.value;
  const range = cellRange.value.value;
  if (number === null || !range) return null;
  const asks = askFrame(number, frame);
  const pixels = frames.get(asks);
  if (!pixels) return null;
  return { key: `frame ${asks.fov} ${number} ${frame} ${asks.level}`, pixels, ...range, colour: GREY };
}

/** Of cells: the frame, and the outlines of what was found in it. */
function cellsAt(frame: number, number: number | undefined, name = "labels"): Content | null {
  const layer = frameOf(cells.value, frame);
  if (!layer) return null;
  const outlines = outlinesOf(number, name);
  // The last ones stay until the new are here.
  if (number !== undefined && !outlines && outlinesShown.value) return null;
  return { layers: [layer], outlines };
}

interface OneProps {
  readonly scene: ReadonlySignal<Scene | null>;
  readonly label: string;
  readonly caption: ComponentChildren;
  readonly problem?: string;
  readonly isFirst?: boolean;
  readonly children?: ComponentChildren;
}

function One(props: OneProps) {
  return (
    <figure class="tune-picture">
      <Picture
        scene={props.scene}
        label={props.label}
        onSize={(now) => {
          if (props.isFirst) size.value = now;
        }}
        onView={(change) => {
          if (view.peek()) setView(change(view.peek() as never, size.peek()));
        }}
      >
        {props.children}
        {props.problem && <p class="problem over" role="alert">{props.problem}</p>}
        {props.isFirst && <ScaleBar />}
      </Picture>
      <figcaption>{props.caption}</figcaption>
    </figure>
  );
}

function ScaleBar() {
  if (!view.value) return null;
  const bar = barOf(
    view.value.scale / (window.devicePixelRatio || 1), source.value.value?.pixel_size_um ?? null, 110,
  );
  return <div class="scale-bar" style={{ width: `${bar.pixels}px` }}>{bar.words}</div>;
}

function failureAt(frame: number): string {
  frames.news.value;
  return cells.value === null ? "" : (frames.failure(askFrame(cells.value, frame)) ?? cellRange.error.value);
}

export function Pictures() {
  const shown = show.value;
  return (
    <div class="tune-pictures">
      {shown === "three" && three.value.map((frame, i) => <OfThree key={i} place={i} frame={frame} />)}
      {shown === "cells" && <Cells key="cells" />}
      {shown === "tracks" && <Tracks key="tracks" />}
      {shown === "background" && <Background key="background" />}
    </div>
  );
}

function Found(props: { of: typeof one; frame: number }) {
  const found = props.of.found.value;
  return (
    <>
      frame <b>{props.frame}</b>
      {found && found.t === props.frame && <> · {count(found.count, "object")}</>}
      {props.of.isBusy.value && <span class="quiet"> · looking for them …</span>}
    </>
  );
}

function Cells() {
  const scene = useScene(() => cellsAt(t.value, newestAt(one, t.value)), "cells");
  return (
    <One
      scene={scene}
      isFirst
      label={`frame ${t.value} with outlines`}
      caption={<Found of={one} frame={t.value} />}
      problem={failureAt(t.value)}
    >
      <Ruler />
    </One>
  );
}

/** The number of what was found in a frame; of another frame, it says nothing here. */
function newestAt(of: typeof one, frame: number): number | undefined {
  const found = of.found.value;
  return found && found.t === frame ? found.number : undefined;
}

function OfThree(props: { place: number; frame: number }) {
  const { place, frame } = props;
  const of = side[place] as typeof one;
  const scene = useScene(() => cellsAt(frame, newestAt(of, frame)), `${place} ${frame}`);
  return (
    <One
      scene={scene}
      isFirst={place === 0}
      label={`frame ${frame} with outlines`}
      caption={<Found of={of} frame={frame} />}
      problem={of.problem.value || failureAt(frame)}
    >
      {place === 0 && <Ruler />}
    </One>
  );
}

function Background() {
  const found = correction.found.value;
  const ofIt = (name: "corrected" | "background", shade: Rgb) => (): Content | null => {
    const now = correction.found.value;
    if (!now) return null;
    const pixels = readingOf(now.number, name, level.value);
    if (!pixels) return null;
    const layer = { key: `${now.number} ${name} ${level.value}`, pixels, ...now[name], colour: shade };
    return { layers: [layer], outlines: name === "corrected" ? outlinesOf(newestAt(one, t.value), "labels") : null };
  };
  const raw = useScene(() => {
    frames.news.value;
    const now = correction.found.value;
    if (channel.value === null || !now) return null;
    const asks = askFrame(channel.value, t.value);
    const pixels = frames.get(asks);
    if (!pixels) return null;
    const layer = { key: `fl ${channel.value} ${t.value} ${asks.level}`, pixels, ...now.raw, colour: GREY };
    return { layers: [layer], outlines: outlinesOf(newestAt(one, t.value), "labels") };
  }, "raw");
  const corrected = useScene(ofIt("corrected", GREY), "corrected");
  const background = useScene(ofIt("background", GREY), "background");
  const words = (low: number, high: number) => `${Math.round(low)} to ${Math.round(high)}`;
  return (
    <>
      <One
        scene={raw}
        isFirst
        label="fluorescence as it was recorded"
        problem={channel.value === null ? "no channel is measured; choose one in Set up" : correction.problem.value}
        caption={<>as recorded{found && <span class="quiet"> · {words(found.raw.low, found.raw.high)}</span>}
          {correction.isBusy.value && <span class="quiet"> · correcting …</span>}</>}
      />
      <One
        scene={background}
        label="background that is taken away"
        caption={<>background{found && <span class="quiet"> · {words(found.background.low, found.background.high)}</span>}</>}
      />
      <One
        scene={corrected}
        label="fluorescence without its background"
        caption={<>corrected{found && <span class="quiet"> · {words(found.corrected.low, found.corrected.high)}</span>}</>}
      />
    </>
  );
}

function Tracks() {
  const found = tracks.found.value;
  const isThere = found?.frames.includes(t.value) ?? false;
  const scene = useScene(() => {
    const now = tracks.found.value;
    return now?.frames.includes(t.value)
      ? cellsAt(t.value, now.number, `labels ${t.value}`)
      : cellsAt(t.value, newestAt(one, t.value));
  }, "tracks");
  return (
    <One
      scene={scene}
      isFirst
      label={`frame ${t.value} with tracks`}
      problem={tracks.problem.value || failureAt(t.value)}
      caption={
        <>
          frame <b>{t.value}</b>
          {found && !isThere && (
            <span class="quiet"> · cells were followed in frames {found.frames[0]} to {found.frames.at(-1)}</span>
          )}
          {found && !tracksAreNew.value && <span class="warn"> · of what was set before: follow again</span>}
        </>
      }
    >
      <Paths />
    </One>
  );
}

/** Where cells were in the frames in which they were followed, up to the one that is shown. */
function Paths() {
  const table = paths.value.value;
  const now = view.value;
  const found = tracks.found.value;
  const lines = useMemo(() => {
    const byCell = new Map<number, { t: number; x: number; y: number }[]>();
    if (!table) return byCell;
    const [cell, frame] = [column(table, "cell"), column(table, "frame")];
    const [x, y] = [column(table, "x"), column(table, "y")];
    cell.forEach((number: number, i: number) => {
      const line = byCell.get(number) ?? [];
      line.push({ t: frame[i] as number, x: x[i] as number, y: y[i] as number });
      byCell.set(number, line);
    });
    return byCell;
  }, [table]);
  if (!now || !found?.frames.includes(t.value)) return null;
  const ratio = window.devicePixelRatio || 1;
  const at = (x: number, y: number) =>
    toPicture(now, x + 0.5, y + 0.5, size.value).map((each) => (each / ratio).toFixed(1)).join(",");
  return (
    <svg class="tune-over" aria-hidden="true">
      {[...lines].map(([cell, line]) => {
        const seen = line.filter((each) => each.t <= t.value);
        const end = seen.at(-1) ?? (line[0] as { t: number; x: number; y: number });
        const [cx, cy] = at(end.x, end.y).split(",");
        return (
          <g key={cell} stroke={ofCell(cell)} fill={ofCell(cell)}>
            <polyline class="tune-path to-come" points={line.map((each) => at(each.x, each.y)).join(" ")} fill="none" />
            <polyline class="tune-path" points={seen.map((each) => at(each.x, each.y)).join(" ")} fill="none" />
            {end.t === t.value && <circle cx={cx} cy={cy} r="2.5" stroke="none" />}
          </g>
        );
      })}
    </svg>
  );
}
