import assert from "node:assert/strict";
import { test } from "node:test";
import { fit, mercatorX, mercatorY, worldSize, zoomAt } from "./camera.ts";

const at = (longitude: number, latitude: number) => ({ longitude, latitude });
const berlin = at(13.4, 52.5);
const sydney = at(151.2, -33.9);
const denver = at(-105, 39.7);

function seen(places: { longitude: number; latitude: number }[], width: number, height: number): void {
  const { center, zoom } = fit(places, width, height);
  for (const p of places) {
    const x = (mercatorX(p.longitude) - mercatorX(center[0])) * worldSize(zoom) + width / 2;
    const y = (mercatorY(p.latitude) - mercatorY(center[1])) * worldSize(zoom) + height / 2;
    assert.ok(x >= 0 && x <= width && y >= 0 && y <= height, `${JSON.stringify(p)} is drawn at ${x}, ${y}`);
  }
}

test("all places are in the picture", () => {
  seen([berlin, sydney, denver], 1200, 544);
  seen([berlin, sydney, denver], 358, 270);
  seen([berlin], 358, 270);
});

test("nothing beyond the edge of the world is shown", () => {
  for (const places of [[], [berlin, sydney, denver], [at(179, 80), at(-179, -80)]]) {
    const { center, zoom } = fit(places, 1200, 544);
    assert.ok(worldSize(zoom) >= 1199.99);
    assert.ok((mercatorX(center[0]) * worldSize(zoom)) >= 599.99);
  }
});

test("cells are told apart when they are wide enough", () => {
  assert.ok(zoomAt(4, 2) < 0.5 && zoomAt(4, 5) > 3.5 && zoomAt(4, 5) < 5 && zoomAt(4, 8) > zoomAt(4, 5) + 4);
});

test("one city is not magnified without end", () => assert.equal(fit([berlin], 1200, 544).zoom, 6));

test("thousands of places", () => {
  const many = Array.from({ length: 200_000 }, (_, i) => at((i % 360) - 180, (i % 140) - 70));
  assert.ok(Number.isFinite(fit(many, 1200, 544).zoom));
});
