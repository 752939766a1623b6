package sta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/grange-network/grange/mqttx"
	"github.com/grange-network/grange/vertical/sensing/query"
	"github.com/grange-network/grange/vertical/sensing/store"
)

// Reader is the name with which buyers sign in to MQTT; the password is their
// token.
const Reader = "data"

const (
	readerPrefix = "data:" // of identities; devices are in hex
	topicPrefix  = "v1.1/"
	backlog      = 8192 // observations that are not yet delivered
)

// Doors let buyers read observations over MQTT, and everybody else in by the rules
// of another. Each observation that is delivered to a buyer is a row of his lease;
// what the lease does not cover is not delivered.
type Doors struct {
	Others mqttx.Rules
	Till   query.Till
	Logger *slog.Logger

	mu  sync.Mutex
	now *delivery
}

// delivery is the observation that is being handed to subscribers.
type delivery struct {
	topic string
	rows  query.Rows
}

var _ mqttx.Rules = (*Doors)(nil)

// Connect implements mqttx.Rules.
func (d *Doors) Connect(name string, password []byte) (string, error) {
	if name != Reader {
		return d.Others.Connect(name, password)
	}
	buyer, err := d.Till.Buyer(context.Background(), string(password))
	return readerPrefix + buyer, err
}

// MayPublish implements mqttx.Rules: buyers publish nothing.
func (d *Doors) MayPublish(identity, topic string) bool {
	return !strings.HasPrefix(identity, readerPrefix) && !strings.HasPrefix(topic, topicPrefix) && d.Others.MayPublish(identity, topic)
}

// MaySubscribe implements mqttx.Rules. The broker asks with a filter when a client
// subscribes, and with the topic before it delivers to him: then he pays.
func (d *Doors) MaySubscribe(identity, filter string) bool {
	buyer, reader := strings.CutPrefix(identity, readerPrefix)
	if !reader {
		return !strings.HasPrefix(filter, topicPrefix) && d.Others.MaySubscribe(identity, filter)
	}
	if !reaches(filter) {
		return false
	}
	d.mu.Lock()
	now := d.now
	d.mu.Unlock()
	if now == nil || now.topic != filter {
		return true
	}
	if _, err := d.Till.Charge(context.Background(), buyer, now.rows); err != nil {
		d.Logger.Debug("observation is not delivered", "buyer", buyer, "err", err)
		return false
	}
	return true
}

// reaches reports whether a filter is of topics that something is published to: who
// asks for another is refused, in place of waiting for ever.
func reaches(filter string) bool {
	parts := strings.Split(filter, "/")
	for i, part := range parts {
		switch {
		case part == "#":
			return i > 0
		case i == 0 && part == "v1.1", i == 1 && part == "+", i == 2 && (part == "+" || part == "Observations"):
		case i == 1 && strings.HasPrefix(part, "Datastreams(") && strings.HasSuffix(part, ")"):
		default:
			return false
		}
	}
	return len(parts) == 3
}

// ErrorTopic implements mqttx.Rules.
func (d *Doors) ErrorTopic(identity, topic string) string {
	return d.Others.ErrorTopic(identity, topic)
}

// Publish implements mqttx.Rules.
func (d *Doors) Publish(ctx context.Context, messages []mqttx.Message) {
	d.Others.Publish(ctx, messages)
}

// Broker delivers messages to subscribers before it returns; mqttx.Broker is one.
type Broker interface {
	// Heard reports whether anybody subscribes to a topic.
	Heard(topic string) bool
	Publish(topic string, payload []byte, retain bool) error
}

// Topic is where the observations of a datastream are published.
func Topic(number uint32) string {
	return fmt.Sprintf("%sDatastreams(%d)/Observations", topicPrefix, number)
}

// Run publishes observations as they come, until ctx ends. root is the address of
// the API for links, as http://HOST/v1.1.
func (d *Doors) Run(ctx context.Context, s *store.Store, b Broker, root string) error {
	q := &request{root: root}
	for {
		w, stop := s.Watch(backlog, func(e *store.Event) bool { return !s.Moving(e.Kind) })
		err := d.deliver(ctx, s, b, q, w)
		stop()
		if !errors.Is(err, store.ErrSlow) {
			return err
		}
		d.Logger.Warn("observations came in faster than they are told over MQTT: some were left out")
	}
}

func (d *Doors) deliver(ctx context.Context, s *store.Store, b Broker, q *request, w *store.Watcher) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-w.Events:
			if !ok {
				return w.Err()
			}
			x, known := s.Find(e.ID(), e.Variable)
			if !known {
				continue
			}
			if err := d.one(b, q, &x, &e.Row); err != nil {
				return err
			}
		}
	}
}

func (d *Doors) one(b Broker, q *request, x *store.Stream, r *store.Row) error {
	topic := Topic(x.Number)
	if !b.Heard(topic) {
		return nil // most observations: they need not be written
	}
	q.inner = 0
	says, err := q.document(context.Background(), observation(x, r), &options{})
	if err != nil {
		return err
	}
	raw, err := json.Marshal(says)
	if err != nil {
		return err
	}
	d.set(&delivery{topic, query.Rows{r.ID(): 1}})
	defer d.set(nil)
	if err := b.Publish(topic, raw, false); err != nil {
		d.Logger.Debug("observation is not delivered", "topic", topic, "err", err)
	}
	return nil
}

func (d *Doors) set(to *delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = to
}
