package server

import (
	"sync"

	cmtdb "github.com/cometbft/cometbft-db"
)

// calmDB is a database that may be read after it is closed: it is empty then.
//
// CometBFT closes its databases when it stops without waiting for the goroutines
// that gossip with each peer, and panics when a read of a closed one fails. A
// node that stops inside a process that goes on must not end the process.
type calmDB struct {
	cmtdb.DB

	mu     sync.RWMutex // held for reading while the database is read
	closed bool
}

// Get returns nil after Close.
func (d *calmDB) Get(key []byte) ([]byte, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return nil, nil
	}
	return d.DB.Get(key)
}

// Has returns false after Close.
func (d *calmDB) Has(key []byte) (bool, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return false, nil
	}
	return d.DB.Has(key)
}

// Close closes the database once; later calls do nothing.
func (d *calmDB) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	return d.DB.Close()
}
