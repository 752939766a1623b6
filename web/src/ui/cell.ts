import * as f from "../lib/format.ts";
import type { Maybe, Outcome } from "../lib/types.ts";

export type Mark = "solid" | "hatch" | "fault" | "warn" | "off" | "plain";

// Cell is what a place of a table or of a list of facts shows. It is always
// text: nothing from the network reaches the page as markup.
export type Cell = { text: string; href?: string; title?: string; mono?: boolean; mark?: Mark; sub?: string | null; subHref?: string; time?: string } | string | null;

// wide: a text that takes a line of its own on a phone.
export type Column<T> = { head: string; num?: boolean; wide?: boolean; of: (row: T) => Cell };

export function device(id: Maybe<string>, sub?: string | null): Cell {
  return id === null ? null : { text: f.short(id), href: `/devices/${id}`, title: id, mono: true, sub: sub ?? null };
}

export function lease(id: Maybe<string>): Cell {
  return id === null ? null : { text: f.short(id), href: `/leases/${id}`, title: id, mono: true };
}

export function account(address: Maybe<string>): Cell {
  return address === null ? null : { text: f.short(address, 10, 4), href: `/accounts/${encodeURIComponent(address)}`, title: address, mono: true };
}

export function tx(hash: Maybe<string>): Cell {
  return hash === null ? null : { text: f.short(hash), href: `/txs/${hash}`, title: hash, mono: true };
}

export function block(height: Maybe<number>): Cell {
  return height === null ? null : { text: f.integer(height), href: `/blocks/${height}` };
}

export function epoch(number: Maybe<number>): Cell {
  return number === null ? null : { text: f.integer(number), href: `/epochs/${number}` };
}

export function time(iso: Maybe<string>): Cell {
  return iso === null ? null : { text: iso, time: iso };
}

const outcomes: Record<string, { text: string; mark: Mark; title: string }> = {
  proven: { text: "proven", mark: "solid", title: "A proof of what it holds was accepted" },
  faulted: { text: "faulted", mark: "fault", title: "No proof came in time for what it holds" },
  idle: { text: "idle", mark: "off", title: "It held nothing that it had to prove" },
  open: { text: "open", mark: "hatch", title: "Not decided yet" },
};

export function outcome(o: Outcome): Cell {
  return o === null ? null : (outcomes[o] ?? o);
}

// rewarded is the outcome of an epoch in which GRAIN came to a device that held
// nothing, as to one that signs observations: it was not idle.
export function rewarded(o: Outcome, claimed: string | null): Cell {
  if (o !== "idle" || claimed === null || Number(claimed) <= 0) return outcome(o);
  return { text: "paid", mark: "solid", title: "It held nothing that it had to prove; GRAIN was claimed for it in this epoch" };
}

const states: Record<string, Mark> = { open: "solid", active: "solid", bonded: "solid", decided: "solid", grace: "warn", paused: "warn", closing: "warn", revealing: "hatch", neutral: "off", closed: "off", retired: "off", withdrawn: "off" };

export function state(name: string): Cell {
  return { text: name, mark: states[name] ?? "plain" };
}

export function text(value: string | number | null | undefined): Cell {
  return value === null || value === undefined || value === "" ? null : String(value);
}

// number shows a formatted figure; the dash that stands for "not known" becomes null.
export function number(formatted: string, title?: string | null): Cell {
  if (formatted === "–") return null;
  return title ? { text: formatted, title } : formatted;
}
