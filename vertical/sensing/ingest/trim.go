package ingest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/vertical/sensing"
)

// Trim lets whole files of the log go whose records are all before seq, which
// nobody needs any more. Where each device stands is written down first, so that
// batches that are gone are still known, and Open need not read what is left.
func (s *Server) Trim(seq uint64) error {
	if seq <= s.log.First() {
		return nil
	}
	if err := s.checkpoint(); err != nil {
		return fmt.Errorf("trim log of observations: %w", err)
	}
	return s.log.TruncateBefore(seq)
}

// Kept is the oldest record of the log that is kept, and one more than the newest.
func (s *Server) Kept() (first, next uint64) { return s.log.First(), s.log.Next() }

// A checkpoint says where devices stood when records up to a number were durable:
// magic, that number, how many devices; of each its id, its newest counter, how
// many batches, of each counter, number in the log and hash; at the end the SHA-256
// of all of it. Numbers are of 64 bits, big endian.
const (
	checkpointFile  = "devices.checkpoint"
	checkpointMagic = "grange/observations/devices/1\n"
)

var errCheckpoint = errors.New("checkpoint of devices is damaged; remove it to read the whole log, if all of it is there")

func (s *Server) checkpoint() error {
	next := s.log.Next() // what comes meanwhile is read again: noting it twice is the same
	s.mu.Lock()
	devices := maps.Clone(s.devices)
	s.mu.Unlock()
	out := binary.BigEndian.AppendUint64([]byte(checkpointMagic), next)
	out = binary.BigEndian.AppendUint64(out, uint64(len(devices)))
	for _, id := range slices.SortedFunc(maps.Keys(devices), func(a, b device.ID) int { return bytes.Compare(a[:], b[:]) }) {
		devices[id].settle()
		out = devices[id].append(append(out, id[:]...))
	}
	sum := sha256.Sum256(out)
	return replace(filepath.Join(s.cfg.Dir, checkpointFile), append(out, sum[:]...))
}

// settle waits for the batches that are on their way to the disk: they may be before
// the number of a checkpoint, behind which Open reads on.
func (c *chain) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.hash {
		if e.pending != nil {
			e.is(e.pending.Wait(context.Background()))
		}
	}
}

// append writes the batches that are durable, in the order of their counters.
func (c *chain) append(out []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	newest, durable := uint64(0), make([]uint64, 0, len(c.hash))
	for counter, e := range c.hash {
		if e.pending == nil && !e.lost {
			newest, durable = max(newest, counter), append(durable, counter)
		}
	}
	slices.Sort(durable)
	out = binary.BigEndian.AppendUint64(out, newest)
	out = binary.BigEndian.AppendUint64(out, uint64(len(durable)))
	for _, counter := range durable {
		e := c.hash[counter]
		out = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(out, counter), e.seq)
		out = append(out, e.hash[:]...)
	}
	return out
}

// replace writes a file anew, or leaves the old one.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = cmp.Or(err, f.Sync()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err = cmp.Or(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// recallAll reads where devices stood, and returns from which record on the log
// knows more; 0 for all of it.
func (s *Server) recallAll() (next uint64, err error) {
	raw, err := os.ReadFile(filepath.Join(s.cfg.Dir, checkpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	end := len(raw) - sha256.Size
	if end < len(checkpointMagic) || sha256.Sum256(raw[:end]) != [sha256.Size]byte(raw[end:]) || string(raw[:len(checkpointMagic)]) != checkpointMagic {
		return 0, errCheckpoint
	}
	r := fields{raw[len(checkpointMagic):end]}
	next = r.number()
	for range r.number() {
		c := s.chain(device.ID(r.take(len(device.ID{}))))
		newest := r.number()
		for range r.number() {
			counter, seq := r.number(), r.number()
			c.note(counter, &entry{hash: sensing.Hash(r.take(len(sensing.Hash{}))), seq: seq})
		}
		c.newest = max(c.newest, newest)
	}
	return next, nil
}

// fields are what is left of a checkpoint whose sum is right.
type fields struct{ rest []byte }

func (f *fields) take(n int) []byte {
	out := f.rest[:n]
	f.rest = f.rest[n:]
	return out
}

func (f *fields) number() uint64 { return binary.BigEndian.Uint64(f.take(8)) }
