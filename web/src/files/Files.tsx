// Files: what lies below the folders that the page may look into.

import { Says } from "../base/Says.js";

export function Files() {
  return <Says title="Files">add ?place=look&amp;at=FOLDER to the address</Says>;
}
