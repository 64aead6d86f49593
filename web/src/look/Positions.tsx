// The list of positions: by sample, or sorted by trouble, with the number of cells over time.

import { computed, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { part, shift } from "../base/address.js";
import type { FovRow } from "../base/messages.js";
import { count } from "../base/units.js";
import { StateOf } from "../base/Says.js";
import { linesOf, type Line } from "./lists.js";
import { counts, fovNumber, goToFov, overview, sampleColour, wantCount } from "./state.js";

const ROW = 34;
const sortPart = part("sort");
const sorting = computed(() => (sortPart.value === "trouble" ? "trouble" : "sample"));
const folded = signal<ReadonlySet<string>>(new Set());

export function lines(): readonly Line[] {
  const known = overview.value.value;
  if (!known) return [];
  return linesOf(known.fovs, known.samples.map((s) => s.sample), sorting.value, folded.value);
}

/** The positions in the order in which they are listed, for the keys. */
export function listedFovs(): readonly number[] {
  return lines().flatMap((line) => (line.kind === "fov" ? [line.row.fov] : []));
}

export function Positions() {
  const box = useRef<HTMLDivElement>(null);
  const first = useRef(signal(0));
  const known = overview.value.value;
  const all = lines();
  const shown = fovNumber.value;
  useEffect(() => {
    const element = box.current;
    const place = all.findIndex((line) => line.kind === "fov" && line.row.fov === shown);
    if (!element || place < 0) return;
    const top = place * ROW;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW > element.scrollTop + element.clientHeight) {
      element.scrollTop = top + ROW - element.clientHeight;
    }
  }, [shown]);
  const start = Math.max(first.current.value - 5, 0);
  const seen = all.slice(start, start + 60);
  return (
    <section class="positions" aria-label="positions">
      <header class="panel-head">
        <h2>{known ? count(known.fovs.length, "position") : "positions"}</h2>
        <label>
          <span class="hidden">sorted by</span>
          <select
            value={sorting.value}
            onChange={(event) => {
              shift({ sort: event.currentTarget.value === "trouble" ? "trouble" : null });
            }}
          >
            <option value="sample">by sample</option>
            <option value="trouble">by trouble</option>
          </select>
        </label>
      </header>
      <StateOf of={overview} what="results" />
      {known?.samples_problem && <p class="problem">{known.samples_problem}</p>}
      <div
        class="scroll"
        ref={box}
        onScroll={(event) => {
          first.current.value = Math.floor(event.currentTarget.scrollTop / ROW);
        }}
      >
        <div style={{ height: `${all.length * ROW}px`, position: "relative" }}>
          {seen.map((line, i) => (
            <div
              key={line.kind === "fov" ? line.row.fov : line.sample}
              style={{ position: "absolute", top: `${(start + i) * ROW}px`, left: 0, right: 0 }}
            >
              {line.kind === "fov" ? (
                <Position row={line.row} isShown={line.row.fov === shown} />
              ) : (
                <Sample sample={line.sample} n={line.n} />
              )}
            </div>
          ))}
        </div>
      </div>
    </section>
  );
}

function Sample(props: { sample: string; n: number }) {
  const { sample } = props;
  const isFolded = folded.value.has(sample);
  const toggle = () => {
    const next = new Set(folded.value);
    if (!next.delete(sample)) next.add(sample);
    folded.value = next;
  };
  return (
    <button type="button" class="sample" aria-expanded={!isFolded} onClick={toggle}>
      <span class="fold">{isFolded ? "▸" : "▾"}</span>
      <span class="dot" style={{ background: sampleColour(sample) }} />
      <span class="grow">{sample}</span>
      <span class="number">{props.n}</span>
    </button>
  );
}

const MARKS: Record<FovRow["state"], readonly [string, string]> = {
  done: ["", "done"],
  running: ["↻", "a run is at work on it"],
  unfinished: ["…", "not finished"],
  failed: ["✕", "failed"],
  damaged: ["✕", "its record is damaged"],
};

function Position(props: { row: FovRow; isShown: boolean }) {
  const { row } = props;
  useEffect(() => wantCount(row.fov), [row.fov, counts.value.has(row.fov)]);
  const counted = counts.value.get(row.fov);
  const [cells, good] = counted
    ? [counted.n_cells, counted.n_good]
    : [row.n_cells, row.n_good];
  const [stateMark, stateWords] = MARKS[row.state];
  const mark = stateMark || (row.words ? "!" : "✓");
  const kind = row.state === "failed" || row.state === "damaged" ? "bad" : mark === "✓" ? "good" : "warn";
  const told = row.words || stateWords;
  const cellWords =
    cells === null
      ? "no cells yet"
      : good === null
        ? count(cells, "cell")
        : `${good} of ${count(cells, "cell")} good`;
  return (
    <button
      type="button"
      class="position"
      aria-current={props.isShown ? "true" : undefined}
      title={`${row.fov} ${row.name}: ${cellWords}${told ? `; ${told}` : ""}`}
      onClick={() => goToFov(row.fov)}
    >
      <span class="number id">{String(row.fov).padStart(3, "0")}</span>
      <span class="grow label">{row.name}</span>
      <Sparkline values={counted?.by_frame ?? []} />
      <span class="number">{good ?? "…"}</span>
      <span class={`mark ${kind}`} aria-label={told}>
        {mark}
      </span>
    </button>
  );
}

function Sparkline(props: { values: readonly number[] }) {
  const { values } = props;
  if (values.length < 2) return <svg class="spark" width="44" height="16" aria-hidden="true" />;
  const most = Math.max(...values, 1);
  const step = Math.max(Math.floor(values.length / 44), 1);
  const points = values
    .filter((_, i) => i % step === 0)
    .map((value, i, some) => {
      const x = (i / Math.max(some.length - 1, 1)) * 44;
      return `${x.toFixed(1)},${(15 - (value / most) * 13).toFixed(1)}`;
    });
  return (
    <svg class="spark" width="44" height="16" aria-hidden="true">
      <polyline points={points.join(" ")} />
    </svg>
  );
}
