import { outage } from "./outage.svelte.ts";

export class ApiError extends Error {
  constructor(
    message: string,
    readonly code: string,
    readonly suggestion: string | null,
  ) {
    super(message);
  }
}

async function answer<T>(response: Response): Promise<T> {
  const body = await response.text();
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new ApiError(`The explorer answered ${response.status} with something that is not JSON.`, "internal", null);
  }
  if (response.ok) return value as T;
  const e = (value ?? {}) as { error?: string; code?: string; suggestion?: string | null };
  throw new ApiError(e.error ?? `The explorer answered ${response.status}.`, e.code ?? "internal", e.suggestion ?? null);
}

async function ask<T>(url: string, init: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    outage.failed();
    throw new ApiError("The explorer does not answer. It may have been stopped, or the connection is gone.", "unreachable", null);
  }
  outage.answered();
  return answer<T>(response);
}

export function get<T>(url: string, signal?: AbortSignal): Promise<T> {
  return ask<T>(url, { signal: signal ?? null, headers: { Accept: "application/json, application/geo+json" } });
}

export function post<T>(url: string, body: unknown, signal?: AbortSignal): Promise<T> {
  return ask<T>(url, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" }, signal: signal ?? null });
}

// address joins a path and those parameters that have a value.
export function address(path: string, params: Record<string, string | number | null | undefined>): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) if (value !== null && value !== undefined && value !== "") query.set(key, String(value));
  const text = query.toString();
  return text === "" ? path : `${path}?${text}`;
}
