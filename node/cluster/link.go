package cluster

import (
	"context"
	"net"
	"sync"
	"time"
)

// gate is what one direction of a link does with bytes.
type gate struct {
	mu    sync.Mutex
	open  chan struct{} // closed while bytes may pass
	delay time.Duration
}

func newGate() *gate {
	g := &gate{open: make(chan struct{})}
	close(g.open)
	return g
}

func (g *gate) isCut() bool {
	select {
	case <-g.open:
		return false
	default:
		return true
	}
}

func (g *gate) set(cut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch was := g.isCut(); {
	case cut && !was:
		g.open = make(chan struct{})
	case !cut && was:
		close(g.open)
	}
}

func (g *gate) setDelay(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.delay = d
}

func (g *gate) look() (open <-chan struct{}, delay time.Duration, cut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open, g.delay, g.isCut()
}

// pass waits until what was sent at the given time arrives. It returns ctx's
// error if that ends first.
func (g *gate) pass(ctx context.Context, sent time.Time) error {
	_, delay, _ := g.look()
	if wait := time.Until(sent.Add(delay)); wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	open, _, _ := g.look()
	select {
	case <-open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A link's queue holds this many chunks of at most this many bytes in flight.
const (
	queueChunks = 64
	chunkBytes  = 16 << 10
)

// link carries the connections that one validator opens to another.
type link struct {
	listener net.Listener
	to       string
	out, in  *gate // towards the listener's owner, and back
	wg       sync.WaitGroup
}

// serve accepts until the listener is closed and ends when every connection has;
// ctx ends them all.
func (l *link) serve(ctx context.Context) {
	defer l.wg.Wait()
	for {
		c, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.wg.Go(func() { l.carry(ctx, c) })
	}
}

// carry is one connection. As in a network whose wires are cut, neither end
// learns of a cut: bytes, the end of a connection and refusals wait until the
// link heals, and either end may give up before that.
func (l *link) carry(ctx context.Context, from net.Conn) {
	defer from.Close()
	if l.out.pass(ctx, time.Now()) != nil {
		return
	}
	to, err := new(net.Dialer).DialContext(ctx, "tcp", l.to)
	if err != nil {
		_ = l.in.pass(ctx, time.Now())
		return
	}
	defer to.Close()
	defer context.AfterFunc(ctx, func() { from.Close(); to.Close() })()
	var wg sync.WaitGroup
	wg.Go(func() { pump(ctx, l.out, to, from) })
	wg.Go(func() { pump(ctx, l.in, from, to) })
	wg.Wait()
}

type chunk struct {
	data []byte
	sent time.Time
}

// pump moves bytes one way until the source ends, and then ends the
// destination.
func pump(ctx context.Context, g *gate, dst, src net.Conn) {
	queue := make(chan chunk, queueChunks)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer dst.Close()
		gone := false
		for c := range queue {
			if gone || g.pass(ctx, c.sent) != nil {
				continue
			}
			// The destination's own end reaches the source through the pump of the
			// other direction.
			_, err := dst.Write(c.data)
			gone = err != nil
		}
		_ = g.pass(ctx, time.Now())
	}()
	for {
		b := make([]byte, chunkBytes)
		n, err := src.Read(b)
		if n > 0 {
			queue <- chunk{b[:n], time.Now()}
		}
		if err != nil {
			break
		}
	}
	close(queue)
	<-done
}
