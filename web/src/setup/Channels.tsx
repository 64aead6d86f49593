// A card per channel: a picture, what it shows, and what it is used as.

import { useEffect } from "preact/hooks";
import { go } from "../base/address.js";
import { Thumbnail } from "../base/Thumbnail.js";
import { short } from "../base/units.js";
import type { ChannelFact } from "../base/messages.js";
import { StateOf } from "../base/Says.js";
import {
  change, draft, given, look, roleOf, setParameter, source, withMeasured, withRole, type Role,
} from "./state.js";
import { thumb, want } from "./thumbs.js";

const SIZE = 256;
const ROLES: readonly [Role, string][] = [
  ["none", "not segmented"],
  ["pc", "phase contrast"],
  ["segment", "segmented, any kind"],
  ["nuclei", "nuclei"],
];

export function Channels() {
  const known = source.value.value;
  if (!known) return null;
  const chosen = draft.value?.channels;
  const hasCells = chosen && (chosen.pc !== null || chosen.segment !== null);
  return (
    <section class="block">
      <div class="panel-head">
        <h2>Channels</h2>
        {hasCells && (
          <button type="button" title="choose how cells are found, on the picture" onClick={() => go({ place: "tune" })}>
            tune on the picture
          </button>
        )}
      </div>
      <StateOf of={look} what="what the channels show" />
      <div class="channel-cards">
        {known.channels.map((each) => (
          <ChannelCard key={each.channel} channel={each} />
        ))}
      </div>
      {chosen && !hasCells && (
        <p class="problem">Say in which channel cells are found; then they can be tuned and run.</p>
      )}
      {chosen && hasCells && chosen.fl.length === 0 && (
        <p class="warn">! No channel is measured: cells are followed, and nothing more.</p>
      )}
      {chosen?.nuclei != null && <Compartments />}
      {look.value.value?.warnings.map((each) => <p key={each} class="warn">! {each}</p>)}
    </section>
  );
}

function ChannelCard(props: { channel: ChannelFact }) {
  const { channel, name, emission_nm: emission } = props.channel;
  const fov = source.value.value?.fovs.find((each) => each.n_frames > 0)?.fov ?? 0;
  useEffect(() => want(fov, channel, SIZE), [fov, channel, source.value.value]);
  const picture = thumb(fov, channel, SIZE);
  const seen = look.value.value?.channels[channel];
  const chosen = draft.value?.channels;
  const role = chosen ? roleOf(chosen, channel) : "none";
  return (
    <article class="channel-card" aria-label={`channel ${name}`}>
      <Thumbnail picture={picture?.picture ?? null} />
      <div class="text">
        <b title={name}>
          {name} <span class="quiet">{channel}</span>
        </b>
        <span class="quiet">
          {emission !== null && `${Math.round(emission)} nm · `}
          {seen && seen.low !== null && `grey values ${short(seen.low)} to ${short(seen.high ?? 0)}`}
        </span>
        {picture?.error && <span class="problem">{picture.error}</span>}
        {seen && <Shows kind={seen.kind} isSure={seen.is_sure} reason={seen.reason} method={seen.method} />}
        {chosen && (
          <>
            <select
              value={role}
              aria-label={`role of ${name}`}
              title="cells are found in phase contrast, or in another channel that is segmented"
              onChange={(event) =>
                change({ channels: withRole(chosen, channel, event.currentTarget.value as Role) })
              }
            >
              {ROLES.map(([value, words]) => (
                <option key={value} value={value}>{words}</option>
              ))}
            </select>
            <label title="fluorescence, of which each cell gets a trace">
              <input
                type="checkbox"
                checked={chosen.fl.includes(channel)}
                disabled={role === "pc"}
                onChange={(event) =>
                  change({ channels: withMeasured(chosen, channel, event.currentTarget.checked) })
                }
              />
              measured in each cell
            </label>
          </>
        )}
      </div>
    </article>
  );
}

function Shows(props: { kind: string; isSure: boolean; reason: string; method: string }) {
  if (!props.kind) return <span class="quiet">it cannot be told what it shows</span>;
  return (
    <span class="shows" title={props.reason}>
      {props.isSure ? (
        <>shows {props.kind}</>
      ) : (
        <>
          <span class="mark warn">?</span>unsure, perhaps {props.kind}
        </>
      )}
      <span class="quiet"> · suits {props.method}</span>
    </span>
  );
}

/** Whether nuclei and the rings around them are measured apart. */
function Compartments() {
  const features = (given("extraction", "features") as string[] | undefined) ?? ["shape", "intensity"];
  const isOn = features.includes("compartments");
  const set = (on: boolean) => {
    const rest = features.filter((each) => each !== "compartments");
    setParameter("extraction", "features", on ? [...rest, "compartments"] : rest);
  };
  return (
    <p>
      <label>
        <input type="checkbox" checked={isOn} onChange={(event) => set(event.currentTarget.checked)} />
        measure nuclei, and the rings around them, apart from whole cells
      </label>
      {!isOn && (
        <span class="quiet"> (else nuclei only help the method instances to tell cells apart)</span>
      )}
    </p>
  );
}
