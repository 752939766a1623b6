// The address is the state: which page, and the filters of its tables.

class Location {
  path = $state(window.location.pathname);
  query = $state(new URLSearchParams(window.location.search));
}

export const place = new Location();

function read(): void {
  place.path = window.location.pathname;
  place.query = new URLSearchParams(window.location.search);
}

export function go(to: string, replace = false): void {
  const before = place.path;
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  read();
  if (place.path !== before) {
    window.scrollTo(0, 0);
    document.getElementById("main")?.focus({ preventScroll: true });
  }
}

// setQuery changes parameters of this page's address; an empty value removes one.
export function setQuery(changes: Record<string, string | null>, replace = false): void {
  go(place.path + suffix(withChanges(place.query, changes)), replace);
}

export function withChanges(query: URLSearchParams, changes: Record<string, string | null>): URLSearchParams {
  const next = new URLSearchParams(query);
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === "") next.delete(key);
    else next.set(key, value);
  }
  return next;
}

export function suffix(query: URLSearchParams): string {
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

// follow makes links within the app change the page without loading it anew.
export function follow(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element | null)?.closest?.("a");
  if (!link || link.target || link.hasAttribute("download") || link.origin !== window.location.origin) return;
  if (link.pathname.startsWith("/v1/") || link.pathname === "/openapi.yaml" || link.hash !== "") return;
  event.preventDefault();
  go(link.pathname + link.search);
}

window.addEventListener("popstate", read);
