package ntrip

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strings"
	"time"
)

const maxHead = 8 << 10

// request is what a base or a rover asks for.
type request struct {
	conn           net.Conn
	in             io.Reader // what follows the head
	push           bool
	v2             bool
	chunkedAnswer  bool
	mount          string // without the slash; empty: the source table
	name, password string
	fix            string // GGA in the head of version 2
}

var errHead = errors.New("not an NTRIP request")

// readRequest reads a head of at most 8 KiB within ten seconds.
func readRequest(conn net.Conn) (*request, error) {
	if err := conn.SetReadDeadline(time.Now().Add(headTimeout)); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: conn, N: maxHead}
	b := bufio.NewReaderSize(limited, 4096)
	t := textproto.NewReader(b)
	line, err := t.ReadLine()
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	r := &request{conn: conn}
	if err := r.start(line); err != nil {
		return nil, err
	}
	head, err := t.ReadMIMEHeader()
	if err != nil {
		return nil, fmt.Errorf("read head: %w", err)
	}
	limited.N = 1<<63 - 1
	r.in = b
	r.header(line, http.Header(head))
	return r, conn.SetReadDeadline(time.Time{})
}

// start reads the first line: SOURCE password mount, or GET or POST.
func (r *request) start(line string) error {
	f := strings.Fields(line)
	switch {
	case len(f) == 3 && f[0] == "SOURCE":
		r.push, r.password, r.mount = true, f[1], f[2]
	case len(f) == 2 && f[0] == "SOURCE": // an empty password
		r.push, r.mount = true, f[1]
	case len(f) == 3 && strings.HasPrefix(f[2], "HTTP/1.") && (f[0] == "GET" || f[0] == "POST"):
		r.push, r.mount = f[0] == "POST", f[1]
	default:
		return fmt.Errorf("%w: %.60q", errHead, line)
	}
	r.mount = strings.TrimPrefix(r.mount, "/")
	return nil
}

func (r *request) header(line string, h http.Header) {
	r.v2 = strings.EqualFold(h.Get("Ntrip-Version"), "Ntrip/2.0")
	r.chunkedAnswer = r.v2 && strings.HasSuffix(line, "HTTP/1.1")
	r.fix = h.Get("Ntrip-GGA")
	if strings.EqualFold(h.Get("Transfer-Encoding"), "chunked") {
		r.in = httputil.NewChunkedReader(r.in)
	}
	kind, encoded, _ := strings.Cut(h.Get("Authorization"), " ")
	if !strings.EqualFold(kind, "Basic") {
		return
	}
	if raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded)); err == nil {
		r.name, r.password, _ = strings.Cut(string(raw), ":")
	}
}

// refuse answers why not, in the words of the client's version.
func (r *request) refuse(status int, old, why string) error {
	_ = r.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if r.push && !r.v2 {
		_, _ = fmt.Fprintf(r.conn, "ERROR - %s\r\n", old)
	} else {
		extra := ""
		if status == http.StatusUnauthorized {
			extra = "WWW-Authenticate: Basic realm=\"" + r.mount + "\"\r\n"
		}
		_, _ = fmt.Fprintf(r.conn, "HTTP/1.%d %d %s\r\nServer: NTRIP Grange\r\nNtrip-Version: Ntrip/2.0\r\n%sContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n",
			r.minor(), status, http.StatusText(status), extra, len(why)+1, why)
	}
	return errors.New(why)
}

func (r *request) minor() int {
	if r.v2 {
		return 1
	}
	return 0
}

// denied turns a gate's error into an answer.
func (r *request) denied(err error) error {
	switch {
	case errors.Is(err, ErrUnpaid):
		return r.refuse(http.StatusPaymentRequired, "Payment Required", err.Error())
	case errors.Is(err, ErrDenied):
		return r.refuse(http.StatusUnauthorized, "Bad Password", err.Error())
	default:
		return r.refuse(http.StatusForbidden, "Mount Point Taken or Invalid", err.Error())
	}
}

// accept answers that the stream follows.
func (r *request) accept() error {
	answer := "ICY 200 OK\r\n" // clients take what follows this line as data
	if r.v2 {
		answer = "HTTP/1.1 200 OK\r\nServer: NTRIP Grange\r\nNtrip-Version: Ntrip/2.0\r\nCache-Control: no-store\r\nConnection: close\r\n"
		if !r.push {
			answer += "Content-Type: gnss/data\r\n"
		}
		if !r.push && r.chunkedAnswer {
			answer += "Transfer-Encoding: chunked\r\n"
		}
		answer += "\r\n"
	}
	if err := r.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := io.WriteString(r.conn, answer)
	return err
}
