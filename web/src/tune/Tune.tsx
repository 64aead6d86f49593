// Tune: choose how cells are found by looking at what is found. What is set here is what runs.

import { effect } from "@preact/signals";
import { Fragment } from "preact";
import { useEffect } from "preact/hooks";
import { go, shift } from "../base/address.js";
import { useKeysOf, withKey } from "../base/keys.js";
import type { Outlines } from "../base/messages.js";
import { Says, StateOf } from "../base/Says.js";
import { count } from "../base/units.js";
import { NothingOpen, NotRead, SavedWords, ToTheRun } from "../setup/SetUp.js";
import { cells, draft, source, stored } from "../setup/state.js";
import { MethodChoice, Parameters } from "./Parameters.js";
import { Pictures } from "./Pictures.js";
import {
  askFrame, at, channel, correction, current, followCells, fov, fovs, frames, goTo, goToFov, last,
  measured, methods, one, outlinesShown, setView, show, showAs, side, t, three, tracks, type Show,
} from "./state.js";

const VIEWS: readonly [Show, string, string][] = [
  ["cells", "cells", "a frame, and what is found in it"],
  ["three", "first · middle · last", "whether one setting suits the whole movie"],
  ["background", "background", "fluorescence, its background, and what is left of it"],
  ["tracks", "tracks", "cells through ten frames"],
];

// The frames that are shown, and those beside them.
effect(() => {
  const wanted = show.value === "three" ? three.value : [t.value, t.value + 1, t.value - 1];
  const shown = wanted.filter((each) => each >= 0 && each <= last.value);
  if (!fov.value || cells.value === null) return;
  const asks = shown.map((each) => askFrame(cells.value as number, each));
  if (show.value === "background" && channel.value !== null) {
    asks.unshift(askFrame(channel.value, t.value));
  }
  frames.want(asks);
});

const KEYS = [
  { key: "ArrowRight", words: "next frame", act: () => goTo(t.value + 1) },
  { key: "ArrowLeft", words: "frame before", act: () => goTo(t.value - 1) },
  { key: "Shift+ArrowRight", words: "ten frames on", act: () => goTo(t.value + 10) },
  { key: "Shift+ArrowLeft", words: "ten frames back", act: () => goTo(t.value - 10) },
  { key: "Home", words: "first frame", act: () => goTo(0) },
  { key: "End", words: "last frame", act: () => goTo(last.value) },
  { key: "ArrowDown", words: "next position", act: () => nextFov(1) },
  { key: "ArrowUp", words: "position before", act: () => nextFov(-1) },
  { key: "o", words: "outlines, or none", act: () => (outlinesShown.value = !outlinesShown.value) },
  { key: "f", words: "the whole image", act: () => setView(null) },
  ...VIEWS.map(([name, words], i) => ({ key: String(i + 1), words: `show ${words}`, act: () => showAs(name) })),
];

function nextFov(by: number): void {
  const place = fovs.value.findIndex((each) => each.fov === fov.value?.fov) + by;
  const next = fovs.value[place];
  if (next) goToFov(next.fov);
}

export function Tune() {
  useEffect(() => useKeysOf("Tune", KEYS), []);
  if (!at.value) return <NothingOpen />;
  if (source.error.value) return <NotRead />;
  if (!source.value.value) return <StateOf of={source} what="the file" />;
  if (stored.error.value || !draft.value) return <StateOf of={stored} what="what is set up" />;
  if (source.value.value.refusal) {
    return <Says title="This file cannot be tried" isError><p>{source.value.value.refusal}</p></Says>;
  }
  if (!fov.value) return <Says title="No position of this file has a frame" isError />;
  if (cells.value === null) {
    return (
      <Says title="Nobody said yet in which channel cells are found">
        <p>Choose it in Set up; then what is found in it can be seen here.</p>
        <button type="button" class="first" onClick={() => go({ place: "setup" })}>to Set up</button>
      </Says>
    );
  }
  return (
    <div class="tune">
      <section class="tune-main" aria-label="pictures">
        <div class="panel-head">
          <Views />
          <PositionChoice />
        </div>
        <Pictures />
        <Time />
      </section>
      <aside class="tune-side scroll" aria-label="parameters">
        <StateOf of={methods} what="the parameters" />
        <Segmentation />
        {show.value === "background" && <Background />}
        {show.value === "tracks" && <Tracking />}
        <section class="side-section">
          <SavedWords />
          <p class="quiet">What is set here is what runs: it is in run.yaml as soon as it is set.</p>
          <div class="buttons">
            <ToTheRun isReady={cells.value !== null} />
          </div>
        </section>
      </aside>
    </div>
  );
}

function Views() {
  return (
    <span class="choice" role="group" aria-label="what is shown">
      {VIEWS.map(([name, words, about], i) => (
        <button
          key={name}
          type="button"
          aria-pressed={show.value === name}
          title={withKey(about, String(i + 1))}
          onClick={() => showAs(name)}
        >
          {words}
        </button>
      ))}
    </span>
  );
}

function PositionChoice() {
  return (
    <label class="tune-position">
      <span class="quiet">position</span>
      <select
        value={fov.value?.fov}
        title="position (↑, ↓)"
        onChange={(event) => goToFov(Number(event.currentTarget.value))}
      >
        {fovs.value.map((each) => (
          <option key={each.fov} value={each.fov}>
            {each.fov} {each.name}
          </option>
        ))}
      </select>
    </label>
  );
}

function Time() {
  const isFixed = show.value === "three";
  return (
    <div class="controls">
      <div class="time">
        <button type="button" disabled={isFixed} title={withKey("frame before", "ArrowLeft")} aria-label="frame before" onClick={() => goTo(t.value - 1)}>◂</button>
        <button type="button" disabled={isFixed} title={withKey("next frame", "ArrowRight")} aria-label="next frame" onClick={() => goTo(t.value + 1)}>▸</button>
        <input
          type="range" min={0} max={last.value} value={t.value} disabled={isFixed} aria-label="frame"
          onInput={(event) => goTo(Number(event.currentTarget.value))}
        />
        <output>
          {!isFixed && <><b>{t.value}</b><span class="quiet"> / {last.value}</span></>}
        </output>
        <label class="outlines" title={withKey("outlines", "o")}>
          <input type="checkbox" checked={outlinesShown.value} onChange={(event) => (outlinesShown.value = event.currentTarget.checked)} />
          outlines
        </label>
        <button type="button" class="quiet" title={withKey("the whole image", "f")} onClick={() => setView(null)}>fit</button>
      </div>
    </div>
  );
}

function Segmentation() {
  const all = show.value === "three" ? side : [one];
  const problem = all.map((each) => each.problem.value).find((each) => each !== "");
  return (
    <section class="side-section">
      <h2>Cells</h2>
      <MethodChoice step="segmentation" />
      <Parameters step="segmentation" />
      {problem && (
        <p class="problem" role="alert">
          {problem}
          {current.value && <span class="quiet"> The outlines are those of before.</span>}
        </p>
      )}
      {current.value && <FoundPanel found={current.value} isBusy={all.some((each) => each.isBusy.value)} />}
      {!current.value && !problem && <p class="quiet">looking for cells; the first time takes longer …</p>}
    </section>
  );
}

function FoundPanel(props: { found: Outlines; isBusy: boolean }) {
  const { found } = props;
  const um = found.pixel_size_um;
  const length = (pixels: number) =>
    `${pixels.toFixed(pixels < 10 ? 1 : 0)} px${um ? ` · ${(pixels * um).toPrecision(3)} µm` : ""}`;
  return (
    <div class={props.isBusy ? "tune-found busy" : "tune-found"} aria-live="polite">
      <p>
        <b>{count(found.count, "object")}</b> in frame {found.t}
        {found.median_diameter !== null && <>, half of them larger than {length(found.median_diameter)}</>}
        <span class="quiet"> · {found.seconds < 10 ? found.seconds.toFixed(2) : found.seconds.toFixed(0)} s</span>
      </p>
      <Histogram found={found} />
      <dl>
        {found.kind && (
          <>
            <dt>shows</dt>
            <dd>
              {!found.is_sure && <span class="mark warn">?</span>}
              {found.is_sure ? found.kind : `unsure, perhaps ${found.kind}`}
              <span class="quiet"> {found.reason}</span>
            </dd>
            <dt>so it takes</dt>
            <dd>{found.method}</dd>
          </>
        )}
        {found.cell_diameter !== null && (
          <>
            <dt>diameter</dt>
            <dd>
              {length(found.cell_diameter)}
              {found.is_rough && <span class="quiet"> as before; estimating it anew …</span>}
              {!found.found_cells && (
                <span class="warn"> ! a guess: the first, middle and last frame show none</span>
              )}
            </dd>
          </>
        )}
      </dl>
    </div>
  );
}

/** Diameters of what was found; a line marks the one that was assumed. */
function Histogram(props: { found: Outlines }) {
  const { counts, edges, cell_diameter: assumed } = props.found;
  const [first, end] = [edges[0], edges.at(-1)];
  if (first === undefined || end === undefined) return null;
  const most = Math.max(...counts, 1);
  const [from, to] = [Math.min(first, assumed ?? first), Math.max(end, assumed ?? end)];
  const x = (value: number) => (to > from ? (280 * (value - from)) / (to - from) : 140);
  return (
    <svg class="histogram" viewBox="0 0 280 64" role="img" aria-label={`diameters from ${first.toFixed(0)} to ${end.toFixed(0)} pixels`}>
      {counts.map((n, i) => {
        const [a, b] = [x(edges[i] as number), x(edges[i + 1] as number)];
        const height = (46 * n) / most;
        return <rect key={i} x={a} y={48 - height} width={Math.max(b - a - 1, 1)} height={height} />;
      })}
      {assumed !== null && <line x1={x(assumed)} x2={x(assumed)} y1={0} y2={48} />}
      <text x={0} y={61}>{from.toFixed(0)}</text>
      <text x={140} y={61} text-anchor="middle">diameter, px</text>
      <text x={280} y={61} text-anchor="end">{to.toFixed(0)}</text>
    </svg>
  );
}

function Background() {
  const found = correction.found.value;
  const names = source.value.value?.channels ?? [];
  return (
    <section class="side-section">
      <h2>Background</h2>
      {measured.value.length > 0 && (
        <label class="tune-line">
          <span>channel</span>
          <select value={channel.value ?? ""} onChange={(event) => shift({ channel: event.currentTarget.value })}>
            {measured.value.map((each) => (
              <option key={each} value={each}>{names[each]?.name ?? each}</option>
            ))}
          </select>
        </label>
      )}
      <MethodChoice step="correction" />
      <Parameters step="correction" />
      {found && (
        <dl class="tune-found">
          {Object.entries(found.resolved).map(([name, value]) => (
            <Fragment key={name}>
              <dt>{name.replaceAll("_", " ")}</dt>
              <dd>{value}</dd>
            </Fragment>
          ))}
        </dl>
      )}
    </section>
  );
}

function Tracking() {
  const found = tracks.found.value;
  return (
    <section class="side-section">
      <h2>Tracks</h2>
      <button type="button" class="first" disabled={tracks.isBusy.value} onClick={followCells}>
        {tracks.isBusy.value ? "following cells …" : "follow cells from here"}
      </button>
      {found && (
        <p>
          <b>{count(found.fates["cells"] ?? 0, "cell")}</b> in frames {found.frames[0]} to {found.frames.at(-1)}
          <span class="quiet"> · {found.seconds.toFixed(1)} s</span>
          <br />
          <span class="quiet">
            {Object.entries(found.fates)
              .filter(([name, n]) => name !== "cells" && n)
              .map(([name, n]) => `${n} ${name}`)
              .join(", ")}
          </span>
        </p>
      )}
      <MethodChoice step="tracking" />
      <Parameters step="tracking" />
    </section>
  );
}
