package ntrip

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Target is a mount point of a caster, and who asks for it.
type Target struct {
	Addr           string // host:port
	Mount          string
	Name, Password string
	Old            bool   // version 1
	Fix            string // GGA that a rover sends once; may be empty
}

// Push connects as a base. What is written goes to the rovers; a write fails when
// the caster has hung up or takes nothing for ten seconds. The caster's reason is
// in the error.
func Push(ctx context.Context, t Target) (io.WriteCloser, error) {
	head := fmt.Sprintf("POST /%s HTTP/1.1\r\nHost: %s\r\nNtrip-Version: Ntrip/2.0\r\nUser-Agent: NTRIP Grange\r\nAuthorization: %s\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
		t.Mount, t.Addr, t.basic())
	if t.Old {
		head = fmt.Sprintf("SOURCE %s /%s\r\nSource-Agent: NTRIP Grange\r\n\r\n", t.Password, t.Mount)
	}
	conn, _, err := t.open(ctx, head)
	if err != nil {
		return nil, fmt.Errorf("push to %s/%s: %w", t.Addr, t.Mount, err)
	}
	return &pushing{conn, !t.Old}, nil
}

// Pull connects as a rover and returns the stream.
func Pull(ctx context.Context, t Target) (io.ReadCloser, error) {
	head := fmt.Sprintf("GET /%s HTTP/1.0\r\nUser-Agent: NTRIP Grange\r\nAuthorization: %s\r\n\r\n", t.Mount, t.basic())
	conn, in, err := t.open(ctx, head)
	if err != nil {
		return nil, fmt.Errorf("pull from %s/%s: %w", t.Addr, t.Mount, err)
	}
	if t.Fix != "" {
		if _, err := io.WriteString(conn, t.Fix+"\r\n"); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("send position to %s: %w", t.Addr, err)
		}
	}
	return &pulling{in, conn}, nil
}

func (t Target) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(t.Name+":"+t.Password))
}

// open sends a head and reads whether it was accepted.
func (t Target) open(ctx context.Context, head string) (net.Conn, *bufio.Reader, error) {
	if strings.ContainsAny(t.Mount+t.Password, "\r\n ") {
		return nil, nil, errors.New("mount point or password has a space")
	}
	d := net.Dialer{Timeout: headTimeout} // or an address that answers nothing holds a base up for minutes
	conn, err := d.DialContext(ctx, "tcp", t.Addr)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_ = conn.SetDeadline(time.Now().Add(2 * headTimeout))
	if _, err := io.WriteString(conn, head); err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	in := bufio.NewReader(conn)
	if err := accepted(in); err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return conn, in, conn.SetDeadline(time.Time{})
}

// maxReason bounds what is read of a refusal.
const maxReason = 1 << 10

func accepted(in *bufio.Reader) error {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("read the caster's answer: %w", err)
	}
	answer := strings.TrimSpace(string(line))
	if answer == "ICY 200 OK" {
		return nil
	}
	if strings.HasPrefix(answer, "SOURCETABLE") {
		return errors.New("the caster knows no such mount point now")
	}
	var version, status, words string
	if f := strings.SplitN(answer, " ", 3); len(f) >= 2 {
		version, status, words = f[0], f[1], strings.Join(f[2:], " ")
	}
	if !strings.HasPrefix(version, "HTTP/1.") {
		return fmt.Errorf("the caster says %.100q", answer)
	}
	for range 64 {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("read the caster's answer: %w", err)
		}
		if len(strings.TrimSpace(string(line))) > 0 {
			continue
		}
		if status == fmt.Sprint(http.StatusOK) {
			return nil
		}
		reason, _ := io.ReadAll(io.LimitReader(in, maxReason)) // what came of it
		return fmt.Errorf("the caster says %s %s: %s", status, words, strings.TrimSpace(string(reason)))
	}
	return errors.New("the caster's answer has no end")
}

// pushing writes chunks, or plain bytes in version 1.
type pushing struct {
	net.Conn
	chunked bool
}

func (p *pushing) Write(b []byte) (int, error) {
	if err := p.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil || len(b) == 0 {
		return 0, err
	}
	if !p.chunked {
		return p.Conn.Write(b)
	}
	out := fmt.Appendf(make([]byte, 0, len(b)+16), "%x\r\n", len(b))
	out = append(append(out, b...), "\r\n"...)
	if _, err := p.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (p *pushing) Close() error {
	if p.chunked {
		_ = p.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(p.Conn, "0\r\n\r\n")
	}
	return p.Conn.Close()
}

type pulling struct {
	*bufio.Reader
	net.Conn
}

func (p *pulling) Read(b []byte) (int, error) { return p.Reader.Read(b) }
