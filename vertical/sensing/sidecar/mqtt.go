package sidecar

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Parameters of a subscription.
const (
	keepAlive  = 60 // seconds
	maxMessage = 64 << 10
	mqttDial   = 10 * time.Second
)

// SubscribeSensors takes rtl_433's messages from a broker (-F mqtt://HOST, topic
// rtl_433/+/events) until ctx ends; it connects again when the link breaks. The
// URL is mqtt://[USER:PASSWORD@]HOST:PORT/TOPIC.
func (s *Sidecar) SubscribeSensors(ctx context.Context, broker string, own *Sensors) error {
	u, err := url.Parse(broker)
	if err != nil || u.Scheme != "mqtt" || u.Host == "" || len(u.Path) < 2 {
		return fmt.Errorf("broker %q, want mqtt://HOST:PORT/TOPIC, as mqtt://127.0.0.1:1883/rtl_433/+/events", broker)
	}
	retry := retryMin
	for {
		began := s.cfg.Now()
		err := s.subscribed(ctx, u, own)
		if ctx.Err() != nil {
			return nil
		}
		s.cfg.Logger.Warn("link to the broker broke", "retry", retry, "err", err)
		if s.cfg.Now().Sub(began) > retryMax {
			retry = retryMin
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retry):
		}
		retry = min(2*retry, retryMax)
	}
}

// subscribed serves one connection, in MQTT 3.1.1 with quality of service 0.
func (s *Sidecar) subscribed(ctx context.Context, u *url.URL, own *Sensors) error {
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "1883")
	}
	d := net.Dialer{Timeout: mqttDial}
	c, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return fmt.Errorf("reach broker: %w", err)
	}
	defer func() { _ = c.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	in := bufio.NewReader(c)
	if err := s.logIn(c, in, u); err != nil {
		return err
	}
	silent := false // since a ping was sent
	for {
		_ = c.SetReadDeadline(time.Now().Add(keepAlive / 2 * time.Second))
		if _, err := in.Peek(1); err != nil {
			var late net.Error
			if silent || !errors.As(err, &late) || !late.Timeout() {
				return fmt.Errorf("read from broker: %w", err)
			}
			silent = true
			if err := send(c, packets.Pingreq, (*packets.Packet).PingreqEncode, packets.Packet{}); err != nil {
				return err
			}
			continue
		}
		silent = false
		_ = c.SetReadDeadline(time.Now().Add(mqttDial))
		p, err := receive(in)
		if err != nil {
			return fmt.Errorf("read from broker: %w", err)
		}
		if p.FixedHeader.Type == packets.Publish {
			s.heard(ctx, p.Payload, own)
		}
	}
}

func (s *Sidecar) logIn(c net.Conn, in *bufio.Reader, u *url.URL) error {
	_ = c.SetDeadline(time.Now().Add(mqttDial))
	connect := packets.Packet{ProtocolVersion: 4}
	connect.Connect.ProtocolName = []byte("MQTT")
	connect.Connect.Clean = true
	connect.Connect.Keepalive = keepAlive
	connect.Connect.ClientIdentifier = fmt.Sprintf("grange-%.12s", s.cfg.Signer.PublicKey().ID())
	if u.User != nil {
		password, _ := u.User.Password()
		connect.Connect.UsernameFlag, connect.Connect.Username = true, []byte(u.User.Username())
		connect.Connect.PasswordFlag, connect.Connect.Password = true, []byte(password)
	}
	if err := send(c, packets.Connect, (*packets.Packet).ConnectEncode, connect); err != nil {
		return err
	}
	if p, err := receive(in); err != nil || p.FixedHeader.Type != packets.Connack || p.ReasonCode != 0 {
		return fmt.Errorf("log in to the broker: answer of type %d with code %d: %w", p.FixedHeader.Type, p.ReasonCode, err)
	}
	subscribe := packets.Packet{ProtocolVersion: 4, PacketID: 1, Filters: packets.Subscriptions{{Filter: u.Path[1:]}}}
	subscribe.FixedHeader.Qos = 1 // of the request
	if err := send(c, packets.Subscribe, (*packets.Packet).SubscribeEncode, subscribe); err != nil {
		return err
	}
	return c.SetDeadline(time.Time{})
}

func send(w io.Writer, kind byte, encode func(*packets.Packet, *bytes.Buffer) error, p packets.Packet) error {
	var b bytes.Buffer
	p.FixedHeader.Type = kind
	if err := encode(&p, &b); err != nil {
		return fmt.Errorf("encode MQTT packet of type %d: %w", kind, err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write to broker: %w", err)
	}
	return nil
}

// receive reads a packet and decodes those that matter here.
func receive(in *bufio.Reader) (p packets.Packet, err error) {
	first, err := in.ReadByte()
	if err != nil {
		return p, err
	}
	if err := p.FixedHeader.Decode(first); err != nil {
		return p, err
	}
	n, _, err := packets.DecodeLength(in)
	if err != nil {
		return p, err
	}
	if n > maxMessage {
		return p, fmt.Errorf("packet of %d bytes, want at most %d", n, maxMessage)
	}
	p.FixedHeader.Remaining, p.ProtocolVersion = n, 4
	body := make([]byte, n)
	if _, err := io.ReadFull(in, body); err != nil {
		return p, err
	}
	switch p.FixedHeader.Type {
	case packets.Connack:
		err = p.ConnackDecode(body)
	case packets.Publish:
		err = p.PublishDecode(body)
	}
	return p, err
}
