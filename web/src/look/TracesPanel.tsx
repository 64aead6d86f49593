// Traces of the cells of a position, or of samples, and the table of cells below.

import { computed } from "@preact/signals";
import { go, part, shift } from "../base/address.js";
import { VERDICTS } from "../base/colours.js";
import type { Course } from "../base/messages.js";
import { Says, StateOf } from "../base/Says.js";
import { Split } from "../base/Split.js";
import { count } from "../base/units.js";
import { History } from "../correct/History.js";
import { edits } from "../correct/state.js";
import { Chart, type Drawn } from "../traces/Chart.js";
import { CellTable } from "./CellTable.js";
import {
  bySample,
  cell,
  cells,
  chooseCell,
  courses,
  fov,
  goodOnly,
  hovered,
  leftOut,
  row,
  rowOfCell,
  sampleColour,
  second,
  shownColumn,
  t,
  toggleSample,
  traces,
} from "./state.js";
import { inWords } from "./words.js";

const isDrawn = computed(() => {
  const table = cells.value.value;
  const rows = rowOfCell.value;
  const only = goodOnly.value;
  if (bySample.value) {
    const chosen = cell.value;
    return (number: number): boolean => number === chosen;
  }
  return (number: number): boolean => {
    if (!only || !table) return true;
    const where = rows.get(number);
    return where !== undefined && table.good[where] === true;
  };
});

function colourOf(number: number): string {
  const where = rowOfCell.value.get(number);
  const good = where === undefined ? null : cells.value.value?.good[where];
  return good === null || good === undefined ? VERDICTS.unknown : good ? VERDICTS.good : VERDICTS.bad;
}

const drawn = computed<Drawn>(() => {
  const known = traces.value.value ?? null;
  const unit = known?.unit ?? "h";
  const minutes = fov.value.value?.times_min[t.value];
  const now = unit === "frame" ? t.value : typeof minutes === "number" ? minutes / 60 : null;
  return {
    traces: known,
    isDrawn: isDrawn.value,
    colourOf,
    courses: shownCourses.value,
    colourOfCourse: colourOfCourse,
    unit,
    title: shownColumn.value,
    now,
  };
});
const NONE: never[] = [];
const shownCourses = computed(() => {
  const all = courses.value.value?.courses ?? NONE;
  return bySample.value ? all.filter((each) => !leftOut.value.has(each.sample)) : all;
});
const list = part("list");
const showsHistory = computed(() => list.value === "corrections");

/** Colour of a sample; of a position, that of its sample. */
function colourOfCourse(sample: string): string {
  return sampleColour(sample || (row.value?.sample ?? ""));
}

export function TracesPanel() {
  const column = shownColumn.value;
  const columns = fov.value.value?.columns ?? [];
  const found = courses.value.value?.courses ?? [];
  return (
    <section class="traces" aria-label="traces">
      <Split name="cells" direction="column" sized="second" initial={290} label="cells">
        {[
          <div class="chart-panel">
            <header class="panel-head">
              <select
                aria-label="what is drawn"
                value={column}
                onChange={(event) => shift({ column: event.currentTarget.value })}
              >
                {columns.map((name) => (
                  <option key={name} value={name}>
                    {inWords(name)}
                  </option>
                ))}
              </select>
              <div class="choice" role="group" aria-label="traces of">
                <button type="button" aria-pressed={!bySample.value} onClick={() => go({ scope: null })}>
                  cells
                </button>
                <button type="button" aria-pressed={bySample.value} onClick={() => go({ scope: "samples" })}>
                  samples
                </button>
              </div>
            </header>
            <div class="chart-box">
              {!fov.value.value && <Says>{fov.loading.value && "reading traces …"}</Says>}
              <StateOf of={traces} what="traces" />
              {bySample.value && column && <StateOf of={courses} what="the curves of all samples" />}
              {!column && fov.value.value && (
                <Says title="Nothing is measured">
                  <p>Traces are there once a run has measured a channel of this position.</p>
                </Says>
              )}
              <Chart
                drawn={() => drawn.value}
                chosen={() => cell.value}
                hovered={() => hovered.value ?? second.value}
                onHover={(hit) => {
                  hovered.value = hit?.cell ?? null;
                }}
                onChoose={(hit) => {
                  if (hit) chooseCell(hit.cell, hit.frame);
                }}
              />
            </div>
            <footer class="legend">
              {found.map((course) => (
                <CourseLabel key={course.sample} course={course} />
              ))}
              {!bySample.value && (
                <label class="good-only">
                  <input
                    type="checkbox"
                    checked={goodOnly.value}
                    onChange={(event) => shift({ good: event.currentTarget.checked ? "1" : null })}
                  />
                  good only
                </label>
              )}
            </footer>
          </div>,
          <div class="table-panel">
            <div class="tabs" role="group" aria-label="table of">
              <button type="button" aria-pressed={!showsHistory.value} onClick={() => shift({ list: null })}>
                cells
              </button>
              <button type="button" aria-pressed={showsHistory.value} onClick={() => shift({ list: "corrections" })}>
                corrections <span class="quiet">{edits.value.value?.edits.length || ""}</span>
              </button>
            </div>
            {showsHistory.value ? (
              <History />
            ) : (
              <>
                <StateOf of={cells} what="cells" />
                <CellTable />
              </>
            )}
          </div>,
        ]}
      </Split>
    </section>
  );
}

/** What a curve is of; a sample can be left out. */
function CourseLabel(props: { course: Course }) {
  const { sample, n_cells, n_fovs } = props.course;
  const colour = colourOfCourse(sample);
  const isLeftOut = bySample.value && leftOut.value.has(sample);
  const words = (
    <>
      <svg width="18" height="10" aria-hidden="true">
        <rect y="1" width="18" height="8" fill={colour} opacity="0.25" />
        <path d="M0 5h18" stroke={colour} stroke-width="2" stroke-dasharray="5 2" />
      </svg>
      {sample || "median"} <span class="quiet">{count(n_cells, "good cell")}</span>
    </>
  );
  if (!bySample.value) return <span>{words}</span>;
  return (
    <label class={isLeftOut ? "left-out" : ""} title={`${count(n_fovs, "position")}; median, and between the quartiles`}>
      <input type="checkbox" checked={!isLeftOut} onChange={() => toggleSample(sample)} />
      {words}
    </label>
  );
}
