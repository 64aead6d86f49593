// Traces to look at: hover tells, a click shows the cell, keys mark it.

import { batch, computed, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { count, short } from "../base/units.js";
import { Chart, type Drawn } from "../traces/Chart.js";
import { rowAt, type Hit } from "../traces/traces.js";
import { correction, coursesOf, tracesOf, type CellData, type Payload } from "./data.js";
import { Strip } from "./Strip.js";

export interface Marks {
  readonly of: ReadonlyMap<number, boolean>;
}

const COLOURS = 7;

/** State of the section, made once for the data of the file. */
export function makeState(data: Payload) {
  const column = signal(0);
  const sample = signal<number | null>(null);
  const goodOnly = signal(false);
  const chosen = signal<number | null>(null);
  const hovered = signal<Hit | null>(null);
  const marks = signal<ReadonlyMap<number, boolean>>(new Map());
  const saved = signal<ReadonlyMap<number, boolean>>(marks.value);
  const traces = computed(() => tracesOf(data, column.value));
  const cellAt = (number: number): CellData => data.cells[number - 1] as CellData;
  const isGood = (number: number): boolean => marks.value.get(number) ?? cellAt(number).good === true;
  const isDrawn = computed(() => {
    const [only, which] = [goodOnly.value, sample.value];
    return (number: number): boolean =>
      (!only || isGood(number)) && (which === null || cellAt(number).sample === which);
  });
  const courses = computed(() =>
    coursesOf(data, column.value).filter(
      (each) => sample.value === null || each.sample === `${sample.value}`,
    ),
  );
  const shown = computed(() => data.cells.map((_, i) => i + 1).filter(isDrawn.value));

  const walk = (step: number): void => {
    const all = shown.value;
    if (all.length === 0) return;
    const at = chosen.value === null ? -1 : all.indexOf(chosen.value);
    chosen.value = all[(at + step + all.length + (at < 0 && step < 0 ? 1 : 0)) % all.length] as number;
  };
  const mark = (good: boolean): void => {
    if (chosen.value === null) return;
    marks.value = new Map(marks.value).set(chosen.value, good);
  };
  const unmark = (): void => {
    if (chosen.value === null) return;
    const rest = new Map(marks.value);
    rest.delete(chosen.value);
    marks.value = rest;
  };
  const save = (): void => {
    const now = new Date();
    const lines = [...marks.value].map(([number, good]) =>
      correction(cellAt(number), good, now, identifier()),
    );
    download(`${lines.join("\n")}\n`, "corrections.jsonl");
    saved.value = marks.value;
  };
  return {
    data, column, sample, goodOnly, chosen, hovered, marks, saved, traces, courses, isDrawn, shown,
    cellAt, walk, mark, unmark, save,
  };
}
export type State = ReturnType<typeof makeState>;

function identifier(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return [...bytes].map((each) => each.toString(16).padStart(2, "0")).join("");
}

function download(text: string, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/jsonl" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function colour(places: readonly number[], sample: number): string {
  const name = `--s${(places[sample] ?? 0) % COLOURS}`;
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** `position 3, cell 17: 1.2M at 14.5 h`. */
function told(state: State): string {
  const hit = state.hovered.value;
  const number = hit?.cell ?? state.chosen.value;
  if (number === null || number === undefined) return "";
  const cell = state.cellAt(number);
  const parts = [`FOV ${cell.position}, cell ${cell.cell}`];
  if (state.data.samples.length > 1) parts.push(state.data.samples[cell.sample] as string);
  const traces = state.traces.value;
  const row = hit ? rowAt(traces, number, hit.frame) : -1;
  if (row >= 0) {
    const x = traces.x[row] as number;
    const when = traces.unit === "h" ? `${Number(x.toFixed(2))} h` : `frame ${x}`;
    parts.push(`${short(traces.y[row] as number)} at ${when}`);
  }
  const marked = state.marks.value.get(number);
  if (marked !== undefined) parts.push(marked ? "✓ marked good" : "✕ marked bad");
  else if (cell.good === false) parts.push(`✕ ${cell.reason || "not good"}`);
  else if (cell.good) parts.push("✓ good");
  return parts.join(" · ");
}

export function TracesSection(props: { state: State }) {
  const { state } = props;
  const { data, column, sample, goodOnly, chosen, hovered, marks } = state;
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (/^(input|select|textarea)$/i.test((event.target as Element).tagName)) return;
      const actions: Record<string, () => void> = {
        g: () => state.mark(true),
        b: () => state.mark(false),
        u: state.unmark,
        n: () => state.walk(1),
        p: () => state.walk(-1),
        Escape: () => {
          chosen.value = null;
        },
      };
      actions[event.key]?.();
    };
    const onLeave = (event: BeforeUnloadEvent): void => {
      if (marks.value !== state.saved.value && marks.value.size > 0) event.preventDefault();
    };
    addEventListener("keydown", onKey);
    addEventListener("beforeunload", onLeave);
    return () => {
      removeEventListener("keydown", onKey);
      removeEventListener("beforeunload", onLeave);
    };
  }, []);
  const drawn = (): Drawn => ({
    traces: state.traces.value,
    isDrawn: state.isDrawn.value,
    colourOf: (number) => colour(data.places, state.cellAt(number).sample),
    courses: state.courses.value,
    colourOfCourse: (which) => colour(data.places, Number(which)),
    unit: state.traces.value.unit,
    title: `${column.value} ${sample.value ?? "all"}`,
    now: null,
  });
  const cell = chosen.value === null ? null : state.cellAt(chosen.value);
  const marked = chosen.value === null ? undefined : marks.value.get(chosen.value);
  return (
    <>
      <div class="controls">
        <select
          aria-label="what is drawn"
          value={column.value}
          onChange={(event) => {
            column.value = Number(event.currentTarget.value);
          }}
        >
          {data.columns.map((each, i) => (
            <option key={i} value={i}>
              {each.name}
            </option>
          ))}
        </select>
        {data.samples.length > 1 && (
          <select
            aria-label="sample"
            value={sample.value === null ? "" : sample.value}
            onChange={(event) => {
              const { value } = event.currentTarget;
              batch(() => {
                sample.value = value === "" ? null : Number(value);
                chosen.value = null;
              });
            }}
          >
            <option value="">all samples</option>
            {data.samples.map((name, i) => (
              <option key={i} value={i}>
                {name}
              </option>
            ))}
          </select>
        )}
        <label>
          <input
            type="checkbox"
            checked={goodOnly.value}
            onChange={(event) => {
              goodOnly.value = event.currentTarget.checked;
            }}
          />{" "}
          good only
        </label>
        <span class="quiet">{count(state.shown.value.length, "cell")}</span>
      </div>
      <div class="chart-box">
        <Chart
          drawn={drawn}
          chosen={() => chosen.value}
          hovered={() => hovered.value?.cell ?? null}
          onHover={(hit) => {
            hovered.value = hit;
          }}
          onChoose={(hit) => {
            chosen.value = hit?.cell ?? null;
          }}
        />
      </div>
      <p class="told" role="status">
        {told(state) || <span class="quiet">a click on a trace chooses the cell</span>}
      </p>
      {cell && <Strip strip={cell.strip} key={chosen.value} />}
      <div class="controls">
        <button type="button" title="previous cell (p)" onClick={() => state.walk(-1)}>
          ◂ previous
        </button>
        <button type="button" title="next cell (n)" onClick={() => state.walk(1)}>
          next ▸
        </button>
        <button
          type="button"
          title="this cell can be trusted (g)"
          disabled={!cell}
          aria-pressed={marked === true}
          onClick={() => state.mark(true)}
        >
          ✓ good
        </button>
        <button
          type="button"
          title="this cell cannot be trusted (b)"
          disabled={!cell}
          aria-pressed={marked === false}
          onClick={() => state.mark(false)}
        >
          ✕ bad
        </button>
        <button
          type="button"
          title="no mark (u)"
          disabled={marked === undefined}
          onClick={state.unmark}
        >
          no mark
        </button>
        <button type="button" disabled={marks.value.size === 0} onClick={state.save}>
          save corrections
        </button>
        {marks.value.size > 0 && (
          <span class="quiet">
            {count(marks.value.size, "cell")} marked; then: pyama curate "{data.folder}" --import
            corrections.jsonl
          </span>
        )}
      </div>
    </>
  );
}
