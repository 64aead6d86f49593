// Colours of samples: the first are those of the palette, and none comes twice among 21.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ofSample, PALETTE, rgb } from "../src/base/colours.js";

test("the first samples have the colours of the palette, further ones tints of them", () => {
  assert.deepEqual(PALETTE.map((_, i) => ofSample(i)), PALETTE);
  const many = Array.from({ length: 3 * PALETTE.length }, (_, i) => ofSample(i));
  assert.ok(many.every((each) => /^#[0-9a-f]{6}$/.test(each)));
  for (const [i, a] of many.entries()) {
    for (const b of many.slice(i + 1)) {
      const [from, to] = [rgb(a), rgb(b)];
      const apart = Math.hypot(...from.map((part, k) => part - (to[k] as number)));
      assert.ok(apart > 0.1, `${a} and ${b} are too alike`);
    }
  }
});
