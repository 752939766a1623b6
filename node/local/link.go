package local

import (
	"context"
	"sync"
	"time"

	"github.com/grange-network/grange/ledger/client"
)

// dialWithin bounds how long a role waits for the ledger to answer.
const dialWithin = 30 * time.Second

// link is the connection to the ledger that all roles of a process share. It
// outlives restarts of the validator.
type link struct {
	mu     sync.Mutex
	client *client.Client
}

func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client != nil {
		l.client.Close()
		l.client = nil
	}
}

// ledger returns the shared connection to the network's own ledger.
func (e *env) ledger(ctx context.Context) (*client.Client, error) {
	e.link.mu.Lock()
	defer e.link.mu.Unlock()
	if e.link.client != nil {
		return e.link.client, nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	c, err := client.Dial(ctx, client.Endpoints{
		GRPC: e.plan.addr(e.plan.Ports.GRPC), RPC: e.plan.addr(e.plan.Ports.RPC), Logger: e.log,
	})
	if err == nil {
		e.link.client = c
	}
	return c, err
}
