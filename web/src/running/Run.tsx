// Run: begin, follow, stop, go on, and what failed. The run is a process of its own; this only looks.

import { useEffect, useRef } from "preact/hooks";
import { query } from "../base/api.js";
import { go } from "../base/address.js";
import type { FovAt, RunAt } from "../base/messages.js";
import { Says, StateOf } from "../base/Says.js";
import { count, short, when } from "../base/units.js";
import { asked, asking, isLive, log, logIsOpen, run, start, stop } from "./state.js";

export function Run() {
  if (!asked.value) return <NothingOpen />;
  const now = run.value.value;
  return (
    <section class="run scroll" aria-label="run">
      <StateOf of={run} what="the run" />
      {now && (
        <>
          <Head now={now} />
          <Doubts now={now} />
          <Failures now={now} />
          <Rows now={now} />
          <Log />
        </>
      )}
    </section>
  );
}

function NothingOpen() {
  return (
    <Says title="Nothing is open that could run">
      <p>Choose a microscope file and set it up; or open results, to see how their run is.</p>
      <button type="button" class="first" onClick={() => go({ place: "files" })}>
        to the files
      </button>
    </Says>
  );
}

const TITLES: Record<RunAt["state"], string> = {
  none: "Nothing has run here yet",
  starting: "The run is starting",
  running: "Running",
  stopping: "Stopping: what is finished stays",
  finishing: "Writing the report",
  refused: "The run did not begin",
  unfinished: "Stopped before the end",
  failed: "Done, but for what failed",
  older: "Done by an earlier version",
  done: "Done",
};

function Head(props: { now: RunAt }) {
  const { now } = props;
  const share = now.total ? now.done / now.total : 0;
  const nFailed = now.counts["failed"] ?? 0;
  return (
    <header class="run-head">
      <h1 aria-live="polite">{TITLES[now.state]}</h1>
      <p class="quiet">into {now.out}</p>
      {now.state === "older" && (
        <p>
          These results can be looked at and exported as they are. To go on makes anew what this version
          makes otherwise.
        </p>
      )}
      {now.said && <pre class="problem" role="alert">{now.said}</pre>}
      {now.total > 0 && (
        <p class="run-bar">
          <progress aria-label="all positions" max={1} value={now.state === "done" ? 1 : share} />
          <b>{now.state === "done" ? 100 : Math.floor(100 * share)} %</b>
          <span>{counted(now.counts)}</span>
        </p>
      )}
      {isLive.value && (
        <p>
          {[
            now.frames_per_s !== null && `${short(now.frames_per_s)} frames/s`,
            now.seconds_left !== null && now.state === "running" && `about ${lasting(now.seconds_left)} left`,
            now.seconds !== null && `${lasting(now.seconds)} so far`,
          ]
            .filter(Boolean)
            .join(" · ")}
        </p>
      )}
      {now.by.map((by) => (
        <p key={`${by.host} ${by.pid}`} class="quiet">
          process {by.pid} on {by.host}, since {by.since.slice(0, 19)}, has {count(by.n_fovs, "position")}
          {by.silent_minutes > 0 && (
            <span class="warn">
              {" "}! it has given no sign for {by.silent_minutes} min: that computer may be off; a new run
              takes over
            </span>
          )}
        </p>
      ))}
      <Last now={now} />
      <div class="buttons">
        {!isLive.value && now.state !== "done" && (
          <button type="button" class="first" disabled={asking.value !== ""} onClick={() => void start("all")}>
            {now.fovs.length > 0 ? "go on from here" : "start"}
          </button>
        )}
        {!isLive.value && nFailed > 0 && (
          <button type="button" disabled={asking.value !== ""} onClick={() => void start("failed")}>
            retry the failed ({nFailed})
          </button>
        )}
        {isLive.value && now.state !== "finishing" && (
          <button
            type="button"
            disabled={asking.value !== "" || now.state === "stopping"}
            title="as Ctrl-C does: what is finished stays"
            onClick={() => void stop()}
          >
            {now.state === "stopping" ? "stopping …" : "stop"}
          </button>
        )}
        {(now.counts["done"] || now.counts["older"]) && (
          <button
            type="button"
            class={now.state === "done" ? "first" : ""}
            onClick={() => go({ place: "look", at: now.out, out: null })}
          >
            look at the cells
          </button>
        )}
        {now.has_report && (
          <a class="button" href={`/api/report?${query({ at: now.out })}`} target="_blank" rel="noreferrer">
            the report
          </a>
        )}
        {!isLive.value && now.state === "none" && (
          <button type="button" onClick={() => go({ place: "setup" })}>
            set up
          </button>
        )}
      </div>
    </header>
  );
}

const ORDER = ["done", "older", "running", "waiting", "unfinished", "failed", "damaged"];

function counted(counts: RunAt["counts"]): string {
  return ORDER.filter((name) => counts[name]).map((name) => `${counts[name]} ${name}`).join(", ");
}

/** `3 h 05 min`, `4 min`, `20 s` of seconds. */
function lasting(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

function Last(props: { now: RunAt }) {
  const last = props.now.last;
  if (!last || isLive.value) return null;
  return (
    <p class="quiet">
      last run: {when(last.started)}, {lasting(last.ended - last.started)}
      {last.host && `, on ${last.host}`}; {Object.entries(last.counts).map(([word, n]) => `${n} ${word}`).join(", ")}
      {last.command && <code title="as it was typed"> {last.command}</code>}
    </p>
  );
}

function Doubts(props: { now: RunAt }) {
  if (props.now.doubts.length === 0) return null;
  return (
    <section class="run-doubts" role="alert" aria-label="doubts">
      <h2>! {isLive.value ? "Look before it goes on: what" : "What"} was found contradicts what was assumed</h2>
      {props.now.doubts.map((doubt) => (
        <p key={doubt.text}>
          <Where fovs={doubt.fovs} isSame={doubt.is_same} /> {doubt.text}.{" "}
          <span class="quiet">What to try: {doubt.advice}</span>
        </p>
      ))}
    </section>
  );
}

/** Positions of which something is said: of all the same, or of the first, and of others the like. */
function Where(props: { fovs: readonly number[]; isSame: boolean }) {
  const [first] = props.fovs;
  return (
    <b title={props.fovs.join(", ")}>
      {props.fovs.length > 1 && `${count(props.fovs.length, "position")}: `}
      {props.isSame || props.fovs.length === 1 ? positions(props.fovs) : `such as position ${first}`}:
    </b>
  );
}

function positions(fovs: readonly number[]): string {
  const shown = fovs.slice(0, 8).join(", ");
  return `position ${shown}${fovs.length > 8 ? ` and ${fovs.length - 8} more` : ""}`;
}

function Failures(props: { now: RunAt }) {
  const groups = new Map<string, FovAt[]>();
  for (const row of props.now.fovs) {
    if (row.state !== "failed") continue;
    // Errors that differ in numbers alone, such as those of frames, are the same to a person.
    const key = `${row.step}: ${row.error}`.replace(/[0-9]+/g, "#");
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  if (groups.size === 0) return null;
  return (
    <section class="run-failures" aria-label="failures">
      <h2>✕ Failed</h2>
      {[...groups].map(([kind, rows]) => (
        <p key={kind}>
          <Where
            fovs={rows.map((row) => row.fov)}
            isSame={rows.every((row) => row.error === rows[0]?.error)}
          />{" "}
          in {rows[0]?.step}: {rows[0]?.error}
        </p>
      ))}
      <p class="quiet">
        Positions that are done stay as they are. When what is said above is mended, “retry the failed”
        goes on with these alone, from the step that failed.
        {[...groups.keys()].some((kind) => kind.startsWith("copying")) &&
          " A single file of all positions that was mended counts as another, and wants another folder of results."}
      </p>
    </section>
  );
}

const MARKS: Record<FovAt["state"], readonly [string, string]> = {
  done: ["✓", "good"],
  older: ["✓", "warn"],
  running: ["↻", "warn"],
  waiting: ["·", ""],
  unfinished: ["…", "warn"],
  failed: ["✕", "bad"],
  damaged: ["✕", "bad"],
};

function Rows(props: { now: RunAt }) {
  const { fovs } = props.now;
  if (fovs.length === 0) return null;
  return (
    <table class="run-rows">
      <thead>
        <tr><th>position</th><th>state</th><th>step</th><th>frames</th><th>steps done</th></tr>
      </thead>
      <tbody>
        {fovs.map((row) => (
          <tr key={row.fov} data-state={row.state}>
            <td>{row.name && row.name !== String(row.fov) ? `${row.fov} ${row.name}` : row.fov}</td>
            <td>
              <span class={`mark ${MARKS[row.state][1]}`}>{MARKS[row.state][0]}</span> {row.state}
              {row.lacks && <span class="warn" title="not in the file, or damaged there; the log says why"> ! {row.lacks}</span>}
              {row.doubts.length > 0 && <span class="warn" title={row.doubts.join("\n")}> ! in doubt</span>}
            </td>
            <td>{row.step}</td>
            <td class="number">{row.state === "running" && row.total ? `${row.done} / ${row.total}` : ""}</td>
            <td class="number">{row.n_steps ? `${row.steps_done} / ${row.n_steps}` : ""}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Log() {
  const element = useRef<HTMLPreElement>(null);
  const lines = log.value.value?.lines;
  useEffect(() => {
    const box = element.current;
    // Who scrolled up reads; else the newest line is in sight.
    if (box && box.dataset["reads"] !== "yes") box.scrollTop = box.scrollHeight;
  }, [lines]);
  return (
    <details
      class="run-log"
      open={logIsOpen.value}
      onToggle={(event) => (logIsOpen.value = event.currentTarget.open)}
    >
      <summary>the log</summary>
      <StateOf of={log} what="the log" />
      {lines && lines.length === 0 && <p class="quiet">nothing was said yet</p>}
      {lines && lines.length > 0 && (
        <pre
          ref={element}
          tabIndex={0}
          aria-label="the log"
          onScroll={(event) => {
            const box = event.currentTarget;
            box.dataset["reads"] = box.scrollTop + box.clientHeight < box.scrollHeight - 20 ? "yes" : "no";
          }}
        >
          {lines.join("\n")}
        </pre>
      )}
    </details>
  );
}
