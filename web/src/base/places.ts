// The places of the page. A new place is a row here.

import { signal } from "@preact/signals";
import type { ComponentType } from "preact";

export interface Place {
  readonly name: string;
  /** As it is called in the bar. */
  readonly title: string;
  readonly Content: ComponentType;
}

/** The places that there are. */
export const knownPlaces = signal<readonly Place[]>([]);
