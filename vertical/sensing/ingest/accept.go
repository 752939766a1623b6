package ingest

import (
	"context"
	"errors"
	"fmt"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/vertical/sensing"
)

// Arrival is a batch that came in.
type Arrival struct {
	Raw  []byte
	From string // id of the device that signed in to send it; empty: anybody may send it
}

// Result is what became of an arrival.
type Result struct {
	Receipt Receipt
	Err     error
}

// AcceptAll takes batches, in their order for each device. Those whose result is
// no error survive a power cut; all of them share the wait for the disk.
func (s *Server) AcceptAll(ctx context.Context, arrivals []Arrival) []Result {
	out := make([]Result, len(arrivals))
	under := make([]begun, len(arrivals))
	var often map[device.ID]error
	for i, b := range s.openAll(ctx, arrivals, out) {
		if b == nil {
			continue
		}
		// Were a later one accepted, this one could not come again.
		if out[i].Err = often[b.Device]; out[i].Err == nil {
			out[i].Err = s.check(b)
		}
		if out[i].Err == nil {
			under[i], out[i].Err = s.chain(b.Device).begin(ctx, s, b)
		}
		if errors.Is(out[i].Err, ErrRate) {
			if often == nil {
				often = map[device.ID]error{}
			}
			often[b.Device] = ErrRate
		}
		if out[i].Err != nil {
			out[i].Err = fmt.Errorf("device %s, batch %d: %w", b.Device, b.Counter, out[i].Err)
		}
	}
	for i := range out {
		if r := &out[i]; r.Err == nil {
			if r.Receipt, r.Err = under[i].finish(ctx); r.Err != nil {
				r.Err = fmt.Errorf("device %s, batch %d: %w", under[i].receipt.Device, under[i].receipt.Counter, r.Err)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range out {
		s.note(out[i].Receipt, out[i].Err)
	}
	return out
}

// openAll checks who signed the arrivals. Those that are not opened have an error
// in out.
func (s *Server) openAll(ctx context.Context, arrivals []Arrival, out []Result) []*sensing.Batch {
	envelopes, keys, at := make([]*sensing.Envelope, 0, len(arrivals)), make([]device.PublicKey, 0, len(arrivals)), make([]int, 0, len(arrivals))
	for i, a := range arrivals {
		e, key, err := s.sender(ctx, a)
		if err != nil {
			out[i].Err = err
			continue
		}
		envelopes, keys, at = append(envelopes, e), append(keys, key), append(at, i)
	}
	batches := make([]*sensing.Batch, len(arrivals))
	opened, errs := sensing.OpenAll(envelopes, keys, s.cfg.ChainID)
	for n, i := range at {
		batches[i] = opened[n]
		if errs[n] != nil {
			out[i].Err = fmt.Errorf("device %s: %w", envelopes[n].Device, errs[n])
		}
	}
	return batches
}

// sender finds the key of the device that an arrival says it is of.
func (s *Server) sender(ctx context.Context, a Arrival) (*sensing.Envelope, device.PublicKey, error) {
	e, err := sensing.Parse(a.Raw)
	if err != nil {
		return nil, device.PublicKey{}, err
	}
	if a.From != "" && a.From != e.Device.String() {
		return nil, device.PublicKey{}, fmt.Errorf("%w: batch of %s sent by %s", sensing.ErrMalformed, e.Device, a.From)
	}
	key, err := s.cfg.Registry.Key(ctx, e.Device)
	if err != nil {
		return nil, key, fmt.Errorf("device %s: %w", e.Device, err)
	}
	return e, key, nil
}
