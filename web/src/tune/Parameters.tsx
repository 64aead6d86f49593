// Methods and their parameters as controls, made of what the server says of them.

import { useSignal } from "@preact/signals";
import type { Control, Method } from "../base/messages.js";
import { short } from "../base/units.js";
import { chooseMethod, diameter, image, known, methodOf, methods, setValue, valueOf, type Step } from "./state.js";

export function MethodChoice(props: { step: Step }) {
  const { step } = props;
  const all = methods.value.value?.[step] ?? [];
  const needs = (each: Method) => each.controls.some((control) => control.is_required);
  const option = (each: Method) => (
    <option key={each.name} value={each.name} title={each.problem || each.description}>
      {each.name}{each.problem && " · not here"}
    </option>
  );
  if (all.length < 2) return null;
  return (
    <label class="tune-line" title={known(step)?.description}>
      <span>method</span>
      <select value={methodOf(step)} onChange={(event) => chooseMethod(step, event.currentTarget.value)}>
        {all.filter((each) => !needs(each)).map(option)}
        {all.some(needs) && <optgroup label="with a file of yours">{all.filter(needs).map(option)}</optgroup>}
      </select>
    </label>
  );
}

export function Parameters(props: { step: Step }) {
  const method = known(props.step);
  if (!method) return null;
  return (
    <>
      {method.problem && <p class="problem" role="alert">{method.problem}</p>}
      {method.controls.map((each) => (
        <Parameter key={`${method.name} ${each.name}`} step={props.step} control={each} />
      ))}
    </>
  );
}

/** `cell diameter` of `cell_diameter`. */
const inWords = (name: string) => name.replaceAll("_", " ");

function Parameter(props: { step: Step; control: Control }) {
  const { step, control } = props;
  const value = valueOf(step, control);
  const isOwn = value !== control.default;
  const id = `${step} ${control.name}`;
  const set = (next: unknown) => setValue(step, control, next);
  return (
    <div class={isOwn ? "parameter own" : "parameter"}>
      <div class="tune-line">
        <label for={id} title={`${control.name}: ${control.description}`}>
          {inWords(control.name)}
          {control.unit && <span class="quiet"> {control.unit}</span>}
        </label>
        <Input id={id} control={control} value={value} set={set} />
        <button
          type="button"
          class="quiet back"
          disabled={!isOwn || control.is_required}
          title={`back to ${told(control.default)}`}
          aria-label={`${inWords(control.name)}: back to ${told(control.default)}`}
          onClick={() => set(control.default)}
        >
          ↺
        </button>
      </div>
      <Slider control={control} value={value} set={set} />
      <p class="about">{control.description}</p>
    </div>
  );
}

function told(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  return value === true ? "yes" : value === false ? "no" : String(value);
}

interface InputProps {
  readonly control: Control;
  readonly value: unknown;
  readonly set: (value: unknown) => void;
}

function Input(props: InputProps & { id: string }) {
  const { id, control, value, set } = props;
  const words = useSignal<string | null>(null);
  if (control.kind === "flag") {
    return <input id={id} type="checkbox" checked={value === true} onChange={(event) => set(event.currentTarget.checked)} />;
  }
  if (control.kind === "choice") {
    return (
      <select id={id} value={String(value)} onChange={(event) => set(event.currentTarget.value)}>
        {control.choices.map((each) => <option key={each}>{each}</option>)}
      </select>
    );
  }
  const now = value === null || value === undefined ? "" : String(value);
  const put = () => {
    const next = words.value?.trim();
    words.value = null;
    if (next !== undefined && next !== now) set(read(control, next));
  };
  return (
    <input
      id={id}
      type="text"
      class={control.kind}
      spellcheck={false}
      value={words.value ?? now}
      placeholder={control.is_required ? "needed" : told(control.default)}
      title={rangeInWords(control)}
      onInput={(event) => (words.value = event.currentTarget.value)}
      onBlur={put}
      onKeyDown={(event) => event.key === "Enter" && put()}
    />
  );
}

/** What a text stands for. Whether that may be is for the server to say. */
function read(control: Control, text: string): unknown {
  if (text === "") return control.empty ? null : control.default;
  if (control.kind === "text") return text;
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? Number(text) : text;
}

function rangeInWords(control: Control): string {
  const { low, high } = control;
  const parts = [
    low !== null && `${control.is_low_allowed ? "from" : "more than"} ${low}`,
    high !== null && `up to ${high}`,
    control.takes_text && !control.choices.length && control.unit && "or with a unit, such as 25 um",
    control.auto && "or auto",
    control.empty && "or nothing",
  ];
  return parts.filter(Boolean).join(" ");
}

/** A slider, where there is a number to begin with. */
function Slider(props: InputProps) {
  const { control, value, set } = props;
  if (control.kind !== "number" && control.kind !== "integer") return null;
  const found = control.name === "cell_diameter" ? diameter.value : null;
  const usual = typeof control.default === "number" && control.default > 0 ? control.default : found;
  const now = typeof value === "number" ? value : found;
  if (usual === null || now === null) return null;
  const side = control.name === "cell_diameter" && image.value ? Math.min(image.value.width, image.value.height) / 2 : Infinity;
  const low = Math.max(control.low ?? 0, 0);
  const high = Math.min(control.high ?? Infinity, side);
  // Over a wide range, each step is a part of the value; over a narrow one, all are the same.
  const isWide = !(high - low <= 25 * usual);
  const [from, to] = isWide
    ? [Math.max(low, usual / 10, 1e-3), Math.min(high, Math.max(usual, now) * 10)]
    : [low, high];
  const toPlace = (x: number) => (isWide ? Math.log(x / from) / Math.log(to / from) : (x - from) / (to - from));
  const ofPlace = (p: number) => (isWide ? from * (to / from) ** p : from + p * (to - from));
  const rounded = (x: number) => {
    const step = control.step ?? (control.name === "cell_diameter" ? 1 : null);
    if (step === null) return Number(x.toPrecision(2));
    const first = control.low ?? 0;
    return first + Math.round((x - first) / step) * step;
  };
  return (
    <input
      type="range"
      min={0}
      max={1}
      step={0.002}
      value={Math.min(Math.max(toPlace(Math.max(now, from)), 0), 1)}
      aria-label={inWords(control.name)}
      aria-valuetext={short(now)}
      onInput={(event) => {
        const next = rounded(ofPlace(Number(event.currentTarget.value)));
        if (next !== value) set(next);
      }}
    />
  );
}
