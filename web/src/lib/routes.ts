import type { Component } from "svelte";

export type Params = Record<string, string>;
// A page takes { params } or nothing
type Page = { default: Component<any> };
export type Group = "network" | "field" | "decide";
export type Route = { path: string; title: string; group: Group; menu?: string; load: () => Promise<Page> };

// Pages by address; those with `menu` are in the navigation, in this order.
export const routes: Route[] = [
  { path: "/", title: "Overview", group: "network", menu: "Overview", load: () => import("../pages/Overview.svelte") },
  { path: "/devices", title: "Devices", group: "network", menu: "Devices", load: () => import("../pages/Devices.svelte") },
  { path: "/devices/:id", title: "Device", group: "network", load: () => import("../pages/Device.svelte") },
  { path: "/map", title: "Map", group: "network", menu: "Map", load: () => import("../pages/Map.svelte") },
  { path: "/offers", title: "Offers", group: "network", menu: "Offers", load: () => import("../pages/Offers.svelte") },
  { path: "/leases", title: "Leases", group: "network", menu: "Leases", load: () => import("../pages/Leases.svelte") },
  { path: "/leases/:id", title: "Lease", group: "network", load: () => import("../pages/Lease.svelte") },
  { path: "/receipts", title: "Receipts", group: "network", menu: "Receipts", load: () => import("../pages/Receipts.svelte") },
  { path: "/epochs", title: "Epochs", group: "network", menu: "Epochs", load: () => import("../pages/Epochs.svelte") },
  { path: "/epochs/:id", title: "Epoch", group: "network", load: () => import("../pages/Epoch.svelte") },
  { path: "/rewards", title: "Rewards", group: "network", menu: "Rewards", load: () => import("../pages/Rewards.svelte") },
  { path: "/rewards/:device/:epoch", title: "Why this reward", group: "network", load: () => import("../pages/Why.svelte") },
  { path: "/storage", title: "Storage health", group: "network", menu: "Storage", load: () => import("../pages/Storage.svelte") },
  { path: "/data", title: "Data products", group: "network", menu: "Products", load: () => import("../pages/Data.svelte") },
  { path: "/observations", title: "Observations", group: "network", menu: "Observations", load: () => import("../pages/Observations.svelte") },
  { path: "/chain", title: "Chain", group: "network", menu: "Chain", load: () => import("../pages/Chain.svelte") },
  { path: "/blocks", title: "Blocks", group: "network", menu: "Blocks", load: () => import("../pages/Blocks.svelte") },
  { path: "/blocks/:id", title: "Block", group: "network", load: () => import("../pages/Block.svelte") },
  { path: "/txs", title: "Transactions", group: "network", menu: "Transactions", load: () => import("../pages/Txs.svelte") },
  { path: "/txs/:id", title: "Transaction", group: "network", load: () => import("../pages/Tx.svelte") },
  { path: "/accounts/:id", title: "Account", group: "network", load: () => import("../pages/Account.svelte") },
  { path: "/proofs", title: "Proofs", group: "network", load: () => import("../pages/Proofs.svelte") },
  { path: "/about", title: "What this is", group: "network", load: () => import("../pages/About.svelte") },
  { path: "/search", title: "Search", group: "network", load: () => import("../pages/Search.svelte") },

  { path: "/atlas", title: "Atlas", group: "field", menu: "Networks", load: () => import("../pages/Atlas.svelte") },
  { path: "/atlas/:id", title: "Entry", group: "field", load: () => import("../pages/Entry.svelte") },
  { path: "/compare", title: "Compare", group: "field", menu: "Compare", load: () => import("../pages/Compare.svelte") },
  { path: "/disagreements", title: "Disagreements", group: "field", menu: "Disagreements", load: () => import("../pages/Disagreements.svelte") },
  { path: "/market", title: "Market", group: "field", menu: "Market", load: () => import("../pages/Market.svelte") },
  { path: "/sustainability", title: "Sustainability", group: "field", menu: "Sustainability", load: () => import("../pages/Sustainability.svelte") },
  { path: "/claims", title: "Claims", group: "field", menu: "Claims", load: () => import("../pages/Claims.svelte") },

  { path: "/navigator", title: "Navigator", group: "decide", menu: "Navigator", load: () => import("../pages/Navigator.svelte") },
  { path: "/match", title: "Find capacity", group: "decide", menu: "Find capacity", load: () => import("../pages/Match.svelte") },
  { path: "/placement", title: "Placement", group: "decide", menu: "Placement", load: () => import("../pages/Placement.svelte") },
  { path: "/scenarios", title: "Scenarios", group: "decide", menu: "Scenarios", load: () => import("../pages/Scenarios.svelte") },
];

const none: Route = { path: "", title: "Nothing here", group: "network", load: () => import("../pages/Nothing.svelte") };

export const groups: { id: Group; name: string; home: string }[] = [
  { id: "network", name: "Network", home: "/" },
  { id: "field", name: "Field", home: "/atlas" },
  { id: "decide", name: "Decide", home: "/navigator" },
];

function match(pattern: string, path: string): Params | null {
  const want = pattern.split("/");
  const have = path.split("/");
  if (want.length !== have.length) return null;
  const params: Params = {};
  for (const [i, part] of want.entries()) {
    const value = have[i] ?? "";
    if (part.startsWith(":")) {
      if (value === "") return null;
      params[part.slice(1)] = decode(value);
    } else if (part !== value) return null;
  }
  return params;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function find(path: string): { route: Route; params: Params } {
  const clean = path.length > 1 ? path.replace(/\/+$/, "") : path;
  for (const route of routes) {
    const params = match(route.path, clean);
    if (params) return { route, params };
  }
  return { route: none, params: {} };
}
