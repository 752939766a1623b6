// Package storetest makes signed batches and a log of them in memory, for tests of
// what is built on package store. It keeps nothing.
package storetest

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/ingest"
	"github.com/grange-network/grange/vertical/sensing/senml"
	"github.com/grange-network/grange/wal"
)

// Chain is the id of the network that batches are signed for.
const Chain = "test"

// Station signs batches.
type Station struct {
	private ed25519.PrivateKey
	public  device.PublicKey
	counter uint64
	last    sensing.Hash
}

// NewStation is station number n; the same number has the same key.
func NewStation(t testing.TB, n int) *Station {
	t.Helper()
	seed := sha256.Sum256(fmt.Appendf(nil, "station %d", n))
	private := ed25519.NewKeyFromSeed(seed[:])
	public, err := device.NewPublicKey(device.Ed25519, private.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return &Station{private: private, public: public}
}

// PublicKey implements sensing.Signer.
func (s *Station) PublicKey() device.PublicKey { return s.public }

// Sign implements sensing.Signer.
func (s *Station) Sign(message []byte) ([]byte, error) { return ed25519.Sign(s.private, message), nil }

// ID is the station's device.
func (s *Station) ID() device.ID { return s.public.ID() }

// Batch signs the next batch.
func (s *Station) Batch(t testing.TB, records ...senml.Record) *sensing.Batch {
	t.Helper()
	s.counter++
	return s.signed(t)(sensing.Seal(s, Chain, s.counter, s.last, records))
}

// Payload signs the next batch, in a format of a kind's own.
func (s *Station) Payload(t testing.TB, content string, payload []byte) *sensing.Batch {
	t.Helper()
	s.counter++
	return s.signed(t)(sensing.SealPayload(s, Chain, s.counter, s.last, content, payload))
}

func (s *Station) signed(t testing.TB) func(*sensing.Batch, error) *sensing.Batch {
	return func(b *sensing.Batch, err error) *sensing.Batch {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		s.last = b.Hash
		return b
	}
}

// Log is a log of batches and the registry of their devices. It is safe for
// concurrent use.
type Log struct {
	mu      sync.Mutex
	entries []ingest.Entry
	keys    map[device.ID]device.PublicKey
	cells   map[device.ID]h3.Cell
	gone    uint64 // records that are no longer kept
}

// NewLog is an empty one.
func NewLog() *Log {
	return &Log{keys: map[device.ID]device.PublicKey{}, cells: map[device.ID]h3.Cell{}}
}

// Add appends a batch of a station in a cell.
func (l *Log) Add(s *Station, cell h3.Cell, b *sensing.Batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys[b.Device], l.cells[b.Device] = s.public, cell
	l.entries = append(l.entries, ingest.Entry{Seq: uint64(len(l.entries)), Device: b.Device, Counter: b.Counter, Hash: b.Hash, Raw: b.Raw})
}

// Len is how many entries there are.
func (l *Log) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// Trim lets all go that is there.
func (l *Log) Trim() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = uint64(len(l.entries))
}

// First is a source of the first n entries.
func (l *Log) First(n int) *Log {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &Log{entries: l.entries[:n], keys: l.keys, cells: l.cells}
}

// Entries implements store.Source.
func (l *Log) Entries(seq uint64) iter.Seq2[ingest.Entry, error] {
	l.mu.Lock()
	entries, gone := l.entries[min(seq, uint64(len(l.entries))):], l.gone
	l.mu.Unlock()
	return func(yield func(ingest.Entry, error) bool) {
		if seq != 0 && seq < gone {
			yield(ingest.Entry{}, wal.ErrGone)
			return
		}
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Key implements store.Registry.
func (l *Log) Key(_ context.Context, id device.ID) (device.PublicKey, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k, ok := l.keys[id]; ok {
		return k, nil
	}
	return device.PublicKey{}, ingest.ErrUnknown
}

// Cell implements store.Registry.
func (l *Log) Cell(_ context.Context, id device.ID) (h3.Cell, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cells[id], nil
}

// Rows are the batches as evidence.
func (l *Log) Rows() []sensing.Row {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]sensing.Row, len(l.entries))
	for i, e := range l.entries {
		out[i] = sensing.RowOf(l.keys[e.Device], e.Raw)
	}
	return out
}

// Reading is a record in degrees Celsius; the unit matters to no test.
func Reading(name string, at time.Time, value float64) senml.Record {
	return senml.Record{Name: name, Unit: "Cel", Time: at, Value: value}
}
