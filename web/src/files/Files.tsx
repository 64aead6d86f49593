// Files: what lies below the folders that the page may look into, with a picture and a line of each.

import { computed, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { get, post } from "../base/api.js";
import { address, go, linkTo, part, type Change } from "../base/address.js";
import type { Pixels } from "../base/binary.js";
import type { Card, Demo, Entry, Folder } from "../base/messages.js";
import { tellError } from "../base/notices.js";
import { knownPlaces } from "../base/places.js";
import { inWords, resource } from "../base/resource.js";
import { Says, StateOf } from "../base/Says.js";
import { Thumbnail } from "../base/Thumbnail.js";
import { bytes, count, when } from "../base/units.js";

/** Files is shown where the address asks for it, or for a place that there is not. */
const isHere = computed(() => {
  const place = address.value["place"] ?? "files";
  return place === "files" || (knownPlaces.value.length > 0 && !knownPlaces.value.some((each) => each.name === place));
});
const dir = part("dir");
const turn = signal(0);

const folder = resource(
  () => (isHere.value ? { at: dir.value, turn: turn.value } : null),
  ({ at }, abort) => get("/api/folder", { at }, abort),
  (before, now) => before.at === now.at,
);

export function Files() {
  useEffect(() => {
    // What a run or another program made meanwhile.
    const again = () => {
      turn.value += 1;
    };
    window.addEventListener("focus", again);
    return () => window.removeEventListener("focus", again);
  }, []);
  const known = folder.value.value;
  return (
    <section class="files" aria-label="files">
      <StateOf of={folder} what="this folder" />
      {known && <Path known={known} />}
      {known && <Content known={known} />}
    </section>
  );
}

function Path(props: { known: Folder }) {
  const { known } = props;
  const all = known.at ? [...known.parents, known.at] : [];
  return (
    <nav class="path" aria-label="folder">
      {known.parents.length === 0 && known.at === "" && <b>folders</b>}
      {all.map((each, i) => (
        <span key={each}>
          {i > 0 && <span class="quiet"> / </span>}
          <a
            href={linkTo({ place: "files", dir: each })}
            aria-current={i === all.length - 1 ? "page" : undefined}
            onClick={(event) => open(event, { place: "files", dir: each })}
          >
            {i === 0 ? each : lastName(each)}
          </a>
        </span>
      ))}
      <button
        type="button"
        class="quiet"
        onClick={() => {
          turn.value += 1;
        }}
      >
        read again
      </button>
    </nav>
  );
}

function open(event: MouseEvent, change: Change): void {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(change);
}

function lastName(path: string): string {
  return path.split(/[\\/]/).pop() || path;
}

const TITLES = { results: "Results", file: "Microscope files", folder: "Folders" } as const;

function Content(props: { known: Folder }) {
  const { known } = props;
  const of = (...kinds: Entry["kind"][]) => known.entries.filter((each) => kinds.includes(each.kind));
  const groups = [
    { title: TITLES.results, entries: of("results") },
    { title: TITLES.file, entries: of("file", "images") },
  ];
  const folders = of("folder");
  const isEmpty = known.entries.length === 0;
  return (
    <div class="scroll content">
      {known.is_images && (
        <section>
          <h2>This folder</h2>
          <div class="cards">
            <Thing
              entry={{ name: lastName(known.at), at: known.at, kind: "images", size: 0, modified: 0 }}
            />
          </div>
        </section>
      )}
      {groups.map(
        ({ title, entries }) =>
          entries.length > 0 && (
            <section key={title}>
              <h2>
                {title} <span class="quiet">{entries.length}</span>
              </h2>
              <div class="cards">
                {entries.map((entry) => (
                  <Thing key={entry.at} entry={entry} />
                ))}
              </div>
            </section>
          ),
      )}
      {folders.length > 0 && (
        <section>
          <h2>{TITLES.folder}</h2>
          <ul class="folders">
            {folders.map((entry) => (
              <li key={entry.at}>
                <a
                  href={linkTo({ place: "files", dir: entry.at })}
                  onClick={(event) => open(event, { place: "files", dir: entry.at })}
                >
                  {entry.name}
                </a>
              </li>
            ))}
          </ul>
        </section>
      )}
      {isEmpty && !known.is_images && <Begin at={known.at} />}
      {!isEmpty && groups.every((each) => each.entries.length === 0) && !known.is_images && (
        <Begin at={known.at} />
      )}
      {known.n_left_out > 0 && (
        <p class="quiet">
          {count(known.n_left_out, "other file")} here that the page cannot open, or not shown for there
          are so many.
        </p>
      )}
    </div>
  );
}

/** What demo is being written, if any. */
const writing = signal("");
const demos = resource(
  () => (isHere.value ? {} : null),
  (asks, abort) => get("/api/demos", asks, abort),
);

/** How to begin, where there is nothing to open. */
function Begin(props: { at: string }) {
  const write = async (kind: Demo["kind"]) => {
    writing.value = kind;
    try {
      const made = await post("/api/demo", { at: props.at, kind });
      const parts = made.at.split(/[\\/]/).slice(0, -1);
      go({ place: "files", dir: parts.join(made.at.includes("\\") ? "\\" : "/") });
    } catch (reason) {
      tellError(reason);
    }
    writing.value = "";
  };
  return (
    <Says title="Nothing to open here yet">
      <p>
        Put a microscope file (ND2, CZI, TIFF, OME-Zarr) or a folder of images here, or go to another
        folder. To try everything without data of your own, write a demo here: a small experiment of
        cells that are known.
      </p>
      <ul class="demos" aria-label="demos">
        {demos.value.value?.demos.map(({ kind, about }, i) => (
          <li key={kind}>
            <button
              type="button"
              class={i === 0 ? "first" : ""}
              disabled={writing.value !== "" || !props.at}
              onClick={() => write(kind)}
            >
              {writing.value === kind ? "writing it, some seconds …" : about}
            </button>
          </li>
        ))}
      </ul>
    </Says>
  );
}

// Cards, fetched when they come into sight

interface Told {
  readonly card: Card | null;
  readonly picture: Pixels | null;
  readonly error: string;
}

const told = signal<ReadonlyMap<string, Told>>(new Map());
const underway = new Set<string>();

function keyOf(entry: Entry): string {
  return `${entry.at}|${entry.modified}|${turn.value}`;
}

async function describe(entry: Entry): Promise<void> {
  const key = keyOf(entry);
  if (underway.has(key) || told.peek().has(key)) return;
  underway.add(key);
  const put = (change: Partial<Told>) => {
    const before = told.peek().get(key) ?? { card: null, picture: null, error: "" };
    told.value = new Map([...told.peek(), [key, { ...before, ...change }]]);
  };
  try {
    put({ card: await get("/api/card", { at: entry.at }) });
    put({ picture: await get("/api/thumbnail", { at: entry.at }) });
  } catch (reason) {
    put({ error: inWords(reason) });
  }
  underway.delete(key);
}

function Thing(props: { entry: Entry }) {
  const { entry } = props;
  const element = useRef<HTMLAnchorElement>(null);
  const key = keyOf(entry);
  useEffect(() => {
    const observer = new IntersectionObserver((seen) => {
      if (seen.some((each) => each.isIntersecting)) void describe(entry);
    });
    observer.observe(element.current as Element);
    return () => observer.disconnect();
  }, [key]);
  const known = told.value.get(key);
  const isResults = entry.kind === "results";
  // Of what was read again, the old is shown until the new is there.
  const card = known?.card;
  const setUp = knownPlaces.value.find((place) => place.name === "setup");
  const fresh = { at: entry.at, out: null, fov: null, cell: null, t: null, show: null, column: null };
  const goal: Change = { ...fresh, place: isResults ? "look" : setUp ? "setup" : "files" };
  return (
    <a
      class="card"
      ref={element}
      href={linkTo(goal)}
      title={entry.at}
      onClick={(event) => open(event, goal)}
    >
      <Thumbnail picture={known?.picture ?? null} />
      <span class="text">
        <b>{entry.name}</b>
        <span class="quiet">
          {card?.words ?? (known?.error ? "" : "looking into it …")}
        </span>
        {known?.error && !card && <span class="bad">{known.error}</span>}
        {card && card.states.length > 0 && <States states={card.states} />}
        {card?.details.map((each) => (
          <span key={each} class="quiet detail">
            {each}
          </span>
        ))}
        <span class="quiet detail">
          {[entry.size ? bytes(entry.size) : "", entry.modified ? when(entry.modified) : ""]
            .filter(Boolean)
            .join(" · ")}
        </span>
      </span>
    </a>
  );
}

const STATES: Record<Card["states"][number][0], readonly [string, string]> = {
  done: ["✓", "good"],
  running: ["↻", "warn"],
  unfinished: ["…", "warn"],
  failed: ["✕", "bad"],
  damaged: ["✕", "bad"],
};

function States(props: { states: Card["states"] }) {
  return (
    <span class="states">
      {props.states.map(([state, n]) => (
        <span key={state}>
          <span class={`mark ${STATES[state][1]}`}>{STATES[state][0]}</span>
          {n} {state}
        </span>
      ))}
    </span>
  );
}
