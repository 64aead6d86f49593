// Positions as a plate or a grid: selected by mouse, keys or words, and given to samples.

import { computed, signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { get } from "../base/api.js";
import { ofSample } from "../base/colours.js";
import { useKeysOf } from "../base/keys.js";
import type { FovFact } from "../base/messages.js";
import { tellError } from "../base/notices.js";
import { Thumbnail } from "../base/Thumbnail.js";
import { count } from "../base/units.js";
import { assigned, bySample, clicked, ranges, renamed } from "./selection.js";
import { base, cells, change, draft, source } from "./state.js";
import { thumb, want } from "./thumbs.js";

const SIZE = 96;

export const selected = signal<ReadonlySet<number>>(new Set());
const last = signal<number | null>(null);
const asPlate = signal(true);
const shownChannel = signal<number | null>(null);
const FRAMES = ["first", "middle", "last"] as const;
const shownFrame = signal<(typeof FRAMES)[number]>("middle");

/** The frame of a position that its small picture shows; null for the one in the middle. */
function frameOf(fov: FovFact | undefined): number | null {
  if (!fov || shownFrame.value === "middle") return null;
  return shownFrame.value === "first" ? 0 : Math.max(fov.n_frames - 1, 0);
}

const fovs = computed<readonly FovFact[]>(() => source.value.value?.fovs ?? []);
const hasPlate = computed(
  () => fovs.value.length > 1 && fovs.value.every((each) => each.well !== null),
);
const samples = computed(() => draft.value?.samples ?? []);
const sampleOf = computed(() => bySample(samples.value));
const channel = computed(() => shownChannel.value ?? cells.value ?? 0);

function colourOf(sample: string | undefined): string {
  const place = samples.value.findIndex((each) => each.sample === sample);
  return place < 0 ? "transparent" : ofSample(place);
}

function toggleRun(numbers: Iterable<number>, on: boolean): void {
  const all = fovs.peek().map((each) => each.fov);
  const now = new Set(draft.peek()?.fovs ?? all);
  for (const each of numbers) {
    if (on) now.add(each);
    else now.delete(each);
  }
  const next = all.filter((each) => now.has(each));
  change({ fovs: next.length === all.length ? null : next });
}

const KEYS = [
  {
    key: "a", words: "select all positions",
    act: () => (selected.value = new Set(fovs.peek().map((each) => each.fov))),
  },
  { key: "Escape", words: "select none", act: () => (selected.value = new Set()) },
];

export function Positions() {
  useEffect(() => useKeysOf("Positions", KEYS), []);
  const known = source.value.value;
  useEffect(() => {
    selected.value = new Set();
    shownChannel.value = null;
  }, [known?.file]);
  if (!known) return null;
  const isPlate = hasPlate.value && asPlate.value;
  return (
    <section class="block">
      <div class="panel-head">
        <h2>{count(known.fovs.length, "position")}</h2>
        <Words />
        {hasPlate.value && (
          <span class="choice">
            {([["plate", true], ["grid", false]] as const).map(([words, value]) => (
              <button
                key={words}
                type="button"
                aria-pressed={asPlate.value === value}
                onClick={() => (asPlate.value = value)}
              >
                {words}
              </button>
            ))}
          </span>
        )}
        <label>
          <span class="hidden">channel of the pictures</span>
          <select
            value={channel.value}
            onChange={(event) => (shownChannel.value = Number(event.currentTarget.value))}
          >
            {known.channels.map((each) => (
              <option key={each.channel} value={each.channel}>{each.name}</option>
            ))}
          </select>
        </label>
        <label title="what drifts, dies or gets full is seen in the last frame">
          <span class="hidden">frame of the pictures</span>
          <select
            value={shownFrame.value}
            onChange={(event) => {
              shownFrame.value = event.currentTarget.value as (typeof FRAMES)[number];
            }}
          >
            {FRAMES.map((each) => (
              <option key={each} value={each}>{each} frame</option>
            ))}
          </select>
        </label>
      </div>
      {isPlate ? <Plate /> : <Grid />}
      <p class="quiet">
        Click, shift-click, ctrl-click or drag to select; then give the selection a sample, at the right.
      </p>
    </section>
  );
}

/** Select positions by words, as the command takes them. */
function Words() {
  const words = useSignal("");
  const find = async () => {
    const file = base.peek();
    if (!file || !words.value.trim()) return;
    try {
      const found = await get("/api/source/positions", { ...file, words: words.value });
      selected.value = new Set(found.fovs);
    } catch (reason) {
      tellError(reason);
    }
  };
  return (
    <input
      type="search"
      aria-label="select positions by words"
      placeholder={hasPlate.value ? "select: B2-B6, 0-3,7" : "select: 0-3,7 or names"}
      value={words.value}
      onInput={(event) => (words.value = event.currentTarget.value)}
      onKeyDown={(event) => event.key === "Enter" && void find()}
      onBlur={() => void find()}
    />
  );
}

function choose(own: readonly number[], event: MouseEvent): void {
  const order = fovs.peek().map((each) => each.fov);
  const keys = { shift: event.shiftKey, more: event.ctrlKey || event.metaKey };
  const first = own[0] as number;
  const anchor = last.peek();
  let next = clicked(selected.peek(), order, first, anchor, keys);
  // All of a well go together.
  if (own.length > 1 && !keys.shift) {
    const isOn = next.has(first);
    next = new Set(next);
    for (const each of own) {
      if (isOn) next.add(each);
      else next.delete(each);
    }
  } else if (keys.shift) {
    for (const each of own) next.add(each);
  }
  if (!keys.shift || anchor === null) last.value = first;
  selected.value = next;
}

/** Selects what a rectangle that is dragged touches. */
function useDrag() {
  const box = useRef<HTMLDivElement>(null);
  const band = useSignal<{ x: number; y: number; w: number; h: number } | null>(null);
  const onPointerDown = (event: PointerEvent) => {
    if (event.button !== 0) return;
    const element = box.current as HTMLDivElement;
    const from = { x: event.clientX, y: event.clientY };
    const keeps = event.ctrlKey || event.metaKey || event.shiftKey ? selected.peek() : new Set<number>();
    const onMove = (move: PointerEvent) => {
      const [w, h] = [Math.abs(move.clientX - from.x), Math.abs(move.clientY - from.y)];
      if (!band.peek() && w + h < 8) return;
      const [x, y] = [Math.min(move.clientX, from.x), Math.min(move.clientY, from.y)];
      const own = element.getBoundingClientRect();
      band.value = { x: x - own.left, y: y - own.top, w, h };
      const next = new Set(keeps);
      for (const each of element.querySelectorAll<HTMLElement>("[data-fovs]")) {
        const tile = each.getBoundingClientRect();
        if (tile.left < x + w && tile.right > x && tile.top < y + h && tile.bottom > y) {
          for (const fov of (each.dataset["fovs"] as string).split(",")) next.add(Number(fov));
        }
      }
      selected.value = next;
    };
    const onUp = () => {
      window.removeEventListener("pointermove", onMove);
      window.removeEventListener("pointerup", onUp);
      if (band.peek()) {
        // The click that follows is the end of the drag.
        window.addEventListener("click", (click) => click.stopPropagation(), { capture: true, once: true });
        window.setTimeout(() => (band.value = null));
      }
    };
    window.addEventListener("pointermove", onMove);
    window.addEventListener("pointerup", onUp);
  };
  const drawn = band.value && (
    <div
      class="band"
      style={{
        left: `${band.value.x}px`, top: `${band.value.y}px`,
        width: `${band.value.w}px`, height: `${band.value.h}px`,
      }}
    />
  );
  return { box, onPointerDown, drawn };
}

function Grid() {
  const { box, onPointerDown, drawn } = useDrag();
  return (
    <div class="tiles" ref={box} onPointerDown={onPointerDown}>
      {fovs.value.map((each) => (
        <Tile key={each.fov} fov={each} />
      ))}
      {drawn}
    </div>
  );
}

function Tile(props: { fov: FovFact }) {
  const { fov, name, n_frames: n } = props.fov;
  const element = useRef<HTMLButtonElement>(null);
  const shown = channel.value;
  const t = frameOf(props.fov);
  useEffect(() => {
    if (!n) return;
    const observer = new IntersectionObserver((seen) => {
      if (seen.some((each) => each.isIntersecting)) want(fov, shown, SIZE, t);
    });
    observer.observe(element.current as Element);
    return () => observer.disconnect();
  }, [fov, shown, t, base.value]);
  const sample = sampleOf.value.get(fov);
  const picture = thumb(fov, shown, SIZE, t);
  const isRun = draft.value?.fovs?.includes(fov) ?? true;
  const told = picture?.error || `${fov} ${name}${sample ? `, ${sample}` : ""}${isRun ? "" : ", not run"}`;
  return (
    <button
      type="button"
      class={isRun ? "tile" : "tile left-out"}
      ref={element}
      data-fovs={fov}
      aria-pressed={selected.value.has(fov)}
      title={told}
      onClick={(event) => choose([fov], event)}
    >
      <Thumbnail picture={picture?.picture ?? null} />
      <span class="tile-name">
        <span class="dot" style={{ background: colourOf(sample) }} />
        {name}
        {picture?.error && <span class="mark bad">✕</span>}
      </span>
    </button>
  );
}

function Plate() {
  const { box, onPointerDown, drawn } = useDrag();
  const byWell = new Map<string, FovFact[]>();
  for (const each of fovs.value) {
    const key = each.well?.join(",") ?? "";
    byWell.set(key, [...(byWell.get(key) ?? []), each]);
  }
  const rows = fovs.value.map((each) => each.well?.[0] ?? 1);
  const columns = fovs.value.map((each) => each.well?.[1] ?? 1);
  const span = (values: number[]) => {
    const first = Math.min(...values);
    return Array.from({ length: Math.max(...values) - first + 1 }, (_, i) => first + i);
  };
  const across = span(columns);
  return (
    <div class="plate" ref={box} onPointerDown={onPointerDown}>
      <table>
        <thead>
          <tr>
            <th />
            {across.map((column) => <th key={column}>{column}</th>)}
          </tr>
        </thead>
        <tbody>
          {span(rows).map((row) => (
            <tr key={row}>
              <th>{String.fromCharCode(64 + row)}</th>
              {across.map((column) => (
                <td key={column}>
                  <Well name={`${String.fromCharCode(64 + row)}${column}`} fovs={byWell.get(`${row},${column}`) ?? []} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {drawn}
    </div>
  );
}

function Well(props: { name: string; fovs: readonly FovFact[] }) {
  const own = props.fovs.map((each) => each.fov);
  const first = own[0];
  const shown = channel.value;
  const t = frameOf(props.fovs[0]);
  useEffect(() => {
    if (first !== undefined) want(first, shown, SIZE, t);
  }, [first, shown, t, base.value]);
  if (first === undefined) return <span class="well empty" aria-hidden="true" />;
  const inIt = [...new Set(own.map((fov) => sampleOf.value.get(fov)))];
  const sample = inIt.length === 1 ? inIt[0] : undefined;
  const nSelected = own.filter((fov) => selected.value.has(fov)).length;
  return (
    <button
      type="button"
      class="well"
      data-fovs={own.join(",")}
      aria-pressed={nSelected > 0}
      aria-label={`well ${props.name}`}
      title={`${props.name}: ${count(own.length, "position")} (${ranges(own)})${sample ? `, ${sample}` : ""}`}
      onClick={(event) => choose(own, event)}
    >
      <Thumbnail picture={thumb(first, shown, SIZE)?.picture ?? null} />
      <span class="well-n">{own.length > 1 ? own.length : ""}</span>
      <span class="dot" style={{ background: colourOf(sample) }} />
    </button>
  );
}

export function SamplesPanel() {
  const now = draft.value;
  const name = useSignal("");
  if (!now) return null;
  const chosen = selected.value;
  const inSample = sampleOf.value;
  const rest = fovs.value.filter((each) => !inSample.has(each.fov)).length;
  const put = (sample: string) => {
    change({ samples: assigned(now.samples, chosen, sample) });
    name.value = "";
  };
  const runs = now.fovs?.length ?? fovs.value.length;
  const isRun = [...chosen].every((fov) => now.fovs?.includes(fov) ?? true);
  return (
    <section class="side-section" aria-label="samples">
      <h2>Samples</h2>
      {now.samples.length === 0 && (
        <p class="quiet">
          None yet. Select positions that belong to one condition, and name it: traces are compared by
          sample.
        </p>
      )}
      <ul class="samples">
        {now.samples.map((each) => (
          <li key={each.sample}>
            <span class="dot" style={{ background: colourOf(each.sample) }} />
            <input
              type="text"
              value={each.sample}
              aria-label={`name of sample ${each.sample}`}
              onChange={(event) =>
                change({ samples: renamed(now.samples, each.sample, event.currentTarget.value) })
              }
            />
            <button
              type="button"
              class="quiet number"
              title={`select ${ranges(each.fovs)}`}
              onClick={() => (selected.value = new Set(each.fovs))}
            >
              {each.fovs.length}
            </button>
            <button
              type="button"
              disabled={chosen.size === 0}
              title="give it the selected positions"
              aria-label={`give ${each.sample} the selected positions`}
              onClick={() => put(each.sample)}
            >
              +
            </button>
            <button
              type="button"
              class="quiet"
              title="no sample any more"
              aria-label={`take ${each.sample} away`}
              onClick={() => change({ samples: assigned(now.samples, new Set(each.fovs), "") })}
            >
              ✕
            </button>
          </li>
        ))}
      </ul>
      {rest > 0 && now.samples.length > 0 && (
        <p class="quiet">{count(rest, "position")} without a sample</p>
      )}
      <div class="assign">
        <b>{chosen.size ? `${count(chosen.size, "position")} selected` : "nothing is selected"}</b>
        {chosen.size > 0 && <span class="quiet">{ranges(chosen)}</span>}
        <form
          class="buttons"
          onSubmit={(event) => {
            event.preventDefault();
            if (name.value.trim() && chosen.size) put(name.value);
          }}
        >
          <input
            type="text"
            placeholder="name of a sample"
            aria-label="sample of the selected positions"
            value={name.value}
            onInput={(event) => (name.value = event.currentTarget.value)}
          />
          <button type="submit" disabled={!name.value.trim() || chosen.size === 0}>
            assign
          </button>
        </form>
        {chosen.size > 0 && (
          <div class="buttons">
            <button type="button" onClick={() => toggleRun(chosen, !isRun)}>
              {isRun ? "leave out of the run" : "run these as well"}
            </button>
            {[...chosen].some((fov) => inSample.has(fov)) && (
              <button type="button" onClick={() => put("")}>no sample</button>
            )}
          </div>
        )}
      </div>
      {runs < fovs.value.length && (
        <p class="warn">
          ! {runs} of {count(fovs.value.length, "position")} will be run.{" "}
          <button type="button" onClick={() => change({ fovs: null })}>run all</button>
        </p>
      )}
    </section>
  );
}
