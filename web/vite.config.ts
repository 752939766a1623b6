import { svelte } from "@sveltejs/vite-plugin-svelte";
import { join } from "node:path";
import { defineConfig } from "vite";
import { pack } from "./pack.ts";
import { weigh } from "./weigh.ts";

const api = process.env.API ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [svelte(), weigh("/pages/Overview.svelte", 60 * 1024), pack(process.env.DIST ?? join(import.meta.dirname, "dist"))],
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // the policy allows no data: address
    modulePreload: { polyfill: false },
    outDir: "build/app", // pack puts it into dist
    emptyOutDir: true,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1500,
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  server: { proxy: { "/v1": api, "/openapi.yaml": api } },
});
