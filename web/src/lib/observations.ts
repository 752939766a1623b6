// What is observed, in the words and shapes that the page shows.
import type { Cells, Sold, Station } from "./types.ts";

// A station that said nothing for this long is shown as quiet: most report by the
// hour, and a batch may be late.
export const lately = 2 * 3_600_000;

export const heard = (station: Station, now: number): boolean => now - Date.parse(station.last) < lately;

// stationCells is the stations as the map draws cells: a dot for each cell, solid
// where one was heard lately.
export function stationCells(stations: Station[], now: number, height: number): Cells {
  const cells = new Map<string, Cells["features"][number]>();
  for (const s of stations) {
    let x = cells.get(s.cell);
    if (!x) {
      const properties = { cell: s.cell, devices: 0, proven: 0, owners: 0, claimed_units: "0", proven_units: "0", latitude: s.latitude, longitude: s.longitude };
      x = { type: "Feature", id: s.cell, geometry: { type: "Point", coordinates: [s.longitude, s.latitude] }, properties };
      cells.set(s.cell, x);
    }
    x.properties.devices++;
    if (heard(s, now)) x.properties.proven++;
  }
  return { type: "FeatureCollection", features: [...cells.values()], total: stations.length, without_cell: 0, resolution: 8, outline: "point", height };
}

const units: Record<string, string> = { Cel: "°C", "%RH": "% RH", "ug/m3": "µg/m³", "W/m2": "W/m²", deg: "°", "1": "" };

// unit spells a unit of SenML; a plain number has none.
export const unit = (code: string): string => units[code] ?? code;

const spelled: Record<string, string> = { pm1: "PM1", pm2_5: "PM2.5", pm10: "PM10", so2: "SO₂", no2: "NO₂", co: "CO", co2: "CO₂", o3: "O₃", uv: "UV" };

// spell says what is measured as people say it.
export const spell = (name: string): string => spelled[name] ?? name.replaceAll("_", " ");

// numbers are those of a fact with their units, each unit said once.
export function numbers(values: Sold["values"]): string {
  const parts: { names: string[]; unit: string }[] = [];
  for (const v of values) {
    const last = parts.at(-1);
    if (last && last.unit === v.unit) last.names.push(v.name);
    else parts.push({ names: [v.name], unit: v.unit });
  }
  return parts.map((p) => p.names.join(", ") + (unit(p.unit) === "" ? "" : ` in ${unit(p.unit)}`)).join("; ");
}

const steps: Record<number, string> = { 300: "5 minutes", 600: "10 minutes", 3600: "hour", 86400: "day", 604800: "week" };

export function step(seconds: number): string {
  const known = steps[seconds];
  if (known) return known;
  for (const [size, name] of [[86400, "days"], [3600, "hours"], [60, "minutes"]] as const) if (seconds % size === 0) return `${seconds / size} ${name}`;
  return `${seconds} s`;
}

// size is about how large an H3 cell of a resolution is.
export function size(resolution: number): string {
  const km2 = 510_065_622 / (2 + 120 * 7 ** resolution);
  const round = (n: number): string => String(Number(n.toPrecision(2)));
  return km2 >= 0.1 ? `${round(km2)} km²` : `${round(km2 * 1e6)} m²`;
}

// regionFor is a cell that a product may be asked for: one where its kind is
// measured, else one where anything is.
export function regionFor(kind: string, stations: Station[]): string | null {
  return (stations.find((s) => s.kinds.includes(kind)) ?? stations[0])?.region ?? null;
}

// ask are the commands that buy facts of a product.
export function ask(p: Pick<Sold, "kind" | "name">, cell: string): { shell: string; curl: string } {
  const path = `${p.kind}/${p.name}`;
  return { shell: `grange sensing data facts ${path} ${cell}`, curl: `curl -H "Authorization: Bearer $TOKEN" "$DATA/v1/products/${path}/${cell}?format=csv"` };
}

// minute is a time as the ledger of products writes it, in UTC.
export const minute = (iso: string): string => (Number.isNaN(Date.parse(iso)) ? iso : `${new Date(iso).toISOString().slice(0, 16).replace("T", " ")}\u00a0UTC`);
