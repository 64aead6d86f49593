// The chosen cell through its life: what is to say of it, a film strip, and its relatives.

import { CorrectBar } from "../correct/CorrectBar.js";
import { FilmStrip } from "./FilmStrip.js";
import { Lineage } from "./Lineage.js";
import { cell } from "./state.js";

export function CellPanel() {
  return (
    <section class="cell-panel" aria-label={cell.value === null ? "no cell" : `cell ${cell.value}`}>
      <CorrectBar />
      {cell.value === null ? (
        <p class="quiet pad">Click a cell in the picture, or its trace, to see it through its life.</p>
      ) : (
        <div class="life-of-cell">
          <Lineage />
          <FilmStrip />
        </div>
      )}
    </section>
  );
}
