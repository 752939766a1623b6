package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strconv"

	"github.com/grange-network/grange/mqttx"
	"github.com/grange-network/grange/vertical/sensing/ingest"
	"github.com/grange-network/grange/wal"
)

// secret of the tokens that the senders sign in with.
var secret = []byte("the secret of this measurement only")

// broker is our broker in a process of its own, as mosquitto has one.
type broker struct {
	kind    string // "verified": the gateway's; "stored": without the checks of observations
	dir     string
	devices int
}

// ours measures our broker.
func (l shape) ours(ctx context.Context, kind, dir string, all []*sender) (rate float64, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, self, "-broker", kind, "-dir", dir, "-devices", strconv.Itoa(len(all)))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, in.Close(), cmd.Wait()) }()
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("address of the broker: %w", err)
	}
	return l.load(ctx, addr[:len(addr)-1], all)
}

// serve prints an address and serves there until the input ends.
func (b broker) serve(ctx context.Context) (err error) {
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	rules, end, err := b.rules()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	m, err := mqttx.New(ctx, door, rules, mqttx.Limits{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	fmt.Println(door.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, m.Close())
}

func (b broker) rules() (rules mqttx.Rules, end func() error, err error) {
	if b.kind == "stored" {
		w, err := wal.Open(b.dir, wal.Options{})
		return log{w}, w.Close, err
	}
	all, err := senders(b.devices, 0, 0)
	if err != nil {
		return nil, nil, err
	}
	s, err := server(b.dir, all)
	return &ingest.Doors{Server: s, Secret: secret}, s.Close, err
}

// log stores every publish before it is acknowledged, whatever it is.
type log struct{ *wal.Log }

func (log) Connect(name string, _ []byte) (string, error) { return name, nil }
func (log) MayPublish(string, string) bool                { return true }
func (log) MaySubscribe(string, string) bool              { return false }
func (log) ErrorTopic(string, string) string              { return "" }

// Publish implements mqttx.Rules.
func (l log) Publish(ctx context.Context, messages []mqttx.Message) {
	pending := make([]wal.Pending, len(messages))
	for i := range messages {
		pending[i], messages[i].Err = l.Begin(ctx, messages[i].Payload)
	}
	for i := range messages {
		if messages[i].Err == nil {
			_, messages[i].Err = pending[i].Wait(ctx)
		}
	}
}
