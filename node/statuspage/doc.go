// Package statuspage shows a node to a person and to machines: one page of
// plain HTML at /, the same as JSON at /status.json, and Prometheus metrics at
// /metrics. It shows what it is given and asks nobody itself.
package statuspage
