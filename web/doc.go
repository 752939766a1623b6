// Package web is the explorer's web app, embedded: a Svelte program built by
// `make web` into dist, and the handler that serves it.
//
// It uses nothing but the API of package explorer, asks no other host for
// anything, and does not serve the API itself.
package web
