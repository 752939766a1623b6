// Package sensing is the vertical of devices that observe: weather stations,
// GNSS bases, air, noise and radio sensors, cameras.
//
// This package holds what all kinds share: Batch, what a device signed together;
// Row, a batch as evidence; Vertical, which scores an epoch by asking each Kind what
// stations are worth; Product, what a kind tells of many devices together.
//
// Below it weather, air, noise, radio, events, images and gnss are the kinds, and
// package kinds lists them; copies, spots, track and sun are what several of them
// judge by; cose and senml are the formats of a batch. ingest takes batches in,
// publish hands them to verifiers, store, facts, query, sta and bounty keep and sell
// them, sidecar signs for hardware that cannot, ntrip and rtcm carry the streams of
// bases. Nothing here knows a ledger; package node/sensing does.
package sensing
