package mqttx

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"runtime"
	"sync"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

const (
	// window is how many publishes of one client may be under way; further ones
	// are not read from its connection. Clients of version 5 are told.
	window = 128
	// together is how many publishes Rules get at most at a time, and how many
	// wait for a worker before connections are no longer read.
	together = 512
)

// pipe hands publishes to the rules and answers them. Each identity has one
// worker, which keeps its messages in order; a worker takes all that waits at
// once, so that what is dear, as a sync of a disk, is done once for many.
type pipe struct {
	server *mqtt.Server
	rules  Rules
	log    *slog.Logger
	queues []chan job
	seed   maphash.Seed

	lanes            sync.Map // of clients: *mqtt.Client to *lane
	workers, writers sync.WaitGroup
}

// job is a publish under way. done is closed when the message is handled; nil
// for QoS 1, which the pipe answers itself.
type job struct {
	message *Message
	lane    *lane
	packet  packets.Packet
	done    chan struct{}
}

func newPipe(ctx context.Context, server *mqtt.Server, rules Rules, log *slog.Logger) *pipe {
	p := &pipe{server: server, rules: rules, log: log, seed: maphash.MakeSeed(), queues: make([]chan job, max(4, 2*runtime.GOMAXPROCS(0)))}
	for i := range p.queues {
		queue := make(chan job, together)
		p.queues[i] = queue
		w := &worker{pipe: p, inline: server.NewClient(nil, "mqtt", "inline", true)}
		p.workers.Go(func() { w.run(ctx, queue) })
	}
	return p
}

// close waits for what is under way. Nothing may be put in any more.
func (p *pipe) close() {
	for _, q := range p.queues {
		close(q)
	}
	p.workers.Wait()
	p.writers.Wait()
}

// put hands a message in, and waits only while too many are under way. The answer
// to one with QoS 1 is the pipe's; for others put returns when it is handled.
func (p *pipe) put(cl *mqtt.Client, pk packets.Packet) *Message {
	l := p.lane(cl)
	m := &Message{Identity: l.identity, Topic: pk.TopicName, Payload: pk.Payload}
	j := job{message: m, lane: l, packet: pk}
	if pk.FixedHeader.Qos == 1 {
		l.slots <- struct{}{}
	} else {
		j.done = make(chan struct{})
	}
	p.queues[maphash.String(p.seed, l.identity)%uint64(len(p.queues))] <- j
	if j.done != nil {
		<-j.done
	}
	return m
}

func (p *pipe) lane(cl *mqtt.Client) *lane {
	if l, ok := p.lanes.Load(cl); ok {
		return l.(*lane)
	}
	l := &lane{client: cl, identity: string(cl.Properties.Username), slots: make(chan struct{}, window)}
	p.lanes.Store(cl, l)
	return l
}

func (p *pipe) leave(cl *mqtt.Client) { p.lanes.Delete(cl) }

// refuse tells a client on its error topic why its message is not stored.
func (p *pipe) refuse(m *Message) {
	if err := p.server.Publish(p.rules.ErrorTopic(m.Identity, m.Topic), []byte(inWords(m.Err)), false, 0); err != nil {
		p.log.Debug("reason of a refused message is not delivered", "identity", m.Identity, "err", err)
	}
}

// worker handles the messages of its share of the identities.
type worker struct {
	pipe     *pipe
	inline   *mqtt.Client // delivers to subscribers
	jobs     []job
	messages []Message
	ready    []*lane
}

func (w *worker) run(ctx context.Context, queue <-chan job) {
	for j := range queue {
		w.jobs = append(w.jobs[:0], j)
		for before := 0; before < len(w.jobs) && len(w.jobs) < together; {
			runtime.Gosched() // who reads from connections goes first: it may have more
			before = len(w.jobs)
			w.take(queue)
		}
		w.handle(ctx)
	}
}

// take takes what waits in the queue.
func (w *worker) take(queue <-chan job) {
	for len(w.jobs) < together {
		select {
		case j, open := <-queue:
			if !open {
				return
			}
			w.jobs = append(w.jobs, j)
		default:
			return
		}
	}
}

func (w *worker) handle(ctx context.Context) {
	w.messages, w.ready = w.messages[:0], w.ready[:0]
	w.drop()
	for _, j := range w.jobs {
		w.messages = append(w.messages, *j.message)
	}
	w.pipe.rules.Publish(ctx, w.messages)
	for i, j := range w.jobs {
		*j.message = w.messages[i]
		if j.message.Err != nil {
			w.pipe.refuse(j.message)
		}
		if j.done != nil {
			close(j.done)
			continue
		}
		w.answer(j)
	}
	w.flush()
	clear(w.jobs)
	clear(w.messages)
}

// drop takes out what a client had under way behind a message that it must send
// again: it would come before that.
func (w *worker) drop() {
	left := w.jobs[:0]
	for _, j := range w.jobs {
		if !j.lane.ended {
			left = append(left, j)
			continue
		}
		if j.message.Err = errAgain; j.done != nil {
			close(j.done)
		} else if j.lane.add(nil) {
			w.ready = append(w.ready, j.lane)
		}
	}
	clear(w.jobs[len(left):])
	w.jobs = left
}

// errAgain is what becomes of messages of a connection that has been ended.
var errAgain = errors.New("connection has been ended: a message before this one must be sent again")

func (w *worker) flush() {
	for _, l := range w.ready {
		w.pipe.writers.Go(func() { l.write(w.pipe.server) })
	}
	clear(w.ready)
}

// answer acknowledges a message with QoS 1 and delivers it if it is to be.
func (w *worker) answer(j job) {
	ack, err := acknowledge(j.lane.client, packets.Puback, j.packet.PacketID, j.message.Err)
	if err != nil {
		j.lane.ended = true
		j.lane.client.Stop(err) // it comes back and sends again
	}
	if j.lane.add(ack) {
		w.ready = append(w.ready, j.lane)
	}
	if j.message.Err != nil || !j.message.Deliver {
		return
	}
	pk := j.packet
	pk.FixedHeader.Retain, pk.FixedHeader.Dup = false, false // what is kept is the handler's choice
	pk.Properties.TopicAlias, pk.Properties.TopicAliasFlag = 0, false
	w.inline.ID = j.lane.client.ID // whose it is
	if err := w.pipe.server.InjectPacket(w.inline, pk); err != nil {
		w.pipe.log.Debug("message is not delivered", "client", j.lane.client.ID, "err", err)
	}
}
