import assert from "node:assert/strict";
import { test } from "node:test";
import { unwrapRing } from "./unwrap.ts";

test("a ring that stays on one side is left alone", () => {
  const ring = [[0, 0], [10, 0], [10, 10], [0, 0]];
  assert.deepEqual(unwrapRing(ring), ring);
});

test("a ring over the 180th meridian goes on beyond it", () => {
  assert.deepEqual(unwrapRing([[170, 60], [-170, 60], [-170, 70], [170, 70], [170, 60]]), [[170, 60], [190, 60], [190, 70], [170, 70], [170, 60]]);
});

test("a ring around the south pole is closed along the edge", () => {
  const ring = unwrapRing([[-180, -70], [-60, -70], [60, -70], [180, -70], [-180, -70]]);
  assert.deepEqual(ring.at(-1), ring[0]);
  assert.ok(ring.some(([, lat]) => lat === -85.06));
});
