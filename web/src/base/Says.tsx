// What stands where content would be: that it is on its way, that there is none, or why.

import type { ComponentChildren } from "preact";
import type { Resource } from "./resource.js";

export function Says(props: { title?: string; children?: ComponentChildren; isError?: boolean }) {
  return (
    <div class={props.isError ? "says bad" : "says"} role={props.isError ? "alert" : undefined}>
      {props.title && <h2>{props.title}</h2>}
      {props.children && <div>{props.children}</div>}
    </div>
  );
}

/** The error of something that was fetched, or that it is on its way; else nothing. */
export function StateOf(props: { of: Resource<unknown>; what: string }) {
  const { error, loading, value } = props.of;
  if (error.value) {
    return (
      <Says title={`${props.what} cannot be shown`} isError>
        <p>{error.value}</p>
        <button type="button" onClick={() => props.of.reload()}>
          try again
        </button>
      </Says>
    );
  }
  if (loading.value && value.value === undefined) return <Says>reading {props.what} …</Says>;
  return null;
}
