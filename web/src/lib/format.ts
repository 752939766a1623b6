// Numbers as people read them. Amounts arrive as decimal strings of base units
// and stay exact until they are rounded for show. Null is "not known".

const missing = "–";
const narrow = "\u202f";
const joined = "\u00a0"; // a space that no line breaks at

// group puts a thin space between groups of three digits, from five digits on.
export function group(digits: string): string {
  return digits.length < 5 ? digits : digits.replace(/\B(?=(\d{3})+$)/g, narrow);
}

export function integer(value: number | string | null | undefined): string {
  if (value === null || value === undefined) return missing;
  const text = typeof value === "number" ? String(Math.round(value)) : value;
  return text.startsWith("-") ? `−${group(text.slice(1))}` : group(text);
}

// scaled shows a decimal string of units of 10^-places with `digits` significant
// digits; whole numbers are never cut.
export function scaled(amount: string | null | undefined, places: number, digits = 4): string {
  if (amount === null || amount === undefined) return missing;
  const negative = amount.startsWith("-");
  const raw = (negative ? amount.slice(1) : amount).padStart(places + 1, "0");
  const whole = raw.slice(0, raw.length - places).replace(/^0+(?=\d)/, "");
  const fraction = places === 0 ? "" : raw.slice(-places);
  const leading = whole === "0" ? (fraction.match(/^0*/)?.[0].length ?? 0) : 0;
  const room = whole === "0" ? leading + digits : Math.max(0, digits - whole.length);
  const [w, f] = round(whole, fraction, Math.max(room, whole.length < 3 ? 2 : 0));
  const text = f === "" ? group(w) : `${group(w)}.${f}`;
  return negative && /[1-9]/.test(text) ? `−${text}` : text;
}

function round(whole: string, fraction: string, room: number): [string, string] {
  let w = whole;
  let f = fraction;
  if (f.length > room) {
    const up = f[room]! >= "5" ? 1n : 0n;
    const kept = String(BigInt(w + f.slice(0, room)) + up).padStart(room + 1, "0");
    w = kept.slice(0, kept.length - room) || "0";
    f = room === 0 ? "" : kept.slice(-room);
  }
  return [w, f.replace(/0+$/, "")];
}

// grouped puts thin spaces into the long numbers of a sentence.
export function grouped(text: string): string {
  return text.replace(/(?<![\w.])\d{5,}(?![\w.]*[a-z])/g, (digits) => group(digits));
}

// coordinates as people write them; a published place is never finer than this.
export function coordinates(latitude: number, longitude: number): string {
  const side = (value: number, plus: string, minus: string): string => `${Math.abs(value).toFixed(2)}°${joined}${value < 0 ? minus : plus}`;
  return `${side(latitude, "N", "S")}, ${side(longitude, "E", "W")}`;
}

export function credits(ucredit: string | null | undefined): string {
  return scaled(ucredit, 6);
}

export function grain(ugrain: string | null | undefined): string {
  return scaled(ugrain, 6);
}

// amount names its unit, of which there are millionths: 1 credit, 0.5 credits.
export function amount(micro: string | null | undefined, one: string): string {
  return micro === null || micro === undefined ? missing : `${scaled(micro, 6)} ${micro === "1000000" ? one : `${one}s`}`;
}

const steps = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

// bytes uses decimal multiples, as disks are sold.
export function bytes(units: string | number | null | undefined): string {
  if (units === null || units === undefined) return missing;
  const value = Number(units);
  if (!Number.isFinite(value)) return missing;
  let step = 0;
  let rest = Math.abs(value);
  while (rest >= 999.5 && step < steps.length - 1) {
    rest /= 1000;
    step++;
  }
  const text = step === 0 ? String(rest) : trim(rest.toPrecision(3));
  return `${value < 0 ? "−" : ""}${text} ${steps[step]}`;
}

// units shows a quantity of a kind of offer; bytes for storage.
export function units(amount: string | null | undefined, kind: string | null | undefined): string {
  if (amount === null || amount === undefined) return missing;
  return kind === null || kind === undefined || kind.startsWith("storage") ? bytes(amount) : integer(amount);
}

// ratio is a over b in thousandths, or null when it means nothing.
export function ratio(a: string | null | undefined, b: string | null | undefined): number | null {
  if (a === null || a === undefined || b === null || b === undefined || b === "0") return null;
  return Number((BigInt(a) * 100000n) / BigInt(b)) / 100000;
}

export function percent(share: number | null | undefined, digits = 1): string {
  if (share === null || share === undefined) return missing;
  const value = share * 100;
  if (value > 0 && value < 0.1) return `under 0.1${joined}%`;
  return `${value.toFixed(digits).replace(/\.0+$/, "")}${joined}%`;
}

export function bps(value: number | null | undefined): string {
  return value === null || value === undefined ? missing : percent(value / 10000, 2).replace(/(\.\d)0(?!\d)/, "$1");
}

const powers: [number, string][] = [
  [1e12, "T"],
  [1e9, "B"],
  [1e6, "M"],
];

// compact shows large figures with three significant digits.
export function compact(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return missing;
  const sign = value < 0 ? "−" : "";
  const size = Math.abs(value);
  for (const [power, name] of powers) if (size >= power * 0.9995) return `${sign}${trim((size / power).toPrecision(3))}${name}`;
  if (size >= 1000) return sign + group(String(Math.round(size)));
  return sign + trim(size >= 1 || size === 0 ? size.toPrecision(Math.min(4, 3)) : String(Number(size.toPrecision(3))));
}

function trim(text: string): string {
  return text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text;
}

const per: Record<string, string> = { mo: "a month", a: "a year", d: "a day", h: "an hour" };
const times: Record<string, string> = { mo: "month", a: "year", d: "day", h: "hour" };

// claimValue shows a value with its unit as a person would say it.
export function claimValue(value: number | string | null | undefined, unit: string): string {
  if (value === null || value === undefined) return missing;
  const number = Number(value);
  if (unit === "1" || unit === "") return compact(number);
  if (unit === "%") return `${trim(String(number))}${joined}%`;
  const [what, time] = unit.split("/");
  const tail = time === undefined ? "" : ` ${per[time] ?? `per ${time.split(".").map((t) => times[t] ?? t).join(" and ")}`}`;
  if (unit === "mo") return plural(number, "month");
  if (what === "B") return bytes(number) + tail;
  if (what === "USD") return `$${compact(number)}${tail}`;
  return `${compact(number)} ${what}${tail}`;
}

const timeScale: Record<string, number> = { a: 1 / 12, mo: 1, d: 365 / 12, h: 730 };
const byteScale: Record<string, number> = { B: 1, TB: 1e12, PB: 1e15, EB: 1e18, TiB: 2 ** 40, PiB: 2 ** 50, EiB: 2 ** 60 };

// scaleOf is by what a value of a unit is multiplied to be in its base: bytes,
// and a month for rates.
export function scaleOf(unit: string): number {
  const [what = "", time] = unit.split("/");
  return (byteScale[what] ?? 1) * (time === undefined ? 1 : (timeScale[time] ?? 1));
}

// baseOf is what two units have in common when they can stand on one scale.
export function baseOf(unit: string): string {
  const [what = "", time] = unit.split("/");
  return (what in byteScale ? "B" : what) + (time === undefined ? "" : time in timeScale ? "/mo" : `/${time}`);
}

const bounds: Record<string, string> = { "at-least": "at least ", "at-most": "at most ", about: "about " };

type Figures = { value: number | string | null; low?: number | string | null; high?: number | string | null; text?: string; unit: string; bound?: string };

export function claimText(c: Figures): string {
  if (c.text) return c.text;
  if (c.value === null && c.low != null && c.low === c.high) return claimValue(c.low, c.unit);
  if (c.value === null && c.low != null && c.high != null) return `${claimValue(c.low, c.unit).replace(/\u00a0%$/, "")} to ${claimValue(c.high, c.unit)}`;
  if (c.value === null) return missing;
  return (bounds[c.bound ?? ""] ?? "") + claimValue(c.value, c.unit);
}

// short cuts an id to its ends; the whole stands in the title of the link.
export function short(id: string | null | undefined, head = 8, tail = 4): string {
  if (!id) return missing;
  return id.length <= head + tail + 1 ? id : `${id.slice(0, head)}…${id.slice(-tail)}`;
}

// ago tells a time relative to now, both in milliseconds.
export function ago(then: number, now: number): string {
  const seconds = Math.round((now - then) / 1000);
  if (seconds < 0) return seconds > -5 ? "now" : `in ${span(-seconds)}`;
  return seconds < 2 ? "now" : `${span(seconds)} ago`;
}

export function span(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${integer(count)} ${count === 1 ? one : many}`;
}

// price shows what a number of units costs: storage per GB, else per unit.
export function price(p: { credits_ucredit: string; per_units: string } | null | undefined, kind?: string | null): string {
  if (!p) return missing;
  if (p.credits_ucredit === "0" || p.per_units === "0") return p.credits_ucredit === "0" ? "free" : missing;
  const storage = kind === null || kind === undefined || kind.startsWith("storage");
  const many = storage ? 1000000000n : 1n;
  const pico = (BigInt(p.credits_ucredit) * many * 1000000n) / BigInt(p.per_units);
  return `${scaled(String(pico), 12, 3)} / ${storage ? "GB" : "unit"}`;
}

const spelled: Record<string, string> = { ai: "AI", iot: "IoT", wifi: "Wi-Fi", p2p: "peer-to-peer", tam: "addressable market", gpus: "GPUs", gpu: "GPU", hhi: "HHI", usd: "USD", gnss: "GNSS", cdn: "CDN", vpn: "VPN" };

// words spells an id as a person would.
export function words(text: string): string {
  return text.split(/[-_. ]/).map((w) => spelled[w] ?? w).join(" ");
}

export function sentence(text: string): string {
  return text === "" ? text : text[0]!.toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}
