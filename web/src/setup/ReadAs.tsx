// How a file is read where it does not say itself: planes, axes, names of images.

import { useSignal } from "@preact/signals";
import type { Reading } from "../base/messages.js";
import { AS_IT_SAYS, change, draft, reading, source } from "./state.js";

const FIELDS: readonly [keyof Reading & string, string, string][] = [
  ["z", "plane of a z-stack", "a number from 0, or max for the maximum projection"],
  ["axes", "axes of a plain TIFF stack", "slowest first, such as TCYX (P position, T, C, Z, Y, X)"],
  ["sizes", "sizes of these axes but Y and X", "such as 10,3"],
  ["pattern", "how images in a folder are named", "such as {*}_{channel}_{fov}_{time}.tif"],
  ["numbering", "frame numbers in names", "order: no gaps; or how far frames are apart"],
];

export function ReadAs(props: { isOpen: boolean }) {
  const now = draft.value?.reading ?? reading.value;
  const edited = useSignal<Reading | null>(null);
  const shown = edited.value ?? now;
  const isSet = JSON.stringify(now) !== JSON.stringify(AS_IT_SAYS);
  const hasPlanes = (source.value.value?.n_z ?? 1) > 1;
  const use = () => {
    const next = edited.value;
    edited.value = null;
    if (!next) return;
    reading.value = next;
    if (draft.peek()) change({ reading: next });
  };
  return (
    <details class="read-as" open={props.isOpen || isSet || hasPlanes}>
      <summary>how the file is read{isSet ? "" : ": as it says itself"}</summary>
      {FIELDS.map(([name, words, hint]) => (
        <label key={name} class="stacked">
          <span class="quiet">{words}</span>
          <input
            type="text"
            value={shown[name] as string}
            placeholder={hint}
            title={hint}
            onInput={(event) => (edited.value = { ...shown, [name]: event.currentTarget.value })}
            onKeyDown={(event) => event.key === "Enter" && use()}
          />
        </label>
      ))}
      <label>
        <input
          type="checkbox"
          checked={shown.outside}
          onChange={(event) => (edited.value = { ...shown, outside: event.currentTarget.checked })}
        />
        also files that it names outside of its own folder
      </label>
      <button type="button" disabled={!edited.value} onClick={use}>
        read it so
      </button>
    </details>
  );
}
