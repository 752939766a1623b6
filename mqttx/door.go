package mqttx

import (
	"log/slog"
	"net"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// door takes connections in. It is the broker's listener in place of that of its
// library, which waits for itself for ever when a client leaves while it closes,
// and for connections that never say anything.
type door struct {
	listener net.Listener
	server   *mqtt.Server
	log      *slog.Logger

	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
	inside sync.WaitGroup // connections that are served
}

var _ listeners.Listener = (*door)(nil)

// farewell is how long clients may take to read that the broker closes.
const farewell = time.Second

func (*door) ID() string                    { return "mqtt" }
func (d *door) Address() string             { return d.listener.Addr().String() }
func (d *door) Protocol() string            { return d.listener.Addr().Network() }
func (d *door) Init(log *slog.Logger) error { d.log = log; return nil }

// Serve takes connections in until the listener is closed.
func (d *door) Serve(establish listeners.EstablishFn) {
	for {
		conn, err := d.listener.Accept()
		if err != nil {
			return
		}
		if !d.enter(conn) {
			_ = conn.Close()
			return
		}
		go func() {
			defer d.leave(conn)
			if err := establish(d.ID(), conn); err != nil {
				d.log.Debug("MQTT connection has ended", "from", conn.RemoteAddr(), "err", err)
			}
		}()
	}
}

func (d *door) enter(conn net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.open[conn] = true
	d.inside.Add(1)
	return true
}

func (d *door) leave(conn net.Conn) {
	defer d.inside.Done()
	_ = conn.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, conn)
}

// Close tells clients that the broker closes, and ends all connections. It returns
// when none is served any more.
func (d *door) Close(listeners.CloseFn) {
	_ = d.listener.Close()
	d.mu.Lock()
	d.closed = true
	for conn := range d.open {
		_ = conn.SetWriteDeadline(time.Now().Add(farewell))
	}
	d.mu.Unlock()
	for _, cl := range d.server.Clients.GetAll() {
		if !cl.Net.Inline && !cl.Closed() {
			_ = d.server.DisconnectClient(cl, packets.ErrServerShuttingDown) // it may be gone
		}
	}
	d.mu.Lock()
	for conn := range d.open {
		_ = conn.Close()
	}
	d.mu.Unlock()
	d.inside.Wait()
}
