import { test } from "node:test";
import assert from "node:assert/strict";
import { isFor, keyName } from "../src/base/keys.js";

test("a key that means something to a control is left to it, and no other", () => {
  assert.ok(isFor("INPUT", "text", "g"));
  assert.ok(isFor("INPUT", "number", "1"));
  assert.ok(isFor("SELECT", "select-one", "n"));
  assert.ok(isFor("INPUT", "range", "ArrowLeft"));
  assert.ok(isFor("INPUT", "range", "Home"));
  assert.ok(!isFor("INPUT", "range", "g"));
  assert.ok(!isFor("INPUT", "range", "Escape"));
  assert.ok(!isFor("INPUT", "checkbox", "g"));
  assert.ok(!isFor("BODY", "", "ArrowLeft"));
});

test("keys are written as they are on the keyboard", () => {
  assert.equal(keyName("Shift+ArrowLeft"), "Shift ←");
  assert.equal(keyName("+"), "+");
  assert.equal(keyName(" "), "space");
});
