// Package facts keeps the batches of the kinds that have products, and makes a
// product's facts from them when somebody asks: maps of noise, counts of what cars
// saw, coverage in images, indices of air.
//
// Batches are in one bbolt file by kind, H3 cell of resolution 3 and day, as their
// devices signed them, with the owner that each device had. The log of ingest is
// the truth; the place in it that the file reaches is written with the batches, so
// that a file that was killed, or lost, goes on where it was. Facts are not kept:
// they are made again from the same batches, and remembered while there is room.
//
// The package sells nothing and decides nothing about a fact but the two rules of
// sensing.Product that keep single devices from being seen: enough owners, and no
// period before it is closed.
package facts
