// Package emission says how many ugrain an epoch may mint: a schedule that
// halves, in the shape of Filecoin's (a simple part that only time releases and
// a baseline part that settled revenue releases), and a demand pool within it
// that follows what usage burned; and bootstrap grants, capped and with an end,
// for what is done before anybody pays. It does not mint, and does not know who earns.
//
// Everything is integer arithmetic and gives the same result on every machine.
package emission
