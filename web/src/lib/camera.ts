// Web Mercator as MapLibre draws it: at zoom 0 the world is 512 pixels wide. The
// first picture of the map and the map itself look through the same camera.

export type Camera = { center: [number, number]; zoom: number };
type Place = { longitude: number; latitude: number };

export const worldSize = (zoom: number): number => 512 * 2 ** zoom;

// mercatorX and mercatorY are 0 to 1 from west to east and from north to south.
export const mercatorX = (longitude: number): number => (longitude + 180) / 360;

export function mercatorY(latitude: number): number {
  const sine = Math.sin((Math.max(-85.0511, Math.min(85.0511, latitude)) * Math.PI) / 180);
  return 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
}

const latitudeOf = (y: number): number => (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;

// zoomAt is the zoom at which a cell of an H3 resolution is so many pixels wide at
// the equator, or a little less: edges are 1281 km long at
// resolution 0 and shorter by the root of 7 with each.
const metresAcross = (resolution: number): number => (2 * 1_281_000) / Math.sqrt(7) ** resolution;
export const zoomAt = (pixels: number, resolution: number): number => Math.log2((40_075_017 / 512) * (pixels / metresAcross(resolution)));

// radii of the dots of one device and of four hundred: many dots are small ones.
export const radii = (cells: number): [number, number] => (cells > 2000 ? [1.8, 5] : [3.5, 12]);

const margin = 48; // px beside the outermost places
export const nearest = 6; // zoom: a single city shows with its country
const within = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

// fit is the camera that shows all places in a box of width by height pixels,
// without showing anything beyond the edge of the world, and no nearer than a zoom.
export function fit(places: Place[], width: number, height: number, near = nearest): Camera {
  const least = Math.log2(Math.max(width, height) / 512);
  const xs = places.map((p) => mercatorX(p.longitude));
  const ys = places.map((p) => mercatorY(p.latitude));
  const [west, east, north, south] = places.length === 0 ? [0.5, 0.5, 0.36, 0.36] : [lowest(xs), highest(xs), lowest(ys), highest(ys)];
  const room = (pixels: number, span: number): number => Math.log2(Math.max(1, pixels - 2 * margin) / 512 / Math.max(span, 1e-9));
  const zoom = places.length === 0 ? least : Math.max(least, Math.min(near, room(width, east - west), room(height, south - north)));
  const halfX = width / worldSize(zoom) / 2;
  const halfY = height / worldSize(zoom) / 2;
  const x = within((west + east) / 2, halfX, 1 - halfX);
  const y = within((north + south) / 2, halfY, 1 - halfY);
  return { center: [x * 360 - 180, latitudeOf(y)], zoom };
}

// Of thousands of numbers: Math.min(...) takes them as arguments and may not.
const lowest = (all: number[]): number => all.reduce((a, b) => Math.min(a, b), Infinity);
const highest = (all: number[]): number => all.reduce((a, b) => Math.max(a, b), -Infinity);
