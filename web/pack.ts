import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";

const compresses = /\.(js|mjs|css|html|svg|json)$/;

// pack empties dist before the build, and afterwards replaces each file that
// compresses well by its gzip: the program embeds one copy of each.
export function pack(): Plugin {
  let dist = "dist";
  return {
    name: "pack",
    apply: "build",
    configResolved(config) {
      dist = join(config.root, config.build.outDir);
    },
    buildStart() {
      for (const name of readdirSync(dist)) if (name !== "README") rmSync(join(dist, name), { recursive: true });
    },
    closeBundle() {
      for (const file of readdirSync(dist, { recursive: true }) as string[]) {
        if (!compresses.test(file)) continue;
        const path = join(dist, file);
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
        rmSync(path);
      }
    },
  };
}
