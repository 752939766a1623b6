// What the navigator asks first, in words; the API gives the ids.

export const assetTexts: Record<string, string> = {
  bandwidth: "An uplink at home or at work that is not full",
  energy: "Panels, a battery, a meter, or a plant",
  "gnss-station": "A receiver on a roof that sees the sky",
  gpu: "Graphics cards, in a rack or under a desk",
  phone: "One that is carried, or driven about",
  sensor: "A station for weather, air or noise",
  site: "A place for an antenna or a gateway",
  storage: "Disks with room on them",
  vehicle: "A car that is on the road every day, or many",
};

const groups: [string, string[]][] = [
  ["Compute", ["inference", "training", "verified-training", "ai-services", "rendering", "gaming", "containers", "batch", "burst", "mission-critical"]],
  ["Storage", ["object-storage", "archive", "permanent-storage", "pinning", "personal-storage"]],
  ["Connection", ["iot-connectivity", "mobile-plan", "wifi-access", "broadband", "connectivity-data"]],
  ["Measurements", ["mapping", "weather", "air-quality", "noise", "positioning"]],
  ["Energy", ["p2p-energy", "demand-response", "green-certificates", "energy-purchase"]],
  ["Delivery and streams", ["content-delivery", "video", "data-streams", "web-data", "edge-hosting"]],
];

// needGroups sorts services; one that is in no group is not lost.
export function needGroups(services: string[]): [string, string[]][] {
  const known = new Set(groups.flatMap(([, list]) => list));
  const all: [string, string[]][] = [...groups.map(([name, list]): [string, string[]] => [name, list.filter((s) => services.includes(s))]), ["Other", services.filter((s) => !known.has(s))]];
  return all.filter(([, list]) => list.length > 0);
}
