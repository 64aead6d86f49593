// All corrections of the position: what, who, when, and whether they show.

import { StateOf } from "../base/Says.js";
import { cell, chooseCell } from "../look/state.js";
import { edits, redo, undo } from "./state.js";

export function History() {
  const all = edits.value.value?.edits ?? [];
  return (
    <div class="history">
      <StateOf of={edits} what="corrections" />
      {edits.value.value && all.length === 0 && (
        <p class="quiet pad">
          Nothing was corrected in this position. Choose a cell, then g or b judges it, j joins it
          with another, c cuts it; ? shows all keys.
        </p>
      )}
      <ol class="scroll">
        {[...all].reverse().map((each) => (
          <li key={each.name} class={each.stands}>
            <button
              type="button"
              class="quiet words"
              aria-current={each.cells.includes(cell.value ?? -1) ? "true" : undefined}
              title={`${each.by}, ${each.at} UTC`}
              onClick={() => chooseCell(each.cells[0] ?? null)}
            >
              <span>{each.words}</span>
              <span class="quiet">
                {each.by}, {each.at} UTC{each.stands === "stale" ? ` · not applied: ${each.reason}` : ""}
                {each.stands === "undone" ? " · undone" : ""}
              </span>
            </button>
            <button type="button" onClick={() => (each.stands === "undone" ? redo : undo)(each.name)}>
              {each.stands === "undone" ? "redo" : "undo"}
            </button>
          </li>
        ))}
      </ol>
    </div>
  );
}
