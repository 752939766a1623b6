// Package sensing is the vertical of devices that observe: weather stations,
// GNSS bases, air, noise and radio sensors, cameras.
//
// This package holds what all kinds share: Batch, the readings that a device
// signed together. Below it, cose and senml are the formats of a batch, ingest
// takes batches in, weather, rtcm and ntrip are kinds.
package sensing
