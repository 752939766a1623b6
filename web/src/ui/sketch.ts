import { mercatorX, mercatorY, radii, worldSize, type Camera } from "../lib/camera.ts";
import type { Bounty, Cells } from "../lib/types.ts";
import { colour, type Land } from "./land.ts";
import { ringRadius } from "./world.ts";

type Project = (longitude: number, latitude: number) => [number, number];

function path(rings: GeoJSON.Position[][], project: Project, close: boolean): Path2D {
  const out = new Path2D();
  for (const ring of rings) {
    ring.forEach(([lon = 0, lat = 0], i) => (i === 0 ? out.moveTo(...project(lon, lat)) : out.lineTo(...project(lon, lat))));
    if (close) out.closePath();
  }
  return out;
}

const rings = (g: GeoJSON.Geometry): GeoJSON.Position[][] => (g.type === "Polygon" ? g.coordinates : g.type === "MultiPolygon" ? g.coordinates.flat() : []);

// drawAreas paints where something is wanted: dashed, with a ring for what is small.
function drawAreas(ctx: CanvasRenderingContext2D, areas: Bounty[], project: Project): void {
  ctx.fillStyle = colour("warn");
  ctx.strokeStyle = colour("warn");
  for (const a of areas) {
    const outline = path(rings(a.geometry), project, true);
    ctx.globalAlpha = 0.14;
    ctx.fill(outline);
    ctx.globalAlpha = 1;
    ctx.lineWidth = 1.5;
    ctx.setLineDash([4.5, 3]);
    ctx.stroke(outline);
    ctx.setLineDash([]);
    ctx.lineWidth = 2;
    ctx.beginPath();
    ctx.arc(...project(a.longitude, a.latitude), ringRadius, 0, 2 * Math.PI);
    ctx.stroke();
  }
}

// draw paints what the map shows before anybody moves it: one picture, at once,
// without WebGL.
export function draw(canvas: HTMLCanvasElement, land: Land | null, cells: Cells, all: boolean, areas: Bounty[], camera: Camera): void {
  const { clientWidth: width, clientHeight: height } = canvas;
  const sharp = Math.min(2, window.devicePixelRatio || 1);
  canvas.width = width * sharp;
  canvas.height = height * sharp;
  const ctx = canvas.getContext("2d");
  if (!ctx) return;
  ctx.scale(sharp, sharp);
  const size = worldSize(camera.zoom);
  const left = mercatorX(camera.center[0]) * size - width / 2;
  const top = mercatorY(camera.center[1]) * size - height / 2;
  const project: Project = (lon, lat) => [mercatorX(lon) * size - left, mercatorY(lat) * size - top];

  ctx.fillStyle = colour("sea");
  ctx.fillRect(0, 0, width, height);
  if (land) {
    ctx.fillStyle = colour("land");
    for (const country of land.countries.features) ctx.fill(path(rings(country.geometry), project, true));
    ctx.strokeStyle = colour("line-2");
    ctx.lineWidth = 0.7;
    ctx.stroke(path(land.borders.geometry.coordinates, project, false));
  }
  drawAreas(ctx, areas, project);
  const [small, large] = radii(cells.features.length);
  const rim = small > 2 ? 1.2 : 0;
  const proven = { fill: colour("accent"), edge: colour("accent") };
  const claimed = { fill: colour("line-2"), edge: colour("ink-3") };
  ctx.lineWidth = rim;
  for (const x of cells.features) {
    const p = x.properties;
    if (!all && p.proven === 0) continue;
    const c = p.proven > 0 ? proven : claimed;
    ctx.fillStyle = c.fill;
    ctx.strokeStyle = c.edge;
    ctx.beginPath();
    ctx.arc(...project(p.longitude, p.latitude), small + (Math.min(6, Math.log(1 + p.devices)) * (large - small)) / 6, 0, 2 * Math.PI);
    ctx.globalAlpha = 0.85;
    ctx.fill();
    ctx.globalAlpha = 1;
    if (rim > 0) ctx.stroke();
  }
}
