// The page: a bar with the places, and the place that the address tells.

import { render } from "preact";
import { address, go, linkTo, type Change } from "./base/address.js";
import { listen } from "./base/events.js";
import { Help } from "./base/Help.js";
import { later } from "./base/later.js";
import { helpIsOpen, listenToKeys } from "./base/keys.js";
import { Notices } from "./base/notices.js";
import { knownPlaces, type Place } from "./base/places.js";
import { Files } from "./files/Files.js";
import { Look } from "./look/Look.js";
import { SetUp } from "./setup/SetUp.js";
import { PLACES_OF_IT, source } from "./setup/state.js";
import "uplot/dist/uPlot.min.css";
import "./style.css";

// What opens first is in the page; the other places are loaded when they are opened.
const PLACES: readonly Place[] = [
  { name: "files", title: "Files", Content: Files },
  { name: "setup", title: "Set up", Content: SetUp },
  { name: "tune", title: "Tune", Content: later("Tune", async () => (await import("./tune/Tune.js")).Tune) },
  { name: "run", title: "Run", Content: later("Run", async () => (await import("./running/Run.js")).Run) },
  { name: "look", title: "Look", Content: Look },
  { name: "export", title: "Export", Content: later("Export", async () => (await import("./exporting/Export.js")).Export) },
];

function Bar(props: { place: Place }) {
  const at = address.value["at"] ?? "";
  return (
    <header class="bar">
      <span class="name">pyama</span>
      <a
        class="opened"
        href={linkTo({ place: "files" })}
        title={at || "nothing is open"}
        onClick={follow}
      >
        {at ? at.split(/[\\/]/).slice(-2).join(" / ") : "open …"}
      </a>
      <nav>
        {PLACES.map((place) => (
          <a
            key={place.name}
            href={linkTo(leadingTo(place.name))}
            aria-current={place === props.place ? "page" : undefined}
            onClick={follow}
          >
            {place.title}
          </a>
        ))}
      </nav>
      <button
        type="button"
        class="quiet"
        title="keys (?)"
        aria-label="keys"
        onClick={() => {
          helpIsOpen.value = true;
        }}
      >
        ?
      </button>
    </header>
  );
}

/** Follow a link within the page, without loading it anew. */
function follow(event: MouseEvent): void {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const place = new URL((event.currentTarget as HTMLAnchorElement).href).searchParams.get("place");
  go(leadingTo(place ?? "files"));
}

/** What changes with the place: from a file that is set up, results lie where its run puts them. */
function leadingTo(place: string): Change {
  const { place: from = "", out = "" } = address.value;
  const chosen = out || (PLACES_OF_IT.includes(from) ? (source.value.value?.out ?? "") : "");
  return chosen ? { place, out: chosen } : { place };
}

function Page() {
  const name = address.value["place"] ?? "";
  const place = PLACES.find((each) => each.name === name) ?? (PLACES[0] as Place);
  return (
    <>
      <Bar place={place} />
      <main>
        <place.Content />
      </main>
      <Notices />
      <Help />
    </>
  );
}

knownPlaces.value = PLACES;
listen();
listenToKeys();
render(<Page />, document.getElementById("page") as HTMLElement);
