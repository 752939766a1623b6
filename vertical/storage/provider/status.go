package provider

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// maxProblems is how many problems are remembered.
const maxProblems = 32

// Problem is something that went wrong and may need the operator.
type Problem struct {
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Count int       `json:"count"`
	Topic string    `json:"topic"` // prove, settle, sweep, piece, lease, ledger
	Error string    `json:"error"`
}

// problems is the last few problems, repeated ones counted.
type problems struct {
	now  func() time.Time
	mu   sync.Mutex
	list []Problem
}

func (p *problems) add(topic string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, text := p.now(), err.Error()
	for i := range p.list {
		if p.list[i].Topic == topic && p.list[i].Error == text {
			again := p.list[i]
			again.Last, again.Count = now, again.Count+1
			p.list = append(slices.Delete(p.list, i, i+1), again)
			return
		}
	}
	p.list = append(p.list, Problem{now, now, 1, topic, text})
	if len(p.list) > maxProblems {
		p.list = slices.Delete(p.list, 0, 1)
	}
}

func (p *problems) all() []Problem {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.list)
}

func (p *Provider) problem(topic string, err error) {
	p.conf.Log.Warn("provider problem", "topic", topic, "err", err)
	p.problems.add(topic, err)
}

// Status is how a provider stands.
type Status struct {
	Device   string `json:"device"`
	Capacity int64  `json:"capacity"` // bytes of pieces
	Used     int64  `json:"used"`
	Pieces   int    `json:"pieces"`
	Leases   int    `json:"leases"` // of which anything is stored
	Epoch    uint64 `json:"epoch"`  // last seen
	// Proven is the newest epoch whose proof the ledger took, Settled the newest in
	// which everything signed was posted.
	Proven   uint64    `json:"proven"`
	Settled  uint64    `json:"settled"`
	Problems []Problem `json:"problems,omitempty"` // oldest first
}

// Status returns how the provider stands.
func (p *Provider) Status() Status {
	u := p.store.Usage()
	return Status{
		Device: hexOf(p.conf.Device), Capacity: u.Capacity, Used: u.Used, Pieces: u.Pieces,
		Leases: len(p.store.Leases()), Epoch: p.epoch.Load(),
		Proven: p.proven.Load(), Settled: p.settled.Load(), Problems: p.problems.all(),
	}
}

// getStatus answers anybody; problems are the operator's business.
func (p *Provider) getStatus(w http.ResponseWriter, _ *http.Request) error {
	s := p.Status()
	s.Problems = nil
	writeJSON(w, http.StatusOK, s)
	return nil
}
