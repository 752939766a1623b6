package mqttx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
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
	// Publish does with a message what must be done before it is acknowledged. A
	// message that is handled is also delivered to subscribers if deliver is true.
	// An error that wraps ErrRefused means that the same message can never be
	// accepted; after any other the client may try again.
	Publish(ctx context.Context, identity, topic string, payload []byte) (deliver bool, err error)
	// ErrorTopic is where a client reads why a message was refused; it is called
	// with what it published to.
	ErrorTopic(identity, topic string) string
}

// ErrRefused says that a message can never be accepted.
var ErrRefused = errors.New("message refused")

// Limits bound what clients may use.
type Limits struct {
	Clients    int64 // connected at a time; 0: 10,000
	PacketSize int   // bytes; 0: 64 KiB
}

// Broker serves MQTT clients.
type Broker struct {
	server *mqtt.Server
}

// New makes a broker that serves listener l until Close.
func New(ctx context.Context, l net.Listener, rules Rules, limits Limits, log *slog.Logger) (*Broker, error) {
	if limits.Clients == 0 {
		limits.Clients = 10_000
	}
	if limits.PacketSize == 0 {
		limits.PacketSize = 64 << 10
	}
	c := mqtt.NewDefaultServerCapabilities()
	c.MaximumClients = limits.Clients
	c.MaximumPacketSize = uint32(limits.PacketSize)
	c.MaximumSessionExpiryInterval = 24 * 3600
	c.MinimumProtocolVersion = 4 // 3.1.1
	c.TopicAliasMaximum = 16
	s := mqtt.New(&mqtt.Options{Capabilities: c, Logger: log, InlineClient: true})
	h := &hook{rules: rules, server: s, ctx: ctx, log: log}
	if err := s.AddHook(h, nil); err != nil {
		return nil, fmt.Errorf("set up MQTT broker: %w", err)
	}
	if err := s.AddListener(listeners.NewNet("mqtt", l)); err != nil {
		return nil, fmt.Errorf("set up MQTT broker: %w", err)
	}
	if err := s.Serve(); err != nil {
		return nil, fmt.Errorf("serve MQTT: %w", err)
	}
	return &Broker{s}, nil
}

// Publish delivers a message to subscribers; retain keeps it for later ones.
func (b *Broker) Publish(topic string, payload []byte, retain bool) error {
	return b.server.Publish(topic, payload, retain, 0)
}

// Clients returns how many are connected.
func (b *Broker) Clients() int64 { return b.server.Info.Clone().ClientsConnected }

// Close disconnects everybody and closes the listener.
func (b *Broker) Close() error { return b.server.Close() }

// hook applies the rules.
type hook struct {
	mqtt.HookBase
	rules  Rules
	server *mqtt.Server
	ctx    context.Context
	log    *slog.Logger
}

func (h *hook) ID() string { return "rules" }

func (h *hook) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnPublish:
		return true
	}
	return false
}

// OnConnectAuthenticate lets a client in. The identity is kept as its user name,
// and its sessions are its own: two identities may use the same client id. Last
// wills are not kept, since the broker would deliver them unchecked.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	identity, err := h.rules.Connect(string(pk.Connect.Username), pk.Connect.Password)
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
	identity := string(cl.Properties.Username)
	deliver, err := h.rules.Publish(h.ctx, identity, pk.TopicName, pk.Payload)
	switch {
	case err == nil && deliver:
		pk.FixedHeader.Retain = false // what is kept is the handler's choice
		return pk, nil
	case err == nil:
		return pk, packets.CodeSuccessIgnore
	}
	final := errors.Is(err, ErrRefused)
	if perr := h.server.Publish(h.rules.ErrorTopic(identity, pk.TopicName), []byte(err.Error()), false, 0); perr != nil {
		h.log.Debug("reason of a refused message is not delivered", "client", cl.ID, "err", perr)
	}
	switch {
	case cl.Properties.ProtocolVersion == 5 && final:
		return pk, packets.ErrPayloadFormatInvalid
	case cl.Properties.ProtocolVersion == 5:
		return pk, packets.ErrImplementationSpecificError
	case final:
		return pk, packets.CodeSuccessIgnore // a client of version 3.1.1 would send it for ever
	}
	cl.Stop(err) // it comes back and sends again
	return pk, packets.ErrRejectPacket
}
