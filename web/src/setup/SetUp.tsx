// Set up: what the file is, which channel is what, and which position belongs to which sample.

import { useSignal } from "@preact/signals";
import { go } from "../base/address.js";
import { Says, StateOf } from "../base/Says.js";
import { bytes } from "../base/units.js";
import { Channels } from "./Channels.js";
import { Positions, SamplesPanel } from "./Positions.js";
import {
  at, change, draft, flush, given as givenOf, saved, saveError, saving, setParameter, source, stored,
} from "./state.js";
import { ReadAs } from "./ReadAs.js";

export function SetUp() {
  if (!at.value) return <NothingOpen />;
  if (source.error.value) return <NotRead />;
  const known = source.value.value;
  if (!known) return <StateOf of={source} what="the file" />;
  return (
    <div class="setup">
      <div class="scroll setup-main">
        <header class="setup-head">
          <h1>{known.title}</h1>
          <p>
            {known.words}
            {known.facts.map((fact) => (
              <span key={fact.name} class="fact">
                <span class="quiet">{fact.name}</span> {fact.words}
              </span>
            ))}
          </p>
          {known.refusal && <p class="problem">{known.refusal}</p>}
          {known.warnings.map((each) => (
            <p key={each} class="warn">! {each}</p>
          ))}
        </header>
        <Channels />
        <Positions />
      </div>
      <aside class="setup-side scroll">
        <SamplesPanel />
        <RunPanel />
      </aside>
    </div>
  );
}

/** Why the file cannot be read, and how else it could be. */
export function NotRead() {
  return (
    <div class="setup scroll pad">
      <Says title="This file cannot be read as it is" isError>
        <p>{source.error.value}</p>
      </Says>
      <ReadAs isOpen />
    </div>
  );
}

export function NothingOpen() {
  return (
    <Says title="No microscope file is open">
      <p>Choose a file; or write a demo, with which everything can be tried.</p>
      <button type="button" class="first" onClick={() => go({ place: "files" })}>
        to the files
      </button>
    </Says>
  );
}

function RunPanel() {
  const known = source.value.value;
  const now = draft.value;
  if (!known) return null;
  const isReady =
    now !== null && (now.channels.pc !== null || now.channels.segment !== null) && !known.refusal;
  return (
    <section class="side-section">
      <h2>Results</h2>
      <StateOf of={stored} what="what is set up" />
      <OutFolder out={known.out} />
      {now && (
        <label class="line">
          <span>keep</span>
          <select value={now.keep} onChange={(event) => change({ keep: event.currentTarget.value })}>
            <option value="all">all images</option>
            <option value="labels">outlines and tables</option>
            <option value="traces">tables alone</option>
            {!["all", "labels", "traces"].includes(now.keep) && (
              <option value={now.keep}>{now.keep}</option>
            )}
          </select>
        </label>
      )}
      {now && known.n_frames > 1 && <MinutesBetween />}
      <ReadAs isOpen={false} />
      {stored.value.value?.problem && <p class="problem">{stored.value.value.problem}</p>}
      <SavedWords />
      <div class="buttons">
        <button
          type="button"
          class="first"
          disabled={!isReady || saving.value !== ""}
          title={isReady ? "write run.yaml" : "choose the channel in which cells are found"}
          onClick={() => void flush(true)}
        >
          save for a run
        </button>
        <ToTheRun isReady={isReady} />
      </div>
      {saved.value && isReady && (
        <div class="command">
          <p class="quiet">or in a terminal:</p>
          <code>pyama run --config "{saved.value.path}"</code>
        </div>
      )}
    </section>
  );
}

/** Minutes between frames, for a file that does not tell, or tells what is not so. */
function MinutesBetween() {
  const known = source.value.value;
  const given = givenOf("extraction", "interval_minutes");
  const put = (text: string) => {
    const minutes = Number(text.replace(",", "."));
    const isMeant = text.trim() !== "" && Number.isFinite(minutes) && minutes > 0;
    setParameter("extraction", "interval_minutes", isMeant ? minutes : undefined);
  };
  return (
    <>
      <label class="line" title="empty: as the file says">
        <span>minutes between frames</span>
        <input
          type="text"
          inputMode="decimal"
          size={8}
          value={typeof given === "number" ? String(given) : ""}
          placeholder={known?.has_times ? "by the file" : "unknown"}
          onChange={(event) => {
            put(event.currentTarget.value);
            const now = givenOf("extraction", "interval_minutes");
            event.currentTarget.value = typeof now === "number" ? String(now) : "";
          }}
        />
      </label>
      {!known?.has_times && given === undefined && (
        <p class="quiet">The file does not say when its frames were taken: without this, results count frames and know no hours.</p>
      )}
      {known?.has_times && given !== undefined && (
        <p class="warn">! replaces the times of the file</p>
      )}
    </>
  );
}

/** Save, and go to where it runs. */
export function ToTheRun(props: { isReady: boolean }) {
  return (
    <button
      type="button"
      disabled={!props.isReady || saving.value !== ""}
      title={props.isReady ? "save, and go to where it runs" : "choose the channel in which cells are found"}
      onClick={async () => {
        if (await flush(true)) go({ place: "run", out: saved.value?.out ?? null });
      }}
    >
      Run …
    </button>
  );
}

/** Whether what is set is saved, and where; or why not. */
export function SavedWords() {
  if (saveError.value) return <p class="problem" role="alert">not saved: {saveError.value}</p>;
  const told = saved.value;
  if (saving.value) return <p class="quiet">saving …</p>;
  if (told) {
    return (
      <p class="quiet">
        saved as {told.path.split(/[\\/]/).slice(-2).join("/")}; a run will leave about {bytes(told.bytes)},{" "}
        {bytes(told.free_bytes)} are free
      </p>
    );
  }
  return <p class="quiet">{stored.value.value?.origin ?? ""}</p>;
}

function OutFolder(props: { out: string }) {
  const words = useSignal<string | null>(null);
  const put = () => {
    const next = (words.value ?? props.out).trim();
    words.value = null;
    if (next && next !== props.out) go({ out: next });
  };
  return (
    <label class="stacked">
      <span class="quiet">folder</span>
      <input
        type="text"
        spellcheck={false}
        value={words.value ?? props.out}
        title={props.out}
        onInput={(event) => (words.value = event.currentTarget.value)}
        onBlur={put}
        onKeyDown={(event) => event.key === "Enter" && put()}
      />
    </label>
  );
}
