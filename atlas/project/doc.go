// Package project runs scenarios of a network's economy, month by month and
// many times with seeded chance, and measures how sustainable a network is:
// emission against revenue, break-even, runway, dilution, concentration, trend.
//
// A scenario is a parameter file. Everything is integer arithmetic on a
// counter-based generator, so that the same file and seed give the same bytes
// on every machine. Results are what the parameters amount to, never forecasts,
// and no metric is advice to buy.
package project
