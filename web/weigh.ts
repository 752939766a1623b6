import { gzipSync } from "node:zlib";
import type { Plugin, Rollup } from "vite";

// weigh fails a build whose first page would need more script than `limit` bytes
// of gzip: the entry, the page's own chunk, and all that either imports at once.
export function weigh(page: string, limit: number): Plugin {
  return {
    name: "weigh",
    apply: "build",
    generateBundle(_options, bundle) {
      const chunks = Object.values(bundle).filter((c): c is Rollup.OutputChunk => c.type === "chunk");
      const wanted = new Set<string>();
      const add = (name: string): void => {
        const chunk = chunks.find((c) => c.fileName === name);
        if (!chunk || wanted.has(name)) return;
        wanted.add(name);
        chunk.imports.forEach(add);
      };
      for (const c of chunks) if (c.isEntry || c.facadeModuleId?.endsWith(page)) add(c.fileName);
      const sizes = chunks.filter((c) => wanted.has(c.fileName)).map((c) => gzipSync(c.code, { level: 9 }).length);
      const total = sizes.reduce((a, b) => a + b, 0);
      if (sizes.length < 2) this.error(`the chunk of ${page} is not in the bundle: the first page cannot be weighed`);
      if (total > limit) this.error(`the first page needs ${total} bytes of script as gzip, more than ${limit}: load what it does not show later`);
    },
  };
}
