import assert from "node:assert/strict";
import { test } from "node:test";
import * as f from "./format.ts";

const thin = "\u202f";
const joined = "\u00a0";

function table(name: string, cases: [string, string][]): void {
  for (const [got, want] of cases) test(`${name}: ${want}`, () => assert.equal(got, want));
}

table("scaled", [
  [f.scaled("0", 6), "0"],
  [f.scaled("1", 6), "0.000001"],
  [f.scaled("-1", 6), "−0.000001"],
  [f.scaled("1234567", 6), "1.235"],
  [f.scaled("999999", 6), "1"],
  [f.scaled("999949", 6), "0.9999"],
  [f.scaled("12345678901234567890", 6), `12${thin}345${thin}678${thin}901${thin}235`],
  [f.scaled("100000000", 6), "100"],
  [f.scaled("10000000000", 6), `10${thin}000`],
  [f.scaled("99995", 4, 3), "10"],
  [f.scaled("42", 0), "42"],
  [f.scaled(null, 6), "–"],
]);

table("bytes", [
  [f.bytes("0"), "0 B"],
  [f.bytes("999"), "999 B"],
  [f.bytes("1000"), "1 kB"],
  [f.bytes("1048576"), "1.05 MB"],
  [f.bytes("999999"), "1 MB"],
  [f.bytes("100000000000"), "100 GB"],
  [f.bytes(null), "–"],
]);

table("shares", [
  [f.percent(0), `0${joined}%`],
  [f.percent(0.0004), `under 0.1${joined}%`],
  [f.percent(0.1234), `12.3${joined}%`],
  [f.percent(1), `100${joined}%`],
  [f.percent(null), "–"],
  [f.percent(f.ratio("1", "3")), `33.3${joined}%`],
  [f.percent(f.ratio("1", "0")), "–"],
  [f.bps(250), `2.5${joined}%`],
  [f.bps(300), `3${joined}%`],
]);

table("compact", [
  [f.compact(0), "0"],
  [f.compact(12), "12"],
  [f.compact(0.25), "0.25"],
  [f.compact(1234), "1234"],
  [f.compact(420000), `420${thin}000`],
  [f.compact(999999999), "1B"],
  [f.compact(38000000), "38M"],
  [f.compact(3.5e12), "3.5T"],
  [f.compact(-2100000000), "−2.1B"],
]);

table("claims", [
  [f.claimText({ value: 38000000, unit: "USD/mo" }), "$38M a month"],
  [f.claimText({ value: 12000, unit: "1", bound: "about" }), `about 12${thin}000`],
  [f.claimText({ value: null, low: 50, high: 80, unit: "%" }), `50 to 80${joined}%`],
  [f.claimText({ value: null, low: 3, high: 3, unit: "1" }), "3"],
  [f.claimText({ value: null, text: "HNT", unit: "text" }), "HNT"],
  [f.claimText({ value: null, unit: "USD" }), "–"],
  [f.claimText({ value: 1.706, unit: "EiB" }), "1.71 EiB"],
  [f.claimText({ value: 1.93e19, unit: "B" }), "19.3 EB"],
  [f.claimText({ value: 150, unit: "SC/TB.mo" }), "150 SC per TB and month"],
]);

table("sentences", [
  [f.grouped("it has 0 of 1000000000 units free"), `it has 0 of 1${thin}000${thin}000${thin}000 units free`],
  [f.grouped("proved 22025472 units in block 153."), `proved 22${thin}025${thin}472 units in block 153.`],
  [f.grouped("device 4849d1f50000000 of 1234"), "device 4849d1f50000000 of 1234"],
  [f.grouped("of 80.12345 %"), "of 80.12345 %"],
  [f.words("change.token-price"), "change token price"],
]);

test("units on one scale", () => {
  assert.equal(f.baseOf("EiB"), f.baseOf("EB"));
  assert.equal(f.baseOf("USD/d"), f.baseOf("USD/a"));
  assert.notEqual(f.baseOf("USD"), f.baseOf("USD/mo"));
  assert.notEqual(f.baseOf("1"), f.baseOf("USD"));
  assert.equal(120 * f.scaleOf("USD/a"), 10);
  assert.equal(f.scaleOf("EB"), 1e18);
});

table("places", [
  [f.coordinates(52.54, 13.279), `52.54°${joined}N, 13.28°${joined}E`],
  [f.coordinates(-23.556, -46.63), `23.56°${joined}S, 46.63°${joined}W`],
]);

table("times", [
  [f.ago(1000, 1500), "now"],
  [f.ago(0, 45000), "45 s ago"],
  [f.ago(0, 600000), "10 min ago"],
  [f.ago(30000, 0), "in 30 s"],
  [f.ago(0, 86400000 * 3), "3 days ago"],
]);

table("prices", [
  [f.price({ credits_ucredit: "20000", per_units: "1000000000" }, "storage"), "0.02 / GB"],
  [f.price({ credits_ucredit: "0", per_units: "1" }, "storage"), "free"],
  [f.price({ credits_ucredit: "1500000", per_units: "1" }, "compute"), "1.5 / unit"],
  [f.price(null), "–"],
]);

table("ids", [
  [f.short("0123456789abcdef0123"), "01234567…0123"],
  [f.short("short"), "short"],
  [f.short(null), "–"],
]);
