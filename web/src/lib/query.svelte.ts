import { ApiError, get } from "./api.ts";
import { outage } from "./outage.svelte.ts";

const seen = new Map<string, { value: unknown; at: number }>();
const keep = 60;

function remember(url: string, value: unknown): void {
  seen.delete(url);
  seen.set(url, { value, at: Date.now() });
  for (const first of seen.keys()) {
    if (seen.size <= keep) break;
    seen.delete(first);
  }
}

// Query holds the answer to the address that `url` gives, asks again when that
// changes or when told to, and keeps the last answer while it waits or fails.
// A null address asks nothing. With `keep` an answer stays until that of the
// next address is there.
export class Query<T> {
  value = $state.raw<T | null>(null);
  error = $state.raw<ApiError | null>(null);
  loading = $state(true);
  at = $state<number | null>(null);
  #url: string | null = null;
  #abort: AbortController | null = null;
  #keep = false;

  constructor(url: () => string | null, again?: () => unknown, keep = false) {
    this.#keep = keep;
    $effect(() => {
      const next = url();
      again?.();
      void outage.again;
      this.#ask(next);
    });
    $effect(() => () => this.#abort?.abort());
  }

  get stale(): boolean {
    return this.value !== null && this.error !== null;
  }

  refresh(): void {
    this.#ask(this.#url);
  }

  #ask(url: string | null): void {
    if (url !== this.#url) {
      const old = url === null ? undefined : seen.get(url);
      this.value = (old?.value as T | undefined) ?? (this.#keep ? this.value : null);
      this.at = old?.at ?? null;
      this.error = null;
    }
    this.#url = url;
    this.#abort?.abort();
    if (url === null) {
      this.loading = false;
      return;
    }
    const abort = new AbortController();
    this.#abort = abort;
    this.loading = true;
    get<T>(url, abort.signal).then(
      (value) => {
        if (abort.signal.aborted) return;
        remember(url, value);
        this.value = value;
        this.at = Date.now();
        this.error = null;
        this.loading = false;
      },
      (cause: unknown) => {
        if (abort.signal.aborted) return;
        this.error = cause instanceof ApiError ? cause : new ApiError(String(cause), "internal", null);
        this.loading = false;
      },
    );
  }
}
