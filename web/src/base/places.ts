// The places of the page. A new place is a row here.

import type { ComponentType } from "preact";

export interface Place {
  readonly name: string;
  /** As it is called in the bar. */
  readonly title: string;
  readonly Content: ComponentType;
}
