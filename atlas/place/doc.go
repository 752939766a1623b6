// Package place finds where a workload runs cheapest at a required
// availability, over hyperscalers, shared networks and our own: which offers
// are eligible, how many replicas reach the target, what the redundancy and
// each constraint cost, and the runner-up. It also places batch work with
// checkpoints and bursts beyond a quota.
//
// It is pure integer arithmetic and knows no prices: offers come from the
// caller, or from the atlas relative to what the caller pays now.
package place
