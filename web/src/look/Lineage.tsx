// The relatives of the chosen cell: parents to the left, daughters to the right.

import { computed } from "@preact/signals";
import { familyOf } from "./family.js";
import { cell, cells, chooseCell, fov, hovered } from "./state.js";

const ROW = 20;
const WIDTH = 180;

const family = computed(() => {
  const table = cells.value.value;
  return table && cell.value !== null ? familyOf(table, cell.value) : [];
});

export function Lineage() {
  const all = family.value;
  const n = Math.max((fov.value.value?.n_frames ?? 1) - 1, 1);
  if (all.length < 2) return null;
  const lines = Math.max(...all.map((each) => each.line)) + 1;
  const x = (frame: number) => 6 + (frame / n) * (WIDTH - 36);
  const y = (line: number) => 10 + line * ROW;
  return (
    <div class="lineage">
      <h3>family</h3>
      <svg width={WIDTH} height={lines * ROW + 6} role="group" aria-label="lineage">
        {all.map((each) => (
          <g
            key={each.cell}
            class={each.cell === cell.value ? "chosen" : each.cell === hovered.value ? "hovered" : ""}
            role="button"
            tabIndex={0}
            aria-label={`cell ${each.cell}, frames ${each.first} to ${each.last}`}
            onClick={() => chooseCell(each.cell)}
            onKeyDown={(event) => {
              if (event.key === "Enter") chooseCell(each.cell);
            }}
            onMouseEnter={() => {
              hovered.value = each.cell;
            }}
            onMouseLeave={() => {
              hovered.value = null;
            }}
          >
            {each.parent && (
              <path d={`M${x(each.parent.last)} ${y(each.parent.line)}V${y(each.line)}H${x(each.first)}`} />
            )}
            <path class="life" d={`M${x(each.first)} ${y(each.line)}H${Math.max(x(each.last), x(each.first) + 2)}`} />
            <rect x={x(each.first)} y={y(each.line) - 8} width={x(each.last) - x(each.first) + 28} height={16} />
            <text x={x(each.last) + 4} y={y(each.line) + 4}>
              {each.cell}
            </text>
          </g>
        ))}
      </svg>
    </div>
  );
}
