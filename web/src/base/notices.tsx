// What cannot be shown in place: a line at the lower edge that stays until it is closed.

import { signal } from "@preact/signals";
import { inWords } from "./resource.js";

export interface Notice {
  readonly id: number;
  readonly words: string;
  readonly isError: boolean;
}

const notices = signal<readonly Notice[]>([]);
let last = 0;

export function tell(words: string, isError = false): void {
  last += 1;
  notices.value = [...notices.value.slice(-3), { id: last, words, isError }];
}

/** Say why something that was asked for did not happen. */
export function tellError(reason: unknown): void {
  tell(inWords(reason), true);
}

export function Notices() {
  return (
    <div class="notices" role="status">
      {notices.value.map((notice) => (
        <div key={notice.id} class={notice.isError ? "notice bad" : "notice"}>
          <span>{notice.words}</span>
          <button
            type="button"
            aria-label="close"
            onClick={() => {
              notices.value = notices.value.filter((each) => each.id !== notice.id);
            }}
          >
            ✕
          </button>
        </div>
      ))}
    </div>
  );
}
