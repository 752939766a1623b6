// Package bounty keeps what buyers promise for observations that nobody has yet: so
// much for a new street image of each cell of an area. What is promised is known to
// everybody; what comes is checked, bought from the buyer's lease and kept for him.
//
// A bounty is demand and no reward: it is paid by who wants the image, through the
// same till as every answer, so that who puts one up for himself pays the ledger's
// take for nothing. Whether an image is believed, and what it is of, is for its kind
// to say (sensing.Product); where it is stored, for the storage.
package bounty
