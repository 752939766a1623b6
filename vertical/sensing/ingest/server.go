package ingest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/wal"
)

// Errors of Accept; those of package sensing too.
var (
	ErrUnknown = errors.New("device is not registered")
	ErrTime    = errors.New("reading is not of the time that is accepted")
	ErrReplay  = errors.New("batch is older than the device's newest")
	ErrFork    = errors.New("batch contradicts an earlier one: the device's key has been copied or its state lost")
	ErrRate    = errors.New("device sends too often")
	ErrNoKind  = errors.New("no kind of observation knows any of its readings")
)

// Registry knows the keys of devices. Key returns ErrUnknown for one that is not
// registered.
type Registry interface {
	Key(ctx context.Context, id device.ID) (device.PublicKey, error)
}

// Config is what a server needs. Zero limits take the defaults.
type Config struct {
	Dir      string // of the log
	ChainID  string
	Registry Registry
	Kinds    []sensing.Kind // of which a batch must be; none: any in SenML

	Late  time.Duration // how old a reading may be; sensing.Late
	Early time.Duration // how far ahead of the clock; sensing.Early
	Rate  rate.Limit    // batches of 8 KiB a second of one device; 1
	Burst int           // batches at once of one device, as after an outage; 4,320: one a minute for 72 h
	Now   func() time.Time

	FileBytes int64 // size at which a new file of the log is begun, which goes as a whole; 64 MiB
}

func (c Config) withDefaults() Config {
	if c.Late == 0 {
		c.Late = sensing.Late
	}
	if c.Early == 0 {
		c.Early = sensing.Early
	}
	if c.Rate == 0 {
		c.Rate = 1
	}
	if c.Burst == 0 {
		c.Burst = int(c.Late / time.Minute)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Receipt says that a batch is durable.
type Receipt struct {
	Device    device.ID
	Counter   uint64
	Hash      sensing.Hash
	Seq       uint64 // in the log
	Duplicate bool   // it was there before
}

// Server takes batches in. It is safe for concurrent use.
type Server struct {
	cfg       Config
	log       *wal.Log
	formats   []sensing.Format
	variables map[string]bool // that a kind knows

	mu      sync.Mutex
	devices map[device.ID]*chain
	counts  Counts
	refused map[string]*Refused // by reason
}

// Counts are how often what happened since Open.
type Counts struct {
	Accepted, Duplicates                          uint64
	Malformed, Unknown, Signature, Time, Replayed uint64
	NoKind                                        uint64
	Forks, TooOften, Failed                       uint64
}

// Open opens the log in cfg.Dir and reads from it where each device stands.
func Open(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	l, err := wal.Open(cfg.Dir, wal.Options{MaxRecord: recordHead + sensing.MaxBatch, FileBytes: cfg.FileBytes})
	if err != nil {
		return nil, fmt.Errorf("open log of observations: %w", err)
	}
	s := &Server{cfg: cfg, log: l, formats: sensing.Formats(cfg.Kinds), variables: variablesOf(cfg.Kinds), devices: map[device.ID]*chain{}, refused: map[string]*Refused{}}
	next, err := s.recallAll()
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("read log of observations: %w", err)
	}
	for r, err := range l.Records(next) {
		if err == nil {
			err = s.recall(r)
		}
		if err != nil {
			_ = l.Close()
			return nil, fmt.Errorf("read log of observations: %w", err)
		}
	}
	return s, nil
}

// Close waits for batches under way and closes the log.
func (s *Server) Close() error { return s.log.Close() }

// Counts returns what happened since Open.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

func (s *Server) chain(id device.ID) *chain {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.devices[id]
	if c == nil {
		c = &chain{hash: map[uint64]*entry{}, bucket: rate.NewLimiter(s.cfg.Rate, s.cfg.Burst)}
		s.devices[id] = c
	}
	return c
}

// Accept takes a batch. When it returns without an error the batch survives a
// power cut.
func (s *Server) Accept(ctx context.Context, raw []byte) (Receipt, error) {
	r := s.AcceptAll(ctx, []Arrival{{Raw: raw}})[0]
	return r.Receipt, r.Err
}

// A record of the log: kind, device, counter, hash, the batch as sent.
const (
	kindBatch byte = 1
	kindFork  byte = 2

	recordHead = 1 + 32 + 8 + 32
)

func encode(kind byte, b *sensing.Batch) []byte {
	out := make([]byte, 0, recordHead+len(b.Raw))
	out = append(out, kind)
	out = append(out, b.Device[:]...)
	out = binary.BigEndian.AppendUint64(out, b.Counter)
	out = append(out, b.Hash[:]...)
	return append(out, b.Raw...)
}

// Entry is a record of the log. Its signature was checked before it was written.
type Entry struct {
	Seq     uint64
	Device  device.ID
	Counter uint64
	Hash    sensing.Hash
	Fork    bool // it contradicts another
	Raw     []byte
}

func decode(r wal.Record) (Entry, error) {
	if len(r.Data) < recordHead || r.Data[0] != kindBatch && r.Data[0] != kindFork {
		return Entry{}, fmt.Errorf("record %d is no batch", r.Seq)
	}
	e := Entry{Seq: r.Seq, Fork: r.Data[0] == kindFork, Counter: binary.BigEndian.Uint64(r.Data[33:41]), Raw: r.Data[recordHead:]}
	copy(e.Device[:], r.Data[1:33])
	copy(e.Hash[:], r.Data[41:73])
	return e, nil
}

func (s *Server) recall(r wal.Record) error {
	e, err := decode(r)
	if err != nil || e.Fork {
		return err
	}
	s.chain(e.Device).note(e.Counter, &entry{hash: e.Hash, seq: e.Seq})
	return nil
}

// Entries yields what is in the log from seq on, 0 for the oldest.
func (s *Server) Entries(seq uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for r, err := range s.log.Records(seq) {
			var e Entry
			if err == nil {
				e, err = decode(r)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}
