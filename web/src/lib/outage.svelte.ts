// Whether the explorer answers at all: said once for the whole page, not by each
// part of it. Everything that asks does so again when `again` changes.
class Outage {
  since = $state<number | null>(null);
  again = $state(0);

  failed(): void {
    this.since ??= Date.now();
  }

  answered(): void {
    this.since = null;
  }

  retry(): void {
    this.again++;
  }
}

export const outage = new Outage();
