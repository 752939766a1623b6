import assert from "node:assert/strict";
import { test } from "node:test";
import * as o from "./observations.ts";
import type { Station } from "./types.ts";

const now = Date.parse("2026-11-23T08:00:00Z");
const station = (device: string, cell: string, last: string, kinds = ["weather"]): Station => ({ device, cell, region: `${cell}-region`, latitude: 39.9, longitude: 116.4, kinds, variables: ["temperature"], last });

test("stations of one cell are one dot, solid when any was heard lately", () => {
  const cells = o.stationCells([station("a", "x", "2026-11-20T00:00:00Z"), station("b", "x", "2026-11-23T07:00:00Z"), station("c", "y", "2026-11-23T05:59:00Z")], now, 7);
  assert.deepEqual(cells.features.map((f) => [f.id, f.properties.devices, f.properties.proven]), [["x", 2, 1], ["y", 1, 0]]);
  assert.deepEqual(cells.features[0]?.geometry, { type: "Point", coordinates: [116.4, 39.9] });
  assert.deepEqual([cells.total, cells.outline, cells.height], [3, "point", 7]);
  assert.equal(o.stationCells([], now, 7).features.length, 0);
});

test("a station whose time is none is quiet", () => assert.equal(o.heard(station("a", "x", "soon"), now), false));

test("each unit is said once", () => {
  assert.equal(o.numbers([{ name: "pm2_5", unit: "ug/m3" }, { name: "pm10", unit: "ug/m3" }, { name: "aqi", unit: "1" }]), "pm2_5, pm10 in µg/m³; aqi");
  assert.equal(o.numbers([{ name: "count", unit: "1" }]), "count");
  assert.equal(o.numbers([{ name: "median", unit: "dBm" }, { name: "scans", unit: "1" }]), "median in dBm; scans");
  assert.equal(o.numbers([]), "");
});

for (const [seconds, want] of [[3600, "hour"], [604800, "week"], [86400, "day"], [7200, "2 hours"], [172800, "2 days"], [900, "15 minutes"], [7, "7 s"]] as const) {
  test(`a step of ${seconds} s`, () => assert.equal(o.step(seconds), want));
}

for (const [resolution, want] of [[3, "12000 km²"], [5, "250 km²"], [7, "5.2 km²"], [8, "0.74 km²"], [9, "0.11 km²"], [11, "2100 m²"], [12, "310 m²"]] as const) {
  test(`a cell of resolution ${resolution}`, () => assert.equal(o.size(resolution), want));
}

test("a product is asked for where its kind is measured", () => {
  const all = [station("a", "x", "2026-11-23T07:00:00Z"), station("b", "y", "2026-11-23T07:00:00Z", ["air"])];
  assert.equal(o.regionFor("air", all), "y-region");
  assert.equal(o.regionFor("noise", all), "x-region");
  assert.equal(o.regionFor("noise", []), null);
  assert.equal(o.ask({ kind: "air", name: "index" }, "83f").shell, "grange sensing data facts air/index 83f");
  assert.match(o.ask({ kind: "air", name: "index" }, "83f").curl, /"\$DATA\/v1\/products\/air\/index\/83f\?format=csv"$/);
});

test("names and times as people read them", () => {
  assert.deepEqual(["pm2_5", "wind_speed", "so2"].map(o.spell), ["PM2.5", "wind speed", "SO₂"]);
  assert.deepEqual(["Cel", "%RH", "1", "hPa"].map(o.unit), ["°C", "% RH", "", "hPa"]);
  assert.equal(o.minute("2026-11-20T00:00:00Z"), "2026-11-20 00:00\u00a0UTC");
  assert.equal(o.minute("never"), "never");
});
