package sensing

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"sync"

	"github.com/grange-network/grange/vertical/sensing/query"
	"github.com/grange-network/grange/wal"
)

// book is what every lease owes every device, in rows since it began. What it
// added is on disk.
type book struct {
	log     *wal.Log
	selling sync.RWMutex // a sale holds it for reading, sumUp for writing

	mu   sync.Mutex
	owed map[[32]byte]query.Rows
	adds int // records since the last summary
}

// A record: what it is, a lease, and pairs of device and rows, big endian.
const (
	addRows byte = 1 // to what is owed
	setRows byte = 2 // all that the lease owes

	bookHead = 1 + 32
	bookPair = 32 + 8
	bookMost = 8 << 20 // bytes of a record: 200,000 devices
	bookAdds = 50_000  // records until a summary
)

func openBook(dir string) (*book, error) {
	l, err := wal.Open(dir, wal.Options{MaxRecord: bookMost})
	if err != nil {
		return nil, fmt.Errorf("open book of sales: %w", err)
	}
	b := &book{log: l, owed: map[[32]byte]query.Rows{}}
	for r, err := range l.Records(0) {
		if err == nil {
			err = b.recall(r.Data)
		}
		if err != nil {
			_ = l.Close()
			return nil, fmt.Errorf("read book of sales, record %d: %w", r.Seq, err)
		}
	}
	return b, nil
}

func (b *book) recall(data []byte) error {
	if len(data) < bookHead || (len(data)-bookHead)%bookPair != 0 || data[0] != addRows && data[0] != setRows {
		return fmt.Errorf("%d bytes are no sale", len(data))
	}
	of := [32]byte(data[1:bookHead])
	if data[0] == setRows || b.owed[of] == nil {
		b.owed[of] = query.Rows{}
	}
	for p := data[bookHead:]; len(p) > 0; p = p[bookPair:] {
		b.owed[of][[32]byte(p[:32])] += binary.BigEndian.Uint64(p[32:])
	}
	b.adds++
	return nil
}

func encodeRows(kind byte, lease [32]byte, rows query.Rows) []byte {
	out := append(make([]byte, 0, bookHead+len(rows)*bookPair), kind)
	out = append(out, lease[:]...)
	for d, n := range rows { // the order does not matter
		out = binary.BigEndian.AppendUint64(append(out, d[:]...), n)
	}
	return out
}

// add enters a sale durably. A buyer who goes away meanwhile ends nothing: what is
// on disk and what is in memory would differ.
func (b *book) add(ctx context.Context, lease [32]byte, rows query.Rows) error {
	b.selling.RLock()
	defer b.selling.RUnlock()
	if _, err := b.log.Append(context.WithoutCancel(ctx), encodeRows(addRows, lease, rows)); err != nil {
		return fmt.Errorf("enter sale: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.owed[lease] == nil {
		b.owed[lease] = query.Rows{}
	}
	for d, n := range rows {
		b.owed[lease][d] += n
	}
	b.adds++
	return nil
}

// of is what a lease owes.
func (b *book) of(lease [32]byte) query.Rows {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.owed[lease])
}

// sumUp replaces a long log by what it comes to, while no sale is made.
func (b *book) sumUp(ctx context.Context) error {
	b.selling.Lock()
	defer b.selling.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.adds < bookAdds {
		return nil
	}
	first := b.log.Next()
	for lease, rows := range b.owed {
		if _, err := b.log.Append(ctx, encodeRows(setRows, lease, rows)); err != nil {
			return fmt.Errorf("sum up book of sales: %w", err)
		}
	}
	b.adds = 0
	return b.log.TruncateBefore(first)
}
