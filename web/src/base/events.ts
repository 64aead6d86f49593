// What happens elsewhere while the page is open. Browsers allow six connections to a server, so all
// tabs share one stream: one tab listens and tells the others.

import type { Event } from "./messages.js";

type Listener = (event: Event) => void;

const listeners = new Set<Listener>();
const CHANNEL = "pyama-events";

/** Be told of events from now on; returns what ends that. */
export function onEvent(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell(event: Event): void {
  for (const listener of [...listeners]) listener(event);
}

/** Begin to listen, once, when the page starts. */
export function listen(): void {
  if (!("locks" in navigator) || !("BroadcastChannel" in window)) {
    stream(tell);
    return;
  }
  const channel = new BroadcastChannel(CHANNEL);
  channel.onmessage = (message: MessageEvent<Event>) => tell(message.data);
  // The lock is held as long as this tab lives; then the next tab takes over.
  void navigator.locks.request(CHANNEL, () => {
    stream((event) => {
      tell(event);
      channel.postMessage(event);
    });
    return new Promise<never>(() => {});
  });
}

function stream(told: Listener): void {
  const source = new EventSource("/api/events");
  let wasLost = false;
  source.onmessage = (message: MessageEvent<string>) => told(JSON.parse(message.data) as Event);
  source.onerror = () => {
    wasLost = true;
  };
  source.onopen = () => {
    // Whatever happened in between was not told.
    if (wasLost) told({ kind: "missed" });
    wasLost = false;
  };
}
