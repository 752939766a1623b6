package mqttx

import (
	"fmt"
	"log/slog"
	"net"
	"slices"
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
	most     int           // connections
	patience time.Duration // until a client has said who it is

	mu       sync.Mutex
	open     map[net.Conn]string // whose they are, empty until that is known
	holds    map[string]int      // how many connections an identity has
	sessions map[string][]string // of each identity, by client id, the oldest first
	closed   bool
	inside   sync.WaitGroup // connections that are served
}

var _ listeners.Listener = (*door)(nil)

// Of one identity: so many connections at a time, and so many sessions that are
// kept while nobody is connected to them.
const (
	mostConnected = 64
	mostKept      = 64
)

// strangers are how many connections more than clients there may be.
const strangers = 1000

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
		if closed, full := d.enter(conn); closed || full {
			_ = conn.Close()
			if closed {
				return
			}
			continue
		}
		// The broker sets another one when the client has signed in.
		_ = conn.SetDeadline(time.Now().Add(d.patience))
		go func() {
			defer d.leave(conn)
			if err := establish(d.ID(), conn); err != nil {
				d.log.Debug("MQTT connection has ended", "from", conn.RemoteAddr(), "err", err)
			}
		}()
	}
}

func (d *door) enter(conn net.Conn) (closed, full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || len(d.open) >= d.most {
		return d.closed, true
	}
	d.open[conn] = ""
	d.inside.Add(1)
	return false, false
}

// admit notes whose a connection is, and its session. An identity that has too many
// connections is refused, and of too many sessions the oldest are forgotten.
func (d *door) admit(conn net.Conn, identity, session string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.holds[identity]; n >= mostConnected {
		return fmt.Errorf("%s has %d connections already", identity, n)
	}
	if of, served := d.open[conn]; served && of == "" && identity != "" {
		d.open[conn] = identity
		d.holds[identity]++
	}
	all := slices.DeleteFunc(d.sessions[identity], func(id string) bool { return id == session })
	excess := len(all) + 1 - mostConnected - mostKept
	all = slices.DeleteFunc(all, func(id string) bool {
		cl, kept := d.server.Clients.Get(id)
		if excess <= 0 || kept && !cl.Closed() {
			return false
		}
		if kept {
			d.server.UnsubscribeClient(cl)
			d.server.Clients.Delete(id)
		}
		excess--
		return true
	})
	d.sessions[identity] = append(all, session)
	return nil
}

func (d *door) leave(conn net.Conn) {
	defer d.inside.Done()
	_ = conn.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	if of := d.open[conn]; d.holds[of] > 1 {
		d.holds[of]--
	} else {
		delete(d.holds, of)
	}
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
