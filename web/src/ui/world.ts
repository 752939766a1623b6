import type { ExpressionSpecification, StyleSpecification } from "maplibre-gl";
import type { Camera } from "../lib/camera.ts";
import type { Cells } from "../lib/types.ts";
import { colour, type Land } from "./land.ts";

export type Shown = "proven" | "claimed";

export type WorldProps = {
  cells: Cells;
  shown: Shown;
  chosen: string | null;
  choose: (cell: string | null) => void;
  moved: (bbox: string) => void;
  camera: Camera; // at the beginning
  themed: number; // changes when the theme does
  step: number; // times that a zoom in was asked for, less the zooms out
  focus: boolean; // when it is there
  ready: () => void;
  failed: (why: string) => void;
};

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
  ];
}

// At small scales a cell is less than a pixel: its centre stands for it.
export function centres(cells: Cells, shown: Shown): GeoJSON.FeatureCollection {
  const wanted = cells.features.filter((x) => shown === "claimed" || x.properties.proven > 0);
  return { type: "FeatureCollection", features: wanted.map((x) => ({ type: "Feature", properties: x.properties, geometry: { type: "Point", coordinates: [x.properties.longitude, x.properties.latitude] } })) };
}

// style is the whole map; the radius of the centres is that of the sketch.
export function style(land: Land, cells: Cells, shown: Shown): StyleSpecification {
  const themed = paint();
  const of = (layer: string): Record<string, unknown> => Object.fromEntries(themed.filter(([l]) => l === layer).map(([, name, value]) => [name, value]));
  return {
    version: 8,
    sources: {
      land: { type: "geojson", data: land.countries },
      borders: { type: "geojson", data: land.borders },
      cells: { type: "geojson", data: cells as unknown as GeoJSON.FeatureCollection, promoteId: "cell" },
      centres: { type: "geojson", data: centres(cells, shown) },
    },
    layers: [
      { id: "ground", type: "background", paint: of("ground") },
      { id: "land", type: "fill", source: "land", paint: of("land") },
      { id: "borders", type: "line", source: "borders", paint: { ...of("borders"), "line-width": 0.7 } },
      { id: "cells", type: "fill", source: "cells", filter: ["==", ["geometry-type"], "Polygon"], paint: { ...of("cells"), "fill-opacity": ["case", isProven, 0.75, 0.35] } },
      { id: "edges", type: "line", source: "cells", paint: { ...of("edges"), "line-width": 1 } },
      { id: "centres", type: "circle", source: "centres", ...(cells.outline === "point" ? {} : { maxzoom: 7 }), paint: { ...of("centres"), "circle-opacity": 0.85, "circle-stroke-width": 1.2, "circle-radius": ["interpolate", ["linear"], ["ln", ["+", 1, ["get", "devices"]]], 0, 3.5, 6, 12] } },
    ],
  } as StyleSpecification;
}
