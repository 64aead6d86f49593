// The chosen cell in words, what can be done about it, and what that would come to.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useKeysOf, withKey } from "../base/keys.js";
import { Mark } from "../look/FovPicture.js";
import { listedFovs } from "../look/Positions.js";
import { cell, cells, rowOfCell, t } from "../look/state.js";
import {
  begin,
  beginToJoin,
  begun,
  confirm,
  doubtOf,
  doubts,
  edits,
  isGone,
  judge,
  preview,
  redo,
  said,
  saving,
  undo,
  unsetParent,
  walk,
  type Begun,
  type Part,
} from "./state.js";

const KEYS = [
  { key: "n", words: "next cell that is doubted, the most suspicious first", act: () => walk(1, listedFovs()) },
  { key: "p", words: "doubted cell before", act: () => walk(-1, listedFovs()) },
  { key: "g", words: "the cell is good", act: () => judge(true) },
  { key: "b", words: "the cell is bad", act: () => judge(false) },
  { key: "e", words: "write why, with a verdict", act: () => begin({ kind: "note" }) },
  { key: "j", words: "join with another cell", act: beginToJoin },
  { key: "c", words: "cut: another cell from this frame on", act: () => begin({ kind: "cut" }) },
  { key: "x", words: "remove: it is no cell", act: () => begin({ kind: "remove", part: "all" }) },
  { key: "m", words: "set its mother", act: () => begin({ kind: "parent", other: null }) },
  { key: "Enter", words: "do what was begun", act: confirm },
  { key: "u", words: "undo the last correction of this position", act: () => undo() },
  { key: "r", words: "redo", act: () => redo() },
];

export function CorrectBar() {
  useEffect(() => useKeysOf("Corrections", KEYS), []);
  const isNone = cell.value === null || !rowOfCell.value.has(cell.value);
  const button = (name: string, key: string, words: string, act: () => void, kind?: Begun["kind"]) => (
    <button
      type="button"
      disabled={isNone}
      aria-pressed={kind && begun.value?.kind === kind}
      title={withKey(words, key)}
      onClick={act}
    >
      {name}
    </button>
  );
  return (
    <header class="correct">
      {begun.value ? <Unfinished now={begun.value} /> : <Words />}
      <div class="buttons" role="toolbar" aria-label="corrections">
        {button("✓ good", "g", "the cell is good", () => judge(true))}
        {button("✕ bad", "b", "the cell is bad", () => judge(false))}
        {button("note", "e", "say why, with a verdict", () => begin({ kind: "note" }), "note")}
        {button("join", "j", "one cell with another", beginToJoin, "join")}
        {button("cut", "c", "another cell from this frame on", () => begin({ kind: "cut" }), "cut")}
        {button("remove", "x", "it is no cell", () => begin({ kind: "remove", part: "all" }), "remove")}
        {button("mother", "m", "set or unset its mother", () => begin({ kind: "parent", other: null }), "parent")}
        <span class="grow" />
        <button type="button" title={withKey("undo", "u")} onClick={() => undo()}>
          ↶ undo
        </button>
        <button type="button" title={withKey("redo", "r")} onClick={() => redo()}>
          ↷ redo
        </button>
      </div>
    </header>
  );
}

/** Which cell is chosen, why it is doubted, and what was done last. */
function Words() {
  const all = doubts.value.value?.doubts ?? [];
  const open = all.filter((each) => !each.is_settled).length;
  const doubt = doubtOf(cell.value);
  const where = cell.value === null ? undefined : rowOfCell.value.get(cell.value);
  const table = cells.value.value;
  const corrections = where === undefined ? "" : table?.corrections[where];
  const reason = where === undefined ? "" : table?.reason[where];
  return (
    <div class="line">
      <button
        type="button"
        title={withKey("doubted cell before", "p")}
        aria-label="doubted cell before"
        onClick={() => walk(-1, listedFovs())}
      >
        ◂
      </button>
      <button
        type="button"
        title={withKey("next doubted cell, the most suspicious first", "n")}
        aria-label="next doubted cell"
        onClick={() => walk(1, listedFovs())}
      >
        ▸
      </button>
      <span class="quiet nowrap">{doubts.loading.value && !all.length ? "…" : `${open} doubted`}</span>
      <p class="told" role="status">
        {saving.value ? (
          <span class="quiet">saving …</span>
        ) : isGone.value ? (
          <Gone number={cell.value as number} />
        ) : said.value ? (
          <span class={said.value.isError ? "bad" : "done"}>{said.value.words}</span>
        ) : cell.value === null ? (
          <span class="quiet">Click a cell, or go to one that is doubted.</span>
        ) : (
          <>
            <b>cell {cell.value}</b> <Mark good={where === undefined ? null : (table?.good[where] ?? null)} />{" "}
            {doubt?.words ?? reason}
            {corrections && <span class="quiet"> · {corrections}</span>}
          </>
        )}
      </p>
    </div>
  );
}

/** Why the chosen cell is not there any more. */
function Gone(props: { number: number }) {
  const all = edits.value.value?.edits ?? [];
  const last = all.findLast((each) => each.stands === "applied" && each.cells.includes(props.number));
  return (
    <span>
      There is no cell {props.number}
      {last ? ` any more: ${last.words} (${last.by}, ${last.at} UTC).` : " in this position."}
    </span>
  );
}

const PARTS: readonly (readonly [Part, string])[] = [
  ["all", "everywhere"],
  ["this", "in this frame"],
  ["from", "from here on"],
  ["until", "up to here"],
];

/** What is begun: what is still to be chosen, and what it would come to. */
function Unfinished(props: { now: Begun }) {
  const { now } = props;
  if (now.kind === "note") return <Note />;
  const number = cell.value;
  const found = preview.value.value;
  const isReady = found?.refused === "" && !preview.loading.value;
  return (
    <div class="line begun">
      <p class="told" role="status">
        {now.kind === "join" && now.other === null && `Join cell ${number} with …: click the other cell, its trace or its row.`}
        {now.kind === "parent" && now.other === null && `Mother of cell ${number}: click her, her trace or her row.`}
        {now.kind === "cut" && !found && `Cut cell ${number} at frame ${t.value} …`}
        {preview.error.value && <span class="bad">{preview.error.value}</span>}
        {saving.value ? (
          <span class="quiet">saving …</span>
        ) : said.value ? (
          <span class="bad">{said.value.words}</span>
        ) : found && (found.refused ? <span class="bad">{found.refused}</span> : <b>{found.words}</b>)}
      </p>
      {now.kind === "cut" && <span class="quiet nowrap">← → frame</span>}
      {now.kind === "remove" && (
        <select
          aria-label="where"
          value={now.part}
          onChange={(event) => (begun.value = { kind: "remove", part: event.currentTarget.value as Part })}
        >
          {PARTS.map(([part, words]) => (
            <option key={part} value={part}>
              {words}
            </option>
          ))}
        </select>
      )}
      {now.kind === "parent" && (
        <button type="button" onClick={unsetParent}>
          no mother
        </button>
      )}
      <button type="button" class="first" disabled={!isReady} title={withKey("do it", "Enter")} onClick={confirm}>
        {now.kind === "parent" ? "set" : now.kind}
      </button>
      <button type="button" title={withKey("not", "Escape")} onClick={() => (begun.value = null)}>
        cancel
      </button>
    </div>
  );
}

/** A verdict with words. */
function Note() {
  const input = useRef<HTMLInputElement>(null);
  const words = useSignal("");
  useEffect(() => input.current?.focus(), []);
  const where = rowOfCell.value.get(cell.value ?? -1);
  const isGood = where !== undefined && cells.value.value?.good[where] === true;
  return (
    <div class="line begun">
      {said.value ? (
        <p class="told bad" role="status">{said.value.words}</p>
      ) : (
        <span class="nowrap">cell {cell.value}:</span>
      )}
      <input
        ref={input}
        type="text"
        class="grow"
        maxLength={300}
        placeholder="why, such as: dead, out of focus, two cells"
        aria-label="note"
        value={words.value}
        onInput={(event) => (words.value = event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") judge(false, words.value);
          if (event.key === "Escape") begun.value = null;
        }}
      />
      <button type="button" class="first" title="bad, for this reason (Enter)" onClick={() => judge(false, words.value)}>
        bad
      </button>
      <button type="button" onClick={() => judge(true, words.value)}>
        {isGood ? "good still" : "good"}
      </button>
      <button type="button" onClick={() => (begun.value = null)}>
        cancel
      </button>
    </div>
  );
}
