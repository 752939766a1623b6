package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/grange-network/grange/vertical/sensing/ingest"
)

// load connects all senders, publishes their batches and returns the rate of
// acknowledgements; connecting is not counted.
func (l shape) load(ctx context.Context, addr string, all []*sender) (float64, error) {
	clients := make([]*client, len(all))
	defer func() {
		for _, c := range clients {
			if c != nil {
				_ = c.conn.Close()
			}
		}
	}()
	n := 0
	for i, s := range all {
		n += len(s.batches)
		var err error
		if clients[i], err = dial(ctx, addr, s, i); err != nil {
			return 0, fmt.Errorf("connection %d: %w", i, err)
		}
	}
	var g errgroup.Group
	began := time.Now()
	for i, c := range clients {
		g.Go(func() error {
			if err := c.publish(l.underWay); err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
			return nil
		})
	}
	err := g.Wait()
	return float64(n) / time.Since(began).Seconds(), err
}

// client is one of MQTT 3.1.1.
type client struct {
	*sender
	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
}

func dial(ctx context.Context, addr string, s *sender, number int) (*client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &client{s, conn, bufio.NewReader(conn), bufio.NewWriterSize(conn, 16<<10)}
	id := s.public.ID()
	if _, err = c.w.Write(connect("bench-"+strconv.Itoa(number), id.String(), ingest.Token(secret, id))); err == nil {
		err = c.w.Flush()
	}
	if err == nil {
		err = expect(c.r, 0x20)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

// publish sends all batches, so many under way, and returns when the last is
// acknowledged. What can be sent without waiting goes out in one write.
func (c *client) publish(underWay int) error {
	topic := "v1/obs/" + c.public.ID().String()
	for sent, answered := 0, 0; answered < len(c.batches); {
		for ; sent < len(c.batches) && sent-answered < underWay; sent++ {
			if _, err := c.w.Write(message(topic, uint16(sent%60_000+1), c.batches[sent])); err != nil {
				return err
			}
		}
		if err := c.w.Flush(); err != nil {
			return err
		}
		for more := true; more; more = c.r.Buffered() >= 4 {
			if err := expect(c.r, 0x40); err != nil {
				return err
			}
			answered++
		}
	}
	return nil
}

func text(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// packet puts the fixed header in front (MQTT 3.1.1 section 2.2).
func packet(kind byte, body []byte) []byte {
	out := []byte{kind}
	for n := len(body); ; {
		digit := byte(n % 128)
		if n /= 128; n > 0 {
			digit |= 128
		}
		out = append(out, digit)
		if n == 0 {
			return append(out, body...)
		}
	}
}

func connect(client, user, password string) []byte {
	body := append(text(nil, "MQTT"), 4, 0xc2, 0, 60) // version, name and password and a clean session, a minute
	return packet(0x10, text(text(text(body, client), user), password))
}

func message(topic string, id uint16, payload []byte) []byte {
	return packet(0x32, append(binary.BigEndian.AppendUint16(text(nil, topic), id), payload...))
}

// expect reads one short packet.
func expect(r *bufio.Reader, kind byte) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	if head[0] != kind || head[1] != 2 || kind == 0x20 && head[3] != 0 {
		return fmt.Errorf("the broker answers %x, want %x02", head, kind)
	}
	return nil
}
