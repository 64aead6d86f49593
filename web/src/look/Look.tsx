// Look: positions, the picture of one, and the traces of its cells, linked in all directions.

import { useEffect } from "preact/hooks";
import { go, part } from "../base/address.js";
import { useKeysOf } from "../base/keys.js";
import { Says } from "../base/Says.js";
import { Split } from "../base/Split.js";
import { CellPanel } from "./CellPanel.js";
import { FovPicture } from "./FovPicture.js";
import { listedFovs, Positions } from "./Positions.js";
import { at, fovNumber, goToFov, overview } from "./state.js";
import { TracesPanel } from "./TracesPanel.js";

const out = part("out");

function stepPosition(by: number): void {
  const all = listedFovs();
  const place = all.indexOf(fovNumber.peek() ?? -1);
  const next = all[Math.max(0, Math.min(place + by, all.length - 1))];
  if (next !== undefined && next !== fovNumber.peek()) goToFov(next);
}

const KEYS = [
  { key: "ArrowDown", words: "next position", act: () => stepPosition(1) },
  { key: "ArrowUp", words: "position before", act: () => stepPosition(-1) },
];

export function Look() {
  useEffect(() => useKeysOf("Positions", KEYS), []);
  if (!at.value) {
    return (
      <Says title="No results are open">
        <p>Choose a folder of results.</p>
        <button type="button" class="first" onClick={() => go({ place: "files" })}>
          to the files
        </button>
      </Says>
    );
  }
  if (overview.error.value) {
    return (
      <Says
        title={out.value ? "No results of this file can be shown yet" : "These results cannot be shown"}
        isError
      >
        <p>{overview.error.value}</p>
        <button type="button" onClick={() => overview.reload()}>
          try again
        </button>
        {out.value && (
          <button type="button" class="first" onClick={() => go({ place: "run" })}>
            to the run
          </button>
        )}
        <button type="button" onClick={() => go({ place: "files" })}>
          to the files
        </button>
      </Says>
    );
  }
  return (
    <div class="look">
      <Split name="positions" direction="row" sized="first" initial={250} label="positions">
        {[
          <Positions />,
          <Split name="traces" direction="row" sized="second" initial={400} label="traces">
            {[
              <Split name="cell and corrections" direction="column" sized="second" initial={216} label="film strip">
                {[<FovPicture />, <CellPanel />]}
              </Split>,
              <TracesPanel />,
            ]}
          </Split>,
        ]}
      </Split>
    </div>
  );
}
