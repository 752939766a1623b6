// Package noise is the kind of sound levels that phones measure where people walk:
// A-weighted levels with a time and a place. It refuses what no walker measures,
// pays by hexagon and hour, and makes the map: energy means after each device's
// calibration offset, told where three devices measured.
//
// Levels come as SenML records "laeq" in dB, beside "latitude", "longitude" and, if
// known, "accuracy" and "speed" of the same time. A device that sends no places
// stands where the ledger says.
package noise
