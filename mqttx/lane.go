package mqttx

import (
	"sync"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
)

// lane is the way back to one client. Acknowledgements that come while others are
// being written go out together, and a client that does not read its own holds up
// nobody else.
type lane struct {
	client   *mqtt.Client
	identity string
	slots    chan struct{} // one for each publish with QoS 1 under way
	ended    bool          // by its worker, which alone looks at it

	mu      sync.Mutex
	out     []byte
	answers int // in out, and those of a connection that ends
	writing bool
	spare   []byte
}

// add puts an acknowledgement behind the others; nil ends one without. It reports
// whether write must be called.
func (l *lane) add(ack []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out = append(l.out, ack...)
	l.answers++
	if l.writing {
		return false
	}
	l.writing = true
	return true
}

// write sends what waits until nothing does.
func (l *lane) write(server *mqtt.Server) {
	for {
		l.mu.Lock()
		if l.answers == 0 {
			l.writing = false
			l.mu.Unlock()
			return
		}
		out, n := l.out, l.answers
		l.out, l.spare, l.answers = l.spare[:0], nil, 0
		l.mu.Unlock()
		if err := send(l.client, out); err != nil {
			l.client.Stop(err)
		}
		l.mu.Lock()
		l.spare = out
		l.mu.Unlock()
		atomic.AddInt64(&server.Info.BytesSent, int64(len(out)))
		atomic.AddInt64(&server.Info.PacketsSent, int64(n))
		for range n {
			<-l.slots
		}
	}
}

// send writes packets to a client, as the broker does.
func send(cl *mqtt.Client, raw []byte) error {
	cl.Lock()
	defer cl.Unlock()
	_, err := cl.Net.Conn.Write(raw)
	return err
}
