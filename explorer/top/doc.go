// Package top is a dashboard for providers in the terminal: what their devices
// earn, lease, hold and prove, and what went wrong last. It reads the explorer's
// API and nothing else, and changes nothing.
package top
