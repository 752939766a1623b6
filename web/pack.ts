import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";

const compresses = /\.(js|mjs|css|html|svg|json)$/;
const kept = "README"; // is committed, so that there is something to embed

// files lists what is under dir, without the directories.
function files(dir: string): string[] {
  return (readdirSync(dir, { recursive: true }) as string[]).filter((name) => statSync(join(dir, name)).isFile());
}

// pack puts what was built into dist, each file that compresses well as its
// gzip: the program embeds one copy of each. New files are there before old ones
// go, so that a program compiled meanwhile finds what it lists; the page is last.
export function pack(dist: string): Plugin {
  let built = "";
  return {
    name: "pack",
    apply: "build",
    configResolved(config) {
      built = resolve(config.root, config.build.outDir);
    },
    closeBundle(error) {
      if (error) return;
      const wanted = new Set([kept]);
      for (const name of files(built).sort((a, b) => Number(a === "index.html") - Number(b === "index.html"))) {
        const data = readFileSync(join(built, name));
        const target = compresses.test(name) ? `${name}.gz` : name;
        const path = join(dist, target);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(`${built}/.part`, compresses.test(name) ? gzipSync(data, { level: 9 }) : data);
        renameSync(`${built}/.part`, path);
        wanted.add(target);
      }
      for (const name of files(dist)) if (!wanted.has(name)) rmSync(join(dist, name));
    },
  };
}
