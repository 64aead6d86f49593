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
  const parts = key.split("+");
  return parts.map((name) => names[name] ?? name).join(" ");
}

/** What a tooltip says of a control that also has a key. */
export function withKey(words: string, key: string): string {
  return `${words} (${keyName(key)})`;
}

function isTyping(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement | null;
  if (!target) return false;
  if (target.isContentEditable || target.tagName === "TEXTAREA" || target.tagName === "SELECT") {
    return true;
  }
  return target.tagName === "INPUT" && (target as HTMLInputElement).type !== "checkbox";
}

function pressed(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && helpIsOpen.value) {
    helpIsOpen.value = false;
    return;
  }
  if (isTyping(event)) return;
  if (event.key === "?") {
    helpIsOpen.value = !helpIsOpen.value;
    return;
  }
  const target = event.target as HTMLElement | null;
  const presses = event.key === " " || event.key === "Enter";
  if (presses && target?.closest("button, a, summary, [role=row], [role=button]")) return;
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
  window.addEventListener("keydown", pressed);
}
