import { feature, mesh } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import landUrl from "world-atlas/countries-110m.json?url";
import { unwrap } from "../lib/unwrap.ts";

export type Land = { countries: GeoJSON.FeatureCollection; borders: GeoJSON.Feature<GeoJSON.MultiLineString> };

let asked: Promise<Land> | null = null;

async function read(): Promise<Land> {
  const topology = (await (await fetch(landUrl)).json()) as Topology<{ countries: GeometryCollection; land: GeometryCollection }>;
  return {
    countries: unwrap(feature(topology, topology.objects.countries)),
    borders: { type: "Feature", properties: {}, geometry: mesh(topology, topology.objects.countries, (a, b) => a !== b) },
  };
}

// land is the base map, read once; after a failure it is asked for again.
export function land(): Promise<Land> {
  asked ??= read().catch((cause: unknown) => {
    asked = null;
    throw cause;
  });
  return asked;
}

// colour is that of the theme in use.
export const colour = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
