package statuspage

import (
	"encoding/json"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/grange-network/grange/node"
)

// collector turns a snapshot into metrics. Names end in their unit, as
// Prometheus wants them.
type collector struct{ src Source }

var (
	roleUp      = desc("role_ready", "1 when the role is ready, 0 otherwise.", "role", "kind")
	height      = desc("chain_height", "Height of the newest block.")
	epoch       = desc("chain_epoch", "Number of the running epoch.")
	devices     = desc("devices", "Devices registered on the ledger.")
	leaseStates = desc("leases", "Leases by state.", "state")
	leaseLeft   = desc("lease_escrow_left_ucredit", "Escrow left, summed over the leases of a device.", "device")
	leaseHeld   = desc("lease_held_bytes", "Bytes committed, summed over the leases of a device.", "device")
	leasePaid   = desc("lease_paid_ucredit", "Paid so far, summed over the leases of a device.", "device")
	bondSlashed = desc("offer_slashed_ugrain", "Bond lost by a device.", "device")
	problems    = desc("problems", "Problems shown on the status page.")
	outcome     = desc("device_proven", "1 when the last decided epoch of the device is proven, 0 when it is faulted.", "device")

	providerUsed     = desc("provider_used_bytes", "Bytes of pieces a provider stores.", "role")
	providerCapacity = desc("provider_capacity_bytes", "Bytes of pieces a provider offers to store.", "role")
	providerPieces   = desc("provider_pieces", "Pieces a provider stores.", "role")
	providerEpoch    = desc("provider_epoch", "Newest epoch by what the provider did in it (seen, proven, settled).", "role", "done")
	gatewaySegments  = desc("gateway_segments", "Segments by how many of their pieces are usable (full, thin, low, unreadable).", "role", "state")
	gatewayBytes     = desc("gateway_stored_bytes", "Bytes of segments a gateway stores for its clients.", "role")
	gatewayLeases    = desc("gateway_leases", "Leases a gateway pays for by state of their escrow (funded, exhausted).", "role", "escrow")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("grange_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{roleUp, height, epoch, devices, leaseStates, leaseLeft, leaseHeld, leasePaid, bondSlashed, problems, outcome,
		providerUsed, providerCapacity, providerPieces, providerEpoch, gatewaySegments, gatewayBytes, gatewayLeases} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s := c.src()
	for _, r := range s.Roles {
		up := 0.0
		if r.State == node.Ready {
			up = 1
		}
		gauge(roleUp, up, r.Name, r.Kind)
		collectRole(r, gauge)
	}
	gauge(height, float64(s.Chain.Height))
	gauge(epoch, float64(s.Chain.Epoch))
	gauge(devices, float64(len(s.Devices)))
	gauge(problems, float64(len(s.Problems)))
	for _, d := range s.Devices {
		gauge(bondSlashed, float64(d.Slashed), d.ID)
		switch d.Outcome {
		case "proven":
			gauge(outcome, 1, d.ID)
		case "faulted":
			gauge(outcome, 0, d.ID)
		}
	}
	states := map[string]int{}
	sums := map[string]*[3]uint64{}
	for _, l := range s.Leases {
		states[l.State]++
		sum := sums[l.Device]
		if sum == nil {
			sum = new([3]uint64)
			sums[l.Device] = sum
		}
		sum[0] += l.Left
		sum[1] += l.Held
		sum[2] += l.Paid
	}
	for st, n := range states {
		gauge(leaseStates, float64(n), st)
	}
	for dev, sum := range sums {
		gauge(leaseLeft, float64(sum[0]), dev)
		gauge(leaseHeld, float64(sum[1]), dev)
		gauge(leasePaid, float64(sum[2]), dev)
	}
}

// collectRole turns what a role says of itself into metrics. A role in another
// process says it in JSON, so all are read that way.
func collectRole(r node.Info, gauge func(*prometheus.Desc, float64, ...string)) {
	raw, err := json.Marshal(r.Status)
	if err != nil || r.Status == nil {
		return
	}
	var s struct {
		Capacity, Used, Pieces, Epoch, Proven, Settled                  float64
		Bytes, Full, Thin, Low, Unreadable, Leases, Exhausted, Segments float64
	}
	if json.Unmarshal(raw, &s) != nil {
		return
	}
	switch r.Kind {
	case "provider":
		gauge(providerUsed, s.Used, r.Name)
		gauge(providerCapacity, s.Capacity, r.Name)
		gauge(providerPieces, s.Pieces, r.Name)
		gauge(providerEpoch, s.Epoch, r.Name, "seen")
		gauge(providerEpoch, s.Proven, r.Name, "proven")
		gauge(providerEpoch, s.Settled, r.Name, "settled")
	case "gateway":
		gauge(gatewaySegments, s.Full, r.Name, "full")
		gauge(gatewaySegments, s.Thin, r.Name, "thin")
		gauge(gatewaySegments, s.Low, r.Name, "low")
		gauge(gatewaySegments, s.Unreadable, r.Name, "unreadable")
		gauge(gatewayBytes, s.Bytes, r.Name)
		gauge(gatewayLeases, s.Leases-s.Exhausted, r.Name, "funded")
		gauge(gatewayLeases, s.Exhausted, r.Name, "exhausted")
	}
}
