// Export: results in the forms of other programs, a card for each.

import { computed, effect, signal } from "@preact/signals";
import { useSignal } from "@preact/signals";
import { get, post } from "../base/api.js";
import { go, resultsIn } from "../base/address.js";
import { onEvent } from "../base/events.js";
import type { ExportTold, Form } from "../base/messages.js";
import { tellError } from "../base/notices.js";
import { resource } from "../base/resource.js";
import { Says, StateOf } from "../base/Says.js";
import { count } from "../base/units.js";
import { inWords } from "../look/words.js";

const at = computed(() => resultsIn("export"));
const turn = signal(0);

const forms = resource(
  () => (at.value ? { at: at.value, turn: turn.value } : null),
  ({ at }, abort) => get("/api/forms", { at }, abort),
  (before, now) => before.at === now.at,
);
const overview = resource(
  () => (at.value ? { at: at.value, turn: turn.value } : null),
  ({ at }, abort) => get("/api/overview", { at }, abort),
  (before, now) => before.at === now.at,
);

/** The newest that is known of each export, by number. */
const told = signal<ReadonlyMap<number, ExportTold>>(new Map());

function hear(news: ExportTold): void {
  const before = told.peek().get(news.number);
  // What has ended does not go on; an answer may come after the event that it was overtaken by.
  if (before && before.state !== "running" && news.state === "running") return;
  told.value = new Map([...told.peek(), [news.number, news]]);
  if (news.state !== "running") turn.value += 1;
}

onEvent((event) => {
  if (event.kind === "export" && event.at === at.peek()) hear(event);
  if (event.kind === "missed" || (event.kind === "results" && event.at === at.peek())) turn.value += 1;
});
effect(() => {
  const known = forms.value.value?.exports ?? [];
  told.value = new Map([
    ...[...told.peek()].filter(([, each]) => each.at === at.peek()),
    ...known.map((each) => [each.number, each] as const),
  ]);
});

// What is exported, the same for all forms.
const goodOnly = signal(false);
const leftOut = signal<ReadonlySet<string>>(new Set());
/** Measurements that are wanted; none stands for all. */
const features = signal<ReadonlySet<string>>(new Set());
effect(() => {
  at.value;
  leftOut.value = new Set();
  features.value = new Set();
});

export function Export() {
  if (!at.value) {
    return (
      <Says title="No results are open">
        <p>Choose a folder of results, whose cells are then exported for other programs.</p>
        <button type="button" class="first" onClick={() => go({ place: "files" })}>
          to the files
        </button>
      </Says>
    );
  }
  const known = forms.value.value;
  return (
    <section class="export scroll" aria-label="export">
      <What />
      <StateOf of={forms} what="the forms" />
      <div class="forms">{known?.forms.map((form) => <Card key={form.name} form={form} />)}</div>
      <p class="quiet">
        Corrections and samples are applied in all of them, and cells have the same numbers
        everywhere. A picture or a film of what is on the screen is saved in{" "}
        <a href="#" onClick={(event) => (event.preventDefault(), go({ place: "look" }))}>Look</a>, below
        the picture.
      </p>
    </section>
  );
}

/** The part of the results that is exported. */
function What() {
  const known = overview.value.value;
  const samples = known?.samples ?? [];
  const toggle = (sample: string) => {
    const next = new Set(leftOut.value);
    if (!next.delete(sample)) next.add(sample);
    leftOut.value = next;
  };
  return (
    <fieldset class="what">
      <legend class="hidden">what is exported</legend>
      <b>{known ? count(known.fovs.length, "position") : "…"}</b>
      {samples.length > 1 &&
        samples.map(({ sample, fovs }) => (
          <label key={sample}>
            <input type="checkbox" checked={!leftOut.value.has(sample)} onChange={() => toggle(sample)} />
            {sample} <span class="quiet">{count(fovs.length, "position")}</span>
          </label>
        ))}
      <label>
        <input
          type="checkbox"
          checked={goodOnly.value}
          onChange={(event) => (goodOnly.value = event.currentTarget.checked)}
        />
        good cells only
      </label>
      <Features />
    </fieldset>
  );
}

/** Which measurements are exported, of the forms that hold some. */
function Features() {
  const all = forms.value.value?.features ?? [];
  const toggle = (name: string) => {
    const next = new Set(features.value);
    if (!next.delete(name)) next.add(name);
    features.value = next;
  };
  const n = features.value.size;
  return (
    <details class="choose">
      <summary>{n ? count(n, "measurement") : "all measurements"}</summary>
      <div>
        {all.map((name) => (
          <label key={name}>
            <input type="checkbox" checked={features.value.has(name)} onChange={() => toggle(name)} />
            {inWords(name)}
          </label>
        ))}
        <button type="button" disabled={!n} onClick={() => (features.value = new Set())}>
          all
        </button>
      </div>
    </details>
  );
}

const OPTIONS: Readonly<Record<string, string>> = { layout: "tables", time: "time in", decimal: "decimals" };
const CHOICES: Readonly<Record<string, string>> = {
  long: "a row per cell and frame",
  wide: "a column per cell",
  both: "both layouts",
  h: "hours",
  min: "minutes",
  frame: "frames",
  point: "0.5",
  comma: "0,5",
};

function Card(props: { form: Form }) {
  const { form } = props;
  const options = useSignal<Readonly<Record<string, string>>>({});
  const path = useSignal("");
  const isReplaced = useSignal(false);
  const isAsked = useSignal(false);
  const problem = useSignal("");
  const jobs = [...told.value.values()].filter((each) => each.form === form.name);
  const last = jobs[jobs.length - 1];
  const isRunning = last?.state === "running";
  const isThere = form.is_there && !path.value;
  const samples = overview.value.value?.samples.map((each) => each.sample) ?? [];
  const chosen = samples.filter((sample) => !leftOut.value.has(sample));

  const start = async () => {
    problem.value = "";
    isAsked.value = true;
    try {
      hear(
        await post("/api/export", {
          at: at.peek(),
          form: form.name,
          path: path.value.trim(),
          samples: leftOut.value.size ? chosen : [],
          good_only: goodOnly.value,
          overwrite: isReplaced.value,
          options: options.value,
          features: form.has_features ? [...features.value] : [],
        }),
      );
    } catch (reason) {
      problem.value = reason instanceof Error ? reason.message : String(reason);
    }
    isAsked.value = false;
  };

  return (
    <article class="form" aria-label={form.name}>
      <header>
        <h2>{form.people}</h2>
        <span class="quiet">{form.name}</span>
      </header>
      <p>{form.about}</p>
      {form.lacks ? (
        <p class="quiet">{form.lacks}</p>
      ) : (
        <>
          {form.options.map((option) => (
            <label key={option.name} class="option">
              {OPTIONS[option.name] ?? option.name}
              <select
                value={options.value[option.name] ?? option.usual}
                onChange={(event) => {
                  options.value = { ...options.value, [option.name]: event.currentTarget.value };
                }}
              >
                {option.choices.map((choice) => (
                  <option key={choice} value={choice}>
                    {CHOICES[choice] ?? choice}
                  </option>
                ))}
              </select>
            </label>
          ))}
          <label class="option">
            {form.kind}
            <input
              type="text"
              class="grow"
              value={path.value}
              placeholder={shortened(form.path)}
              title={path.value || form.path}
              aria-label={`where to write ${form.name}`}
              onInput={(event) => (path.value = event.currentTarget.value)}
            />
          </label>
          <footer>
            {(isThere || path.value) && (
              <label title="what an earlier export wrote, and nobody changed since">
                <input
                  type="checkbox"
                  checked={isReplaced.value}
                  onChange={(event) => (isReplaced.value = event.currentTarget.checked)}
                />
                replace the earlier one
              </label>
            )}
            <span class="grow" />
            {isRunning ? (
              <button type="button" onClick={() => void cancel(last.number)}>
                stop
              </button>
            ) : (
              <button
                type="button"
                class="first"
                disabled={isAsked.value || (isThere && !isReplaced.value) || (samples.length > 0 && !chosen.length)}
                onClick={() => void start()}
              >
                export
              </button>
            )}
          </footer>
          <div class="state" role="status">
            {problem.value ? <span class="bad">{problem.value}</span> : last && <State told={last} />}
          </div>
        </>
      )}
    </article>
  );
}

function State(props: { told: ExportTold }) {
  const { state, done, total, words, path } = props.told;
  if (state === "done") {
    return (
      <span>
        <b>✓</b> wrote {path}
        {words && <p class="bad">! {words}</p>}
      </span>
    );
  }
  if (state === "failed") return <span class="bad">✕ {words}</span>;
  if (state === "cancelled") return <span class="quiet">{words}</span>;
  return (
    <>
      <progress value={total ? done : undefined} max={Math.max(total, 1)} />
      <span class="quiet">{words || "begins …"}</span>
    </>
  );
}

async function cancel(number: number): Promise<void> {
  try {
    await post("/api/export/cancel", { number });
  } catch (reason) {
    tellError(reason);
  }
}

/** The last parts of a path. */
function shortened(path: string): string {
  const parts = path.split(/[\\/]/);
  return parts.length > 3 ? `… ${parts.slice(-3).join("/")}` : path;
}
