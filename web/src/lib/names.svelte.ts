import { get } from "./api.ts";
import type { AtlasRow, List, Market } from "./types.ts";

// Names of what the atlas calls by id: networks and hyperscalers. Until the answer
// is there, and for what it does not know, the id stands for itself.
class Names {
  #of = $state.raw<Record<string, string>>({});
  #asked = false;

  of(id: string): string {
    return this.#of[id] ?? id;
  }

  ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    Promise.all([get<List<AtlasRow>>("/v1/atlas"), get<Market>("/v1/atlas/market")]).then(
      ([rows, market]) => (this.#of = Object.fromEntries([...rows.items, ...market.incumbents].map((x) => [x.id, x.name]))),
      () => (this.#asked = false),
    );
  }
}

export const names = new Names();
