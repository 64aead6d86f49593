// The table of cells: sorted by a column, filtered by words.

import { computed, effect, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Cells } from "../base/messages.js";
import { useKeysOf } from "../base/keys.js";
import { count } from "../base/units.js";
import { Mark } from "./FovPicture.js";
import { listed, type Sort } from "./lists.js";
import { cell, cells, chooseCell, fovNumber, goodOnly, hovered } from "./state.js";

const ROW = 24;
const MOST_CHANNELS = 6;

const sort = signal<Sort>("cell");
const isDown = signal(false);
const filter = signal("");
const scrolled = signal(0);

const rows = computed<readonly number[]>(() => {
  const table = cells.value.value;
  return table ? listed(table, filter.value, sort.value, isDown.value, goodOnly.value) : [];
});

/** The cells in the order in which they are listed. */
export function listedCells(): readonly number[] {
  const table = cells.value.value;
  return table ? rows.value.map((i) => table.cell[i] as number) : [];
}

effect(() => {
  fovNumber.value;
  scrolled.value = 0;
});

export function CellTable() {
  const table = cells.value.value;
  const box = useRef<HTMLDivElement>(null);
  const find = useRef<HTMLInputElement>(null);
  const all = rows.value;
  const chosen = cell.value;
  useEffect(
    () => useKeysOf("Cells", [{ key: "/", words: "find a cell", act: () => find.current?.select() }]),
    [],
  );
  useEffect(() => {
    const element = box.current;
    const place = table ? all.findIndex((i) => table.cell[i] === chosen) : -1;
    if (!element || place < 0) return;
    const top = place * ROW;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW > element.scrollTop + element.clientHeight - ROW) {
      element.scrollTop = top + 2 * ROW - element.clientHeight;
    }
  }, [chosen, table]);
  if (!table) return null;
  const channels = channelsOf(table);
  const columns = { "--channels": String(channels.length) };
  const start = Math.max(Math.floor(scrolled.value / ROW) - 5, 0);
  const seen = all.slice(start, start + 80);
  const good = table.good.filter((each) => each === true).length;
  const step = (event: KeyboardEvent) => {
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const place = all.findIndex((i) => table.cell[i] === chosen);
    const next = all[Math.max(0, Math.min(place + by, all.length - 1))];
    if (next !== undefined) chooseCell(table.cell[next] as number);
  };
  return (
    <div class="cells">
      <header class="panel-head">
        <h2>
          {count(table.cell.length, "cell")} <span class="quiet">{count(good, "good", "good")}</span>
        </h2>
        <input
          ref={find}
          type="search"
          placeholder="find: 17, bad, divided …"
          aria-label="find cells"
          value={filter.value}
          onInput={(event) => {
            filter.value = event.currentTarget.value;
          }}
          onKeyDown={(event) => {
            const only = all[0];
            if (event.key === "Enter" && only !== undefined) chooseCell(table.cell[only] as number);
            if (event.key === "Escape") {
              filter.value = "";
              event.currentTarget.blur();
            }
          }}
        />
      </header>
      <div class={`table${channels.length ? " by-channel" : ""}`} style={columns} role="grid" aria-rowcount={all.length} aria-label="cells">
        <div class="row head" role="row">
          <Head by="cell">cell</Head>
          <Head by="good">✓</Head>
          {channels.map((channel, k) => (
            <Head key={channel} by={k} title={`good in ${channel}`}>
              {channel.slice(0, 3)}
            </Head>
          ))}
          <Head by="first">frames</Head>
          <Head by="frames">n</Head>
          <Head by="fate">reason, fate</Head>
        </div>
        <div
          class="scroll"
          ref={box}
          tabIndex={0}
          onKeyDown={step}
          onScroll={(event) => {
            scrolled.value = event.currentTarget.scrollTop;
          }}
        >
          {all.length === 0 && (
            <p class="quiet pad">{table.cell.length ? "no cell is like that" : "no cells in any frame"}</p>
          )}
          <div style={{ height: `${all.length * ROW}px`, position: "relative" }}>
            {seen.map((i, k) => (
              <Row key={table.cell[i]} table={table} i={i} top={(start + k) * ROW} />
            ))}
          </div>
        </div>
      </div>
    </div>
  );
}

/** The channels that have verdicts of their own; none where one channel is all there is. */
function channelsOf(table: Cells): readonly string[] {
  return table.verdicts.length > 1 ? table.verdicts.slice(0, MOST_CHANNELS).map((each) => each.channel) : [];
}

function Head(props: { by: Sort; title?: string; children: string }) {
  const isMine = sort.value === props.by;
  return (
    <span
      role="columnheader"
      class={props.title ? "of-channel" : undefined}
      aria-sort={isMine ? (isDown.value ? "descending" : "ascending") : "none"}
    >
    <button
      type="button"
      title={props.title}
      onClick={() => {
        isDown.value = isMine ? !isDown.value : false;
        sort.value = props.by;
      }}
    >
      {props.children}
      {isMine && (isDown.value ? " ↓" : " ↑")}
    </button>
    </span>
  );
}

function Row(props: { table: Cells; i: number; top: number }) {
  const { table, i } = props;
  const number = table.cell[i] as number;
  const parent = table.parent[i] as number;
  const told = [
    table.reason[i],
    table.fate[i],
    parent >= 0 ? `from ${parent}` : "",
    table.corrections[i],
  ];
  const words = told.filter(Boolean).join(" · ");
  return (
    <div
      class={`row${hovered.value === number ? " hovered" : ""}`}
      role="row"
      aria-selected={cell.value === number}
      style={{ position: "absolute", top: `${props.top}px`, left: 0, right: 0 }}
      title={words}
      onClick={() => chooseCell(number)}
      onMouseEnter={() => {
        hovered.value = number;
      }}
      onMouseLeave={() => {
        hovered.value = null;
      }}
    >
      <span class="number">{number}</span>
      <Mark good={table.good[i] ?? null} />
      {channelsOf(table).map((channel, k) => (
        <span key={channel} class="in-channel" title={`in ${channel}`}>
          <Mark good={table.verdicts[k]?.good[i] ?? null} />
        </span>
      ))}
      <span class="number">
        {table.first_frame[i]}–{table.last_frame[i]}
      </span>
      <span class="number">{table.n_frames[i]}</span>
      <span class="words">{words}</span>
    </div>
  );
}
