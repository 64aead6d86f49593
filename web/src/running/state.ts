// How a run is: asked again whenever the server says that it went on.

import { computed, effect, signal } from "@preact/signals";
import { get, post } from "../base/api.js";
import { address, part } from "../base/address.js";
import { onEvent } from "../base/events.js";
import type { RunAt } from "../base/messages.js";
import { tellError } from "../base/notices.js";
import { resource } from "../base/resource.js";

const isHere = computed(() => address.value["place"] === "run");
const at = part("at");
const out = part("out");
export const asked = computed(() =>
  isHere.value && at.value ? { at: at.value, out: out.value } : null,
);

const turn = signal(0);
/** Asked again as often at most. */
const BETWEEN_MS = 400;
let waiting = 0;

function again(): void {
  if (waiting) return;
  waiting = window.setTimeout(() => {
    waiting = 0;
    turn.value += 1;
  }, BETWEEN_MS);
}

const isSame = (a: { at: string; out: string }, b: { at: string; out: string }) =>
  a.at === b.at && a.out === b.out;

export const run = resource(
  () => (asked.value ? { ...asked.value, turn: turn.value } : null),
  ({ at, out }, abort) => get("/api/run", { at, out }, abort),
  isSame,
);

export const logIsOpen = signal(false);
export const log = resource(
  () => (asked.value && logIsOpen.value ? { ...asked.value, turn: turn.value } : null),
  ({ at, out }, abort) => get("/api/run/log", { at, out }, abort),
  isSame,
);

onEvent((event) => {
  if (event.kind === "missed") again();
  if (event.kind === "run" && event.at === run.value.peek()?.out) again();
});

/** While something goes on, times move on without news. */
const LIVE = new Set<RunAt["state"]>(["starting", "running", "stopping", "finishing"]);
export const isLive = computed(() => LIVE.has(run.value.value?.state ?? "none"));
effect(() => {
  if (!isLive.value || !isHere.value) return;
  const timer = window.setInterval(again, 2000);
  return () => clearInterval(timer);
});

/** What was asked for and is not answered yet. */
export const asking = signal("");

async function ask(what: string, act: () => Promise<unknown>): Promise<void> {
  if (asking.peek()) return;
  asking.value = what;
  try {
    await act();
  } catch (reason) {
    tellError(reason);
  }
  asking.value = "";
  turn.value += 1;
}

export function start(which: "all" | "failed"): Promise<void> {
  const where = asked.peek();
  return ask("starting", async () => where && post("/api/run/start", { ...where, which }));
}

export function stop(): Promise<void> {
  const where = asked.peek();
  return ask("stopping", async () => where && post("/api/run/stop", where));
}
