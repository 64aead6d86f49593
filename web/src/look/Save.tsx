// What is saved of the screen: a picture or a film.

import { useSignal } from "@preact/signals";
import { closePopover, popover, withKey } from "../base/keys.js";
import { fov } from "./state.js";
import { filming, kindOfFilm, saveFilm, savePicture, stamps, stopFilm, type Shown } from "./saving.js";

export interface SaveProps {
  readonly shown: () => Shown | null;
  readonly isThere: (frame: number) => boolean;
}

const SAVE = "save …";
const STAMPS = { bar: "scale bar", time: "time", name: "position and sample" } as const;

export function Save(props: SaveProps) {
  const isOpen = popover.value === SAVE;
  const now = filming.value;
  return (
    <div class="layer save">
      {now ? (
        <>
          <progress value={now.done} max={now.total} aria-label="film" />
          <span class="quiet nowrap">
            film: {now.done} of {now.total}
          </span>
          <button type="button" onClick={stopFilm}>
            stop
          </button>
        </>
      ) : (
        <button
          type="button"
          class="quiet"
          aria-expanded={isOpen}
          title={withKey("a picture or a film of what is on the screen", "s")}
          onClick={() => (popover.value = isOpen ? "" : SAVE)}
        >
          {SAVE}
        </button>
      )}
      {isOpen && !now && <Choices {...props} />}
    </div>
  );
}

function Choices(props: SaveProps) {
  const last = Math.max((fov.value.value?.n_frames ?? 1) - 1, 0);
  const from = useSignal(0);
  const to = useSignal(last);
  const perSecond = useSignal(10);
  const kind = kindOfFilm();
  const isRight = from.value <= to.value && to.value <= last;
  return (
    <div class="popover right" role="dialog" aria-label="save">
      <div class="buttons">
        {(Object.keys(STAMPS) as (keyof typeof STAMPS)[]).map((name) => (
          <label key={name}>
            <input
              type="checkbox"
              checked={stamps.value[name]}
              onChange={(event) => (stamps.value = { ...stamps.value, [name]: event.currentTarget.checked })}
            />
            {STAMPS[name]}
          </label>
        ))}
      </div>
      <div class="buttons">
        <button
          type="button"
          onClick={() => {
            const shown = props.shown();
            if (shown) void savePicture(shown);
          }}
        >
          picture (PNG)
        </button>
      </div>
      {kind ? (
        <>
          <label>
            frames
            <Whole value={from.value} most={last} label="first frame" onChange={(n) => (from.value = n)} />
            to
            <Whole value={to.value} most={last} label="last frame" onChange={(n) => (to.value = n)} />
            at
            <Whole value={perSecond.value} most={60} label="frames per second" onChange={(n) => (perSecond.value = Math.max(n, 1))} />
            /s
          </label>
          <div class="buttons">
            <button
              type="button"
              disabled={!isRight}
              onClick={() => {
                const film = { first: from.value, last: to.value, perSecond: perSecond.value };
                if (props.shown()) void saveFilm(film, () => props.shown() as Shown, props.isThere);
                closePopover();
              }}
            >
              film ({kind[1] === "mp4" ? "MP4" : "WebM"})
            </button>
            <span class="quiet">{isRight ? `takes ${Math.ceil((to.value - from.value + 1) / perSecond.value)} s` : `frames 0 to ${last}`}</span>
          </div>
        </>
      ) : (
        <p class="quiet">This browser cannot make films.</p>
      )}
    </div>
  );
}

function Whole(props: { value: number; most: number; label: string; onChange: (n: number) => void }) {
  return (
    <input
      type="number"
      min={0}
      max={props.most}
      value={props.value}
      aria-label={props.label}
      onInput={(event) => {
        const n = Number(event.currentTarget.value);
        if (Number.isInteger(n) && n >= 0) props.onChange(n);
      }}
    />
  );
}
