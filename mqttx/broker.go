package mqttx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Rules say what clients may do. All methods may be called from many goroutines.
type Rules interface {
	// Connect checks a client's name and password and returns what it is known as
	// from then on, or an error.
	Connect(name string, password []byte) (identity string, err error)
	// MayPublish and MaySubscribe decide on a topic and on a topic filter.
	MayPublish(identity, topic string) bool
	MaySubscribe(identity, filter string) bool
	// Publish does with messages what must be done before they are acknowledged,
	// and sets what became of each. Those of one identity are in the order in which
	// it sent them, and later ones are handed over when this call has returned;
	// calls for other identities go on meanwhile. Where order matters, what comes
	// behind a message that is to be sent again must fail too: of later calls the
	// broker sees to that, by ending the connection of a client of version 3.1.1.
	Publish(ctx context.Context, messages []Message)
	// ErrorTopic is where a client reads why a message was refused; it is called
	// with what it published to.
	ErrorTopic(identity, topic string) string
}

// Message is what a client published.
type Message struct {
	Identity, Topic string
	Payload         []byte // kept by nobody behind Publish unless Deliver

	// What Publish sets. A message without an error is acknowledged, and also
	// delivered to subscribers if Deliver is true. An error that wraps ErrRefused
	// means that the same message can never be accepted; after any other the client
	// may try again.
	Deliver bool
	Err     error
}

// ErrRefused says that a message can never be accepted.
var ErrRefused = errors.New("message refused")

// Limits bound what clients may use.
type Limits struct {
	Clients    int64         // connected at a time; 0: 10,000
	PacketSize int           // bytes; 0: 64 KiB
	SignIn     time.Duration // that a client has to say who it is; 0: 10 s
}

// readBuffer is how many bytes of a connection are read at a time: a few messages
// of a client that has many under way.
const readBuffer = 8 << 10

// Broker serves MQTT clients.
type Broker struct {
	server *mqtt.Server
	pipe   *pipe
	once   sync.Once
	err    error
}

// New makes a broker that serves listener l until Close.
func New(ctx context.Context, l net.Listener, rules Rules, limits Limits, log *slog.Logger) (*Broker, error) {
	if limits.Clients == 0 {
		limits.Clients = 10_000
	}
	if limits.PacketSize == 0 {
		limits.PacketSize = 64 << 10
	}
	if limits.SignIn == 0 {
		limits.SignIn = 10 * time.Second
	}
	c := mqtt.NewDefaultServerCapabilities()
	c.MaximumClients = limits.Clients
	c.MaximumPacketSize = uint32(limits.PacketSize)
	c.MaximumSessionExpiryInterval = 24 * 3600
	c.MinimumProtocolVersion = 4 // 3.1.1
	c.TopicAliasMaximum = 16
	c.ReceiveMaximum = window
	s := mqtt.New(&mqtt.Options{Capabilities: c, Logger: log, InlineClient: true, ClientNetReadBufferSize: readBuffer})
	d := &door{
		listener: l, server: s, most: int(limits.Clients) + strangers, patience: limits.SignIn,
		open: map[net.Conn]string{}, holds: map[string]int{}, sessions: map[string][]string{},
	}
	h := &hook{rules: rules, pipe: newPipe(ctx, s, rules, log), door: d, log: log}
	err := s.AddHook(h, nil)
	if err == nil {
		err = s.AddListener(d)
	}
	if err == nil {
		err = s.Serve()
	}
	if err != nil {
		h.pipe.close()
		return nil, fmt.Errorf("set up MQTT broker: %w", err)
	}
	return &Broker{server: s, pipe: h.pipe}, nil
}

// Publish delivers a message to subscribers; retain keeps it for later ones.
func (b *Broker) Publish(topic string, payload []byte, retain bool) error {
	return b.server.Publish(topic, payload, retain, 0)
}

// Heard reports whether anybody subscribes to a topic.
func (b *Broker) Heard(topic string) bool {
	s := b.server.Topics.Subscribers(topic)
	return len(s.Subscriptions)+len(s.Shared)+len(s.InlineSubscriptions) > 0
}

// Clients returns how many are connected.
func (b *Broker) Clients() int64 { return b.server.Info.Clone().ClientsConnected }

// Close disconnects everybody and closes the listener.
func (b *Broker) Close() error {
	b.once.Do(func() {
		b.err = b.server.Close()
		b.pipe.close() // after the last client
	})
	return b.err
}

// hook applies the rules.
type hook struct {
	mqtt.HookBase
	rules Rules
	pipe  *pipe
	door  *door
	log   *slog.Logger
}

func (h *hook) ID() string { return "rules" }

func (h *hook) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnPublish, mqtt.OnDisconnect:
		return true
	}
	return false
}

// OnConnectAuthenticate lets a client in. The identity is kept as its user name,
// and its sessions are its own: two identities may use the same client id. Last
// wills are not kept, since the broker would deliver them unchecked.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	identity, err := h.rules.Connect(string(pk.Connect.Username), pk.Connect.Password)
	if err == nil {
		err = h.door.admit(cl.Net.Conn, identity, identity+"/"+cl.ID)
	}
	if err != nil {
		h.log.Info("MQTT client refused", "client", cl.ID, "from", cl.Net.Remote, "err", err)
		return false
	}
	cl.Properties.Username = []byte(identity)
	cl.Properties.Will = mqtt.Will{}
	cl.ID = identity + "/" + cl.ID
	return true
}

func (h *hook) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	identity := string(cl.Properties.Username)
	if write {
		return h.rules.MayPublish(identity, topic)
	}
	return h.rules.MaySubscribe(identity, topic)
}

// OnPublish runs before a message is acknowledged.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	m := h.pipe.put(cl, pk)
	switch {
	case pk.FixedHeader.Qos == 1:
		// The pipe answers: to the broker it is one that wants no answer. An error
		// would say the same, and cost a copy of the packet for a log line.
		pk.FixedHeader.Qos, pk.FixedHeader.Retain, pk.Ignore = 0, false, true
		return pk, nil
	case m.Err == nil && m.Deliver:
		pk.FixedHeader.Retain = false // what is kept is the handler's choice
		return pk, nil
	case m.Err == nil:
		return pk, packets.CodeSuccessIgnore
	case pk.FixedHeader.Qos == 2:
		return h.answer(cl, pk, m.Err)
	}
	return pk, packets.ErrRejectPacket // nobody waits for an answer
}

// answer ends the exchange of a message with QoS 2 that is not stored.
func (h *hook) answer(cl *mqtt.Client, pk packets.Packet, why error) (packets.Packet, error) {
	if cl.Properties.ProtocolVersion < 5 && errors.Is(why, ErrRefused) {
		return pk, packets.CodeSuccessIgnore // the broker goes on as if it were
	}
	ack, err := acknowledge(cl, packets.Pubrec, pk.PacketID, why)
	if err == nil {
		err = send(cl, ack)
	}
	if err != nil {
		cl.Stop(err) // it comes back and sends again
	}
	return pk, packets.ErrRejectPacket
}

// OnDisconnect is called after a client's last message.
func (h *hook) OnDisconnect(cl *mqtt.Client, _ error, _ bool) { h.pipe.leave(cl) }
