// Rings that cross the 180th meridian jump from one edge of the map to the other
// in the base map's data. A map that draws on a plane wants them in one piece.

type Point = number[];

const edge = 85.06; // a Mercator map ends here

// unwrapRing lets longitudes go on beyond 180 degrees instead of jumping. A ring
// around a pole is closed along the edge of the map.
export function unwrapRing(ring: Point[]): Point[] {
  let turn = 0;
  let before: number | null = null;
  const out = ring.map(([lon = 0, lat = 0]) => {
    if (before !== null && lon - before > 180) turn -= 360;
    else if (before !== null && before - lon > 180) turn += 360;
    before = lon;
    return [lon + turn, lat];
  });
  const first = out[0];
  const last = out[out.length - 1];
  if (!first || !last || turn === 0) return out;
  const pole = (first[1] ?? 0) < 0 ? -edge : edge;
  return [...out, [last[0] ?? 0, pole], [first[0] ?? 0, pole], first];
}

export function unwrap(land: GeoJSON.FeatureCollection): GeoJSON.FeatureCollection {
  return {
    ...land,
    features: land.features.map((f) => {
      const g = f.geometry;
      if (g.type === "Polygon") return { ...f, geometry: { ...g, coordinates: g.coordinates.map(unwrapRing) } };
      if (g.type === "MultiPolygon") return { ...f, geometry: { ...g, coordinates: g.coordinates.map((p) => p.map(unwrapRing)) } };
      return f;
    }),
  };
}
