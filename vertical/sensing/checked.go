package sensing

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

// Checked remembers rows whose signatures were good, since epochs weigh mostly what
// the ones before them did. The zero value remembers nothing yet; nil never does. It
// holds twice mostChecked rows at most, the newest, in about 100 MB. Its methods are
// safe for concurrent use.
type Checked struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]struct{}
}

// mostChecked rows are those of a window of 500 stations that send one a minute.
const mostChecked = 1 << 20

// sum names a row of a network by everything that its signature depends on.
func (r Row) sum(chainID string) (sum [sha256.Size]byte) {
	h := sha256.New()
	b := make([]byte, 0, 128)
	b = binary.BigEndian.AppendUint32(b, r.KeyType)
	for _, part := range []string{chainID, string(r.Key)} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...)
	}
	h.Write(b)
	h.Write(r.Batch)
	h.Sum(sum[:0])
	return sum
}

// has reports whether a row was added.
func (c *Checked) has(sum [sha256.Size]byte) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, young := c.young[sum]; young {
		return true
	}
	_, old := c.old[sum]
	if old {
		c.keep(sum)
	}
	return old
}

// add remembers a row.
func (c *Checked) add(sum [sha256.Size]byte) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(sum)
}

// keep puts a row among the young; when these are too many they are the old.
func (c *Checked) keep(sum [sha256.Size]byte) {
	if c.young == nil || len(c.young) >= mostChecked {
		c.old, c.young = c.young, map[[sha256.Size]byte]struct{}{}
	}
	c.young[sum] = struct{}{}
}
