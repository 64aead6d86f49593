// Keys: each place names its own, with words; `?` shows those that are valid now.

import { signal } from "@preact/signals";

export interface Key {
  /** As `event.key` has it, with `Shift+`, such as `ArrowLeft` or `Shift+ArrowLeft`. */
  readonly key: string;
  readonly words: string;
  readonly act: (event: KeyboardEvent) => void;
}

const groups = signal<ReadonlyMap<string, readonly Key[]>>(new Map());

export const knownKeys = groups;
export const helpIsOpen = signal(false);
/** The small dialog that is open beside its button, which knows its name; empty if none is. */
export const popover = signal("");

/** Make keys valid, in place of those that had the same title; returns what ends that. */
export function useKeysOf(title: string, keys: readonly Key[]): () => void {
  groups.value = new Map([...groups.peek(), [title, keys]]);
  return () => {
    const rest = new Map(groups.peek());
    if (rest.get(title) === keys) rest.delete(title);
    groups.value = rest;
  };
}

/** How a key is written for people. */
export function keyName(key: string): string {
  const names: Record<string, string> = {
    ArrowLeft: "←",
    ArrowRight: "→",
    ArrowUp: "↑",
    ArrowDown: "↓",
    " ": "space",
    Escape: "Esc",
  };
  const parts = key.split(/\+(?=.)/);
  return parts.map((name) => names[name] ?? name).join(" ");
}

/** What a tooltip says of a control that also has a key. */
export function withKey(words: string, key: string): string {
  return `${words} (${keyName(key)})`;
}

/** Close the small dialog that is open; who was in it is at its button again. */
export function closePopover(): void {
  const button = document.activeElement?.closest(".popover")?.parentElement?.querySelector("button");
  popover.value = "";
  button?.focus();
}

/** Whether a key means something to a control. */
export function isFor(tag: string, type: string, key: string): boolean {
  if (tag === "TEXTAREA" || tag === "SELECT") return true;
  if (tag !== "INPUT" || type === "checkbox") return false;
  return type !== "range" || /^(Arrow|Page|Home|End)/.test(key);
}

function pressed(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target as HTMLInputElement;
  if (event.key === "Escape" && (helpIsOpen.value || popover.value)) {
    helpIsOpen.value = false;
    closePopover();
    return;
  }
  if (isFor(target.tagName, target.type, event.key)) return;
  if (event.key === "?") helpIsOpen.value = !helpIsOpen.value;
  if (event.key === "?" || helpIsOpen.value) return;
  const presses = event.key === " " || event.key === "Enter";
  if (presses && target.closest("button, a, summary, input, [role=row], [role=button]")) return;
  const isLong = event.key.length > 1;
  const name = event.shiftKey && isLong ? `Shift+${event.key}` : event.key;
  for (const keys of groups.value.values()) {
    const found = keys.find((key) => key.key === name);
    if (found) {
      event.preventDefault();
      found.act(event);
      return;
    }
  }
}

export function listenToKeys(): void {
  let isMouse = false;
  window.addEventListener("keydown", (event) => {
    isMouse = false;
    pressed(event);
  });
  window.addEventListener("pointerdown", () => (isMouse = true), true);
  // What was used by the mouse does not keep the keys to itself.
  const leave = ({ target }: Event) => {
    const control = (target as Element).closest<HTMLElement>("button, select, [type=checkbox], [type=range]");
    if (isMouse) control?.blur();
  };
  window.addEventListener("click", leave);
  window.addEventListener("change", leave);
}
