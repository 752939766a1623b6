package s3

import "sync"

// pins counts the readers of segments, so that a discarded segment is deleted
// only after those who found it in the catalog have finished.
type pins struct {
	gate  sync.RWMutex // held shared from a catalog lookup until its pins are set
	mu    sync.Mutex
	count map[SegmentID]int
}

func (p *pins) add(id SegmentID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count == nil {
		p.count = map[SegmentID]int{}
	}
	p.count[id]++
}

func (p *pins) remove(id SegmentID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count[id]--; p.count[id] <= 0 {
		delete(p.count, id)
	}
}

// wait returns when the lookups now under way have set their pins.
func (p *pins) wait() {
	p.gate.Lock()
	defer p.gate.Unlock()
}

// free returns those of the ids that nobody reads. The catalog must already
// have given them up, so that nobody can find them any more.
func (p *pins) free(ids []SegmentID) []SegmentID {
	p.wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []SegmentID
	for _, id := range ids {
		if p.count[id] == 0 {
			out = append(out, id)
		}
	}
	return out
}
