import * as f from "../lib/format.ts";
import type { Lease, LeaseEpoch, Offer, Receipt, Reward, Tx } from "../lib/types.ts";
import * as c from "../ui/cell.ts";

export const offerColumns: c.Column<Offer>[] = [
  { head: "Offer", of: (o) => ({ text: `#${o.id}`, sub: o.kind }) },
  { head: "Device", of: (o) => c.device(o.device) },
  { head: "Status", of: (o) => c.state(o.status) },
  { head: "Hold, per epoch", num: true, of: (o) => c.number(f.price(o.hold, o.kind)) },
  { head: "Use", num: true, of: (o) => c.number(f.price(o.use, o.kind)) },
  { head: "Free", num: true, of: (o) => f.units(o.free_units, o.kind) },
  { head: "Claimed", num: true, of: (o) => f.units(o.capacity_units, o.kind) },
  { head: "Bond, GRAIN", num: true, of: (o) => ({ text: f.grain(o.bond_ugrain), sub: o.slashed_ugrain === "0" ? null : `${f.grain(o.slashed_ugrain)} lost` }) },
  { head: "Leases", num: true, of: (o) => f.integer(o.leases) },
  { head: "Says of itself", wide: true, of: (o) => c.text(Object.entries(o.attributes).map(([k, v]) => `${k}: ${v}`).join(", ")) },
];

export const leaseColumns: c.Column<Lease>[] = [
  { head: "Lease", of: (l) => c.lease(l.id) },
  { head: "State", of: (l) => c.state(l.state) },
  { head: "Last epoch", of: (l) => c.outcome(l.last_outcome) },
  { head: "Device", of: (l) => c.device(l.device) },
  { head: "Held", num: true, of: (l) => c.number(f.units(l.held_units, l.kind)) },
  { head: "Room", num: true, of: (l) => c.number(f.units(l.capacity_units, l.kind)) },
  { head: "Deposit, credits", num: true, of: (l) => c.number(f.credits(l.deposited_ucredit)) },
  { head: "Paid, credits", num: true, of: (l) => f.credits(l.paid_ucredit) },
  { head: "Faults", num: true, of: (l) => f.integer(l.faults) },
  { head: "Payer", of: (l) => c.account(l.payer) },
];

export const receiptColumns: c.Column<Receipt>[] = [
  { head: "When", of: (r) => c.time(r.time) },
  { head: "Device", of: (r) => c.device(r.device) },
  { head: "Lease", of: (r) => c.lease(r.lease) },
  { head: "Lane", num: true, of: (r) => c.text(r.lane) },
  { head: "Used", num: true, of: (r) => c.number(f.bytes(r.used_units)) },
  { head: "Used in all", num: true, of: (r) => f.bytes(r.units) },
  { head: "Paid, credits", num: true, of: (r) => f.credits(r.paid_ucredit) },
  { head: "To device", num: true, of: (r) => f.credits(r.net_ucredit) },
  { head: "Epoch", num: true, of: (r) => c.epoch(r.epoch) },
  { head: "Transaction", of: (r) => c.tx(r.tx) },
];

export const rewardColumns: c.Column<Reward>[] = [
  { head: "Epoch", of: (r) => c.epoch(r.epoch) },
  { head: "Device", of: (r) => c.device(r.device) },
  { head: "Outcome", of: (r) => c.rewarded(r.outcome, r.claimed_ugrain) },
  { head: "Proven", num: true, of: (r) => c.number(f.bytes(r.proven_units)) },
  { head: "Hold, credits", num: true, of: (r) => f.credits(r.hold_paid_ucredit) },
  { head: "Use, credits", num: true, of: (r) => f.credits(r.use_paid_ucredit) },
  { head: "Take", num: true, of: (r) => f.credits(r.take_ucredit) },
  { head: "To device", num: true, of: (r) => f.credits(r.net_ucredit) },
  { head: "Bonus, GRAIN", num: true, of: (r) => f.grain(r.claimed_ugrain) },
  { head: "Slashed, GRAIN", num: true, of: (r) => f.grain(r.slashed_ugrain) },
  { head: "Trail", of: (r) => ({ text: `Why, epoch ${r.epoch}`, href: `/rewards/${r.device}/${r.epoch}` }) },
];

export const leaseEpochColumns: c.Column<LeaseEpoch>[] = [
  { head: "Epoch", of: (e) => c.epoch(e.epoch) },
  { head: "Lease", of: (e) => c.lease(e.lease) },
  { head: "Outcome", of: (e) => c.outcome(e.outcome) },
  { head: "Held", num: true, of: (e) => c.number(f.bytes(e.held_units)) },
  { head: "Hold, credits", num: true, of: (e) => c.number(f.credits(e.hold_paid_ucredit)) },
  { head: "Used", num: true, of: (e) => c.number(f.bytes(e.used_units)) },
  { head: "Use, credits", num: true, of: (e) => c.number(f.credits(e.use_paid_ucredit)) },
  { head: "Take", num: true, of: (e) => f.credits(e.take_ucredit) },
  { head: "To device", num: true, of: (e) => f.credits(e.net_ucredit) },
  { head: "Slashed, GRAIN", num: true, of: (e) => f.grain(e.slashed_ugrain) },
];

// A message type without its package: grange.market.v1.MsgSettle is Settle.
export function message(type: string): string {
  return (type.split(".").pop() ?? type).replace(/^Msg/, "");
}

export const txColumns: c.Column<Tx>[] = [
  { head: "Transaction", of: (t) => c.tx(t.hash) },
  { head: "Does", of: (t) => ({ text: t.types.map(message).join(", ") || "nothing", title: t.types.join(", ") }) },
  { head: "Result", of: (t) => (t.code === 0 ? { text: "done", mark: "solid" } : { text: `failed, ${t.codespace ?? "code"} ${t.code}`, mark: "fault", sub: t.log }) },
  { head: "Block", num: true, of: (t) => c.block(t.height) },
  { head: "When", of: (t) => c.time(t.time) },
  { head: "Gas", num: true, of: (t) => f.integer(t.gas_used) },
  { head: "Fee, GRAIN", num: true, of: (t) => c.number(f.grain(t.fee_ugrain)) },
  { head: "Signed by", of: (t) => c.account(t.signer) },
];
