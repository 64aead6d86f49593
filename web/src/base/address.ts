// The address is the state: what is looked at stands in it, so that "back" works and links open the
// same view.

import { batch, computed, signal, type ReadonlySignal } from "@preact/signals";

export type State = Readonly<Record<string, string>>;

export function parse(search: string): State {
  return Object.fromEntries(new URLSearchParams(search));
}

export function format(state: State): string {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) if (value !== "") parts.set(name, value);
  // Slashes and commas may stand in a query, and paths are easier to read with them.
  const text = parts.toString().replaceAll("%2F", "/").replaceAll("%2C", ",");
  return text ? `/?${text}` : "/";
}

const browser = typeof window !== "undefined";
const state = signal<State>(browser ? parse(window.location.search) : {});

export const address: ReadonlySignal<State> = state;

/** A part of the state; empty if the address does not tell. */
export function part(name: string): ReadonlySignal<string> {
  return computed(() => state.value[name] ?? "");
}

/** A part of the state that is a whole number, 0 or more. */
export function numberPart(name: string): ReadonlySignal<number | null> {
  return computed(() => {
    const text = state.value[name] ?? "";
    return /^[0-9]{1,10}$/.test(text) ? Number(text) : null;
  });
}

export type Change = Readonly<Record<string, string | number | null>>;

function changed(changes: Change): State {
  const next: Record<string, string> = { ...state.value };
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") delete next[name];
    else next[name] = String(value);
  }
  return next;
}

/** The results that a place shows: of a file that is open, those of its run; else none. */
export function resultsIn(place: string): string {
  const { place: now, at = "", out = "" } = state.value;
  return now === place ? out || at : "";
}

/** The address that a change would lead to, for links. */
export function linkTo(changes: Change): string {
  return format(changed(changes));
}

/** Go to another view, from where "back" leads here. */
export function go(changes: Change): void {
  const next = changed(changes);
  if (format(next) === format(state.value)) return;
  write(true, next);
}

let waiting = 0;

/** Change the view a little, as a slider does; "back" skips it. */
export function shift(changes: Change): void {
  state.value = changed(changes);
  // Browsers allow only so many changes of the address in a while.
  if (!waiting) {
    waiting = window.setTimeout(() => {
      waiting = 0;
      window.history.replaceState(null, "", format(state.value));
    }, 250);
  }
}

function write(push: boolean, next: State): void {
  if (waiting) {
    window.clearTimeout(waiting);
    waiting = 0;
    window.history.replaceState(null, "", format(state.value));
  }
  batch(() => {
    state.value = next;
  });
  if (push) window.history.pushState(null, "", format(next));
}

if (browser) {
  window.addEventListener("popstate", () => {
    if (waiting) window.clearTimeout(waiting);
    waiting = 0;
    state.value = parse(window.location.search);
  });
}
