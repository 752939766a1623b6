import { get } from "./api.ts";
import { outage } from "./outage.svelte.ts";
import type { Status } from "./types.ts";

const least = 2500; // ms between two refreshes of what is shown

// Live follows the ledger by server-sent events. Pages read `tick` to be
// refreshed; the reader can pause it.
class Live {
  height = $state<number | null>(null);
  time = $state<string | null>(null);
  epoch = $state<number | null>(null);
  tick = $state(0);
  state = $state<"connecting" | "live" | "broken" | "paused">("connecting");
  status = $state.raw<Status | null>(null);
  #source: EventSource | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #last = 0;

  start(): void {
    void this.#ask();
    this.#open();
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#close(); // browsers allow few streams per host
      else if (this.state !== "paused") {
        this.#open();
        this.#changed();
      }
    });
  }

  toggle(): void {
    if (this.state === "paused") {
      this.#open();
      this.#changed();
    } else {
      this.#close();
      this.state = "paused";
    }
  }

  #open(): void {
    this.#close();
    this.state = "connecting";
    const source = new EventSource("/v1/events?type=block");
    this.#source = source;
    source.addEventListener("open", () => {
      this.state = "live";
      if (outage.since !== null) outage.retry();
    });
    source.addEventListener("error", () => (this.state = "broken"));
    source.addEventListener("block", (event) => {
      this.state = "live";
      const block = JSON.parse((event as MessageEvent<string>).data) as { height: number; time: string; epoch: number | null };
      this.height = block.height;
      this.time = block.time;
      this.epoch = block.epoch ?? this.epoch;
      this.#changed();
    });
  }

  #close(): void {
    this.#source?.close();
    this.#source = null;
  }

  #changed(): void {
    if (this.#timer !== null) return;
    const wait = Math.max(0, this.#last + least - Date.now());
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#last = Date.now();
      this.tick++;
      void this.#ask();
    }, wait);
  }

  async #ask(): Promise<void> {
    try {
      this.status = await get<Status>("/v1/status");
      this.height ??= this.status.height;
      this.time ??= this.status.block_time;
      this.epoch ??= this.status.epoch?.number ?? null;
    } catch {
      // the pages say what fails; the last status stays
    }
  }
}

export const live = new Live();
