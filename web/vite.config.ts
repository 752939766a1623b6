import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";
import { pack } from "./pack.ts";

const api = process.env.API ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [svelte(), pack()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // the policy allows no data: address
    modulePreload: { polyfill: false },
    emptyOutDir: false, // pack() empties it and keeps the file that is committed
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1500,
  },
  server: { proxy: { "/v1": api, "/openapi.yaml": api } },
});
