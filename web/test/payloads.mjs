// Texts that try to become markup, script or a link where a page is careless.
export const payloads = [
  "<script>globalThis.pwned=1</script>",
  "<img id=pwn src=x onerror=globalThis.pwned=1>",
  "\"><svg id=pwn onload=globalThis.pwned=1>",
  "javascript:globalThis.pwned=1//",
  "<a id=pwn href=javascript:globalThis.pwned=1>x</a>",
  "{{constructor.constructor('globalThis.pwned=1')()}}",
  "{@html '<b id=pwn>x</b>'}",
  "<iframe id=pwn srcdoc='<script>parent.pwned=1</script>'>",
  "<math><mtext></p><style id=pwn>*{display:none}</style>",
  "//evil.example/x",
  "data:text/html,<script>globalThis.pwned=1</script>",
  "\u202egnp.exe <b id=pwn>",
];

const given = new Set(["metadata", "endpoint", "log", "reason", "what", "why", "text", "summary", "title", "method", "note", "url", "focus", "differentiator", "error", "message", "formula", "about", "gets", "needs", "capability", "kind", "vertical", "try"]);
const lists = new Set(["capabilities", "reasons", "notes", "assumed", "best_for", "aliases", "points"]);
let next = 0;
const payload = () => payloads[next++ % payloads.length];

// poison replaces each text that somebody else gives, and leaves ids and amounts.
export function poison(value, key = "") {
  if (Array.isArray(value)) return lists.has(key) ? value.map(payload) : value.map((v) => poison(v));
  if (value === null || typeof value !== "object") return value;
  const out = {};
  for (const [k, v] of Object.entries(value)) {
    if (typeof v === "string" && given.has(k)) out[k] = payload();
    else if (k === "name" && typeof v === "string" && ("operator" in value || "link" in value || "terms" in value || "of" in value)) out[k] = payload();
    else if (k === "attributes") out[k] = Object.fromEntries(Object.keys(v).map((a) => [a, payload()]));
    else out[k] = poison(v, k);
  }
  return out;
}
