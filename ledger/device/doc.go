// Package device is the ledger's registry of devices: a thin keeper around
// core/device, which holds the rules about keys, signatures, cells and splits.
//
// A device is registered by its owner's transaction carrying the device's own
// signature, so that neither can bind the other alone. What it earns is divided
// by its payout splits; a lien among them outlives every change by the owner and
// a change of owner.
//
// The module pays nothing by itself: other modules ask Split how to divide what
// they hold, or let Payout send it. It knows neither offers nor scores.
package device
