// The chosen cell through its life: a film strip, and its relatives.

import { cell } from "./state.js";
import { FilmStrip } from "./FilmStrip.js";
import { Lineage } from "./Lineage.js";

export function CellPanel() {
  if (cell.value === null) {
    return <p class="quiet pad">Click a cell in the picture, or its trace, to see it through its life.</p>;
  }
  return (
    <section class="cell-panel" aria-label={`cell ${cell.value}`}>
      <Lineage />
      <FilmStrip />
    </section>
  );
}
