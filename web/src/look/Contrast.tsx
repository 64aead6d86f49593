// A layer in the row below the picture: shown or not, and between which grey values.

import { closePopover, popover } from "../base/keys.js";
import { short } from "../base/units.js";
import { hasBoth, setContrast, setRaw, toggleLayer, type ShownLayer } from "./state.js";

export function Contrast(props: { shown: ShownLayer; place: number }) {
  const { shown } = props;
  const isOpen = popover.value === String(props.place);
  const { layer } = shown;
  return (
    <div class="layer">
      <label title={`show or hide (${props.place + 1})`}>
        <input type="checkbox" checked={shown.isShown} onChange={() => toggleLayer(shown.id)} />
        <span class="dot" style={{ background: shown.colour }} />
        {shown.title}
        {layer.kind === "raw" && hasBoth(layer.channel) && <span class="quiet"> raw</span>}
      </label>
      <button
        type="button"
        class="quiet"
        aria-expanded={isOpen}
        title="contrast"
        aria-label={`contrast of ${shown.title}`}
        onClick={() => {
          popover.value = isOpen ? "" : String(props.place);
        }}
      >
        ◐
      </button>
      {isOpen && <Limits shown={shown} />}
    </div>
  );
}

function Limits(props: { shown: ShownLayer }) {
  const { id, layer, low, high } = props.shown;
  // The whole range of a slider is what the picture uses, three times over.
  const span = Math.max(layer.high - layer.low, 1e-6);
  const [from, to] = [layer.low - span, layer.high + span];
  const step = layer.dtype === "float32" ? span / 200 : Math.max(Math.round(span / 200), 1);
  const set = (limits: readonly [number, number]) => {
    if (limits[1] > limits[0]) setContrast(id, limits);
  };
  return (
    <div class="popover" role="dialog" aria-label={`contrast of ${props.shown.title}`}>
      <label>
        black at
        <input
          type="range" min={from} max={to} step={step} value={low}
          onInput={(event) => set([Math.min(Number(event.currentTarget.value), high - step), high])}
        />
        <output>{short(low)}</output>
      </label>
      <label>
        white at
        <input
          type="range" min={from} max={to} step={step} value={high}
          onInput={(event) => set([low, Math.max(Number(event.currentTarget.value), low + step)])}
        />
        <output>{short(high)}</output>
      </label>
      <div class="buttons">
        {layer.kind !== "phase" && hasBoth(layer.channel) && (
          <label>
            <input
              type="checkbox"
              checked={layer.kind === "raw"}
              onChange={(event) => setRaw(layer.channel, event.currentTarget.checked)}
            />
            raw, with background
          </label>
        )}
        <button type="button" onClick={() => setContrast(id, null)}>
          as at first
        </button>
        <button type="button" onClick={closePopover}>
          close
        </button>
      </div>
    </div>
  );
}
