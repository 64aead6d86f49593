// Places that are not needed at once: loaded when they are opened for the first time.

import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { Says } from "./Says.js";

/** A place that is loaded when it is shown first; `title` is what it is called meanwhile. */
export function later(title: string, load: () => Promise<ComponentType>): ComponentType {
  const content = signal<ComponentType | null>(null);
  const problem = signal("");
  let isUnderway = false;
  const begin = () => {
    if (isUnderway || content.peek()) return;
    isUnderway = true;
    problem.value = "";
    load().then(
      (found) => {
        content.value = found;
      },
      () => {
        isUnderway = false;
        problem.value =
          "The server of this page does not answer, or is a newer one. What was saved is safe; " +
          "start pyama app again if it has ended, and load this page anew.";
      },
    );
  };
  return function Later() {
    begin();
    const Content = content.value;
    if (Content) return <Content />;
    if (!problem.value) return <Says>loading {title} …</Says>;
    return (
      <Says title={`${title} cannot be shown`} isError>
        <p>{problem.value}</p>
        <button type="button" onClick={() => window.location.reload()}>load anew</button>
      </Says>
    );
  };
}
