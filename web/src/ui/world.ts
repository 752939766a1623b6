import type { ExpressionSpecification, StyleSpecification } from "maplibre-gl";
import { radii, zoomAt, type Camera } from "../lib/camera.ts";
import type { Bounty, CellProperties, Cells } from "../lib/types.ts";
import { bytes, plural } from "../lib/format.ts";
import { colour, type Land } from "./land.ts";

export const ringRadius = 7; // px

export type Shown = "proven" | "claimed";

export type WorldProps = {
  cells: Cells;
  shown: Shown;
  areas: Bounty[]; // where something is wanted
  describe: (p: CellProperties) => [string, string]; // the cell under the pointer
  chosen: string | null;
  choose: (cell: string | null) => void;
  moved: (bbox: string | null) => void; // null: all of the world
  camera: Camera; // at the beginning
  themed: number; // changes when the theme does
  step: number; // times that a zoom in was asked for, less the zooms out
  focus: boolean; // when it is there
  ready: () => void;
  failed: (why: string) => void;
};

export const describeDevices = (p: CellProperties): [string, string] => [`${plural(p.devices, "device")} of ${plural(p.owners, "owner")}, ${p.proven} proven`, `${bytes(p.proven_units)} proven of ${bytes(p.claimed_units)} claimed`];

export const isProven: ExpressionSpecification = [">", ["get", "proven"], 0];

// paint is what the theme decides: layer, property, value.
export function paint(): [string, string, unknown][] {
  const fill = ["case", isProven, colour("accent"), colour("line-2")];
  const edge = ["case", isProven, colour("accent"), colour("ink-3")];
  return [
    ["ground", "background-color", colour("sea")],
    ["land", "fill-color", colour("land")],
    ["borders", "line-color", colour("line-2")],
    ["cells", "fill-color", fill],
    ["edges", "line-color", edge],
    ["centres", "circle-color", fill],
    ["centres", "circle-stroke-color", edge],
    ["areas", "fill-color", colour("warn")],
    ["rims", "line-color", colour("warn")],
    ["wanted", "circle-stroke-color", colour("warn")],
  ];
}

// At small scales a cell is less than a pixel: its centre stands for it.
export function centres(cells: Cells, shown: Shown): GeoJSON.FeatureCollection {
  const wanted = cells.features.filter((x) => shown === "claimed" || x.properties.proven > 0);
  return { type: "FeatureCollection", features: wanted.map((x) => ({ type: "Feature", properties: x.properties, geometry: { type: "Point", coordinates: [x.properties.longitude, x.properties.latitude] } })) };
}

// outlines of areas, and rings that stand for them where they are less than a ring.
export const outlines = (areas: Bounty[]): GeoJSON.FeatureCollection => ({ type: "FeatureCollection", features: areas.map((a) => ({ type: "Feature", properties: {}, geometry: a.geometry })) });
export const rings = (areas: Bounty[]): GeoJSON.FeatureCollection => ({ type: "FeatureCollection", features: areas.map((a) => ({ type: "Feature", properties: {}, geometry: { type: "Point", coordinates: [a.longitude, a.latitude] } })) });

// scale is what depends on how many cells there are, and how large they are.
export function scale(cells: Cells): { minzoom: number; maxzoom: number; radius: ExpressionSpecification; rim: number } {
  const [small, large] = radii(cells.features.length);
  return {
    minzoom: Math.max(0, zoomAt(3, cells.resolution)),
    maxzoom: cells.outline === "point" ? 24 : zoomAt(12, cells.resolution),
    radius: ["interpolate", ["linear"], ["ln", ["+", 1, ["get", "devices"]]], 0, small, 6, large],
    rim: small > 2 ? 1.2 : 0,
  };
}

// style is the whole map. Cells are drawn when they are wide enough to be seen,
// their centres until they are wide enough to be told apart.
export function style(land: Land, cells: Cells, shown: Shown, areas: Bounty[]): StyleSpecification {
  const themed = paint();
  const of = (layer: string): Record<string, unknown> => Object.fromEntries(themed.filter(([l]) => l === layer).map(([, name, value]) => [name, value]));
  const { minzoom, maxzoom, radius, rim } = scale(cells);
  return {
    version: 8,
    sources: {
      land: { type: "geojson", data: land.countries },
      borders: { type: "geojson", data: land.borders },
      cells: { type: "geojson", data: cells as unknown as GeoJSON.FeatureCollection, promoteId: "cell" },
      centres: { type: "geojson", data: centres(cells, shown) },
      areas: { type: "geojson", data: outlines(areas) },
      wanted: { type: "geojson", data: rings(areas) },
    },
    layers: [
      { id: "ground", type: "background", paint: of("ground") },
      { id: "land", type: "fill", source: "land", paint: of("land") },
      { id: "borders", type: "line", source: "borders", paint: { ...of("borders"), "line-width": 0.7 } },
      { id: "areas", type: "fill", source: "areas", paint: { ...of("areas"), "fill-opacity": 0.14 } },
      { id: "rims", type: "line", source: "areas", paint: { ...of("rims"), "line-width": 1.5, "line-dasharray": [3, 2] } },
      { id: "wanted", type: "circle", source: "wanted", paint: { ...of("wanted"), "circle-opacity": 0, "circle-stroke-width": 2, "circle-radius": ringRadius } },
      { id: "cells", type: "fill", source: "cells", minzoom, filter: ["==", ["geometry-type"], "Polygon"], paint: { ...of("cells"), "fill-opacity": ["case", isProven, 0.75, 0.35] } },
      { id: "edges", type: "line", source: "cells", minzoom, paint: { ...of("edges"), "line-width": 1 } },
      { id: "centres", type: "circle", source: "centres", maxzoom, paint: { ...of("centres"), "circle-opacity": 0.85, "circle-stroke-width": rim, "circle-radius": radius } },
    ],
  } as StyleSpecification;
}
