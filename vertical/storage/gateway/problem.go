package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/grange-network/grange/vertical/storage/piece"
)

// Problem is something that a provider did wrong, repeated ones counted.
type Problem struct {
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Count int       `json:"count"`
	Topic string    `json:"topic"` // damaged, missing, full, refused, unreachable
	Error string    `json:"error"` // names device and lease
}

// faults are the problems with one provider: the newest of each topic.
type faults struct {
	mu   sync.Mutex
	list []Problem
}

func (f *faults) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, topic := time.Now(), topicOf(err)
	for i := range f.list {
		if p := &f.list[i]; p.Topic == topic {
			p.Last, p.Error = now, err.Error()
			p.Count++
			return
		}
	}
	f.list = append(f.list, Problem{First: now, Last: now, Count: 1, Topic: topic, Error: err.Error()})
}

// all returns the problems, each naming the provider.
func (f *faults) all(l Lease) []Problem {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := slices.Clone(f.list)
	for i := range out {
		out[i].Error = fmt.Sprintf("device %x, lease %x: %s", l.Provider.Device, l.ID, out[i].Error)
	}
	return out
}

func topicOf(err error) string {
	var refused *ProviderError
	switch {
	case errors.Is(err, piece.ErrInvalid):
		return "damaged"
	case isStatus(err, http.StatusNotFound):
		return "missing"
	case isStatus(err, http.StatusInsufficientStorage):
		return "full"
	case errors.As(err, &refused):
		return "refused"
	}
	return "unreachable"
}
