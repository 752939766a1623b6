package s3

import (
	"io"
	"net"
	"time"

	"github.com/gofiber/fiber/v3"
)

// What is still read of the body of a request that is answered before its end,
// so that the client gets the answer instead of a reset connection: as much as
// the parts that clients upload by default hold, and for as long as nginx
// lingers (lingering_time, lingering_timeout).
const (
	lingerBytes = 64 << 20
	lingerTime  = 30 * time.Second
	lingerIdle  = 5 * time.Second
)

// linger reads what the rest of the chain has left of a request's body. The
// front end does so itself for 256 KiB only.
func linger(c fiber.Ctx) error {
	err := c.Next()
	// Beyond the end of a chunked body the stream would wait for another chunk.
	stream := c.Request().BodyStream()
	if stream == nil || c.Request().Header.ContentLength() <= 0 {
		return err
	}
	r := &patient{r: stream, conn: c.RequestCtx().Conn(), until: time.Now().Add(lingerTime)}
	_, _ = io.CopyN(io.Discard, r, lingerBytes)
	if r.conn != nil {
		_ = r.conn.SetReadDeadline(time.Time{})
	}
	return err
}

// patient reads from a connection that may pause for lingerIdle.
type patient struct {
	r     io.Reader
	conn  net.Conn
	until time.Time
}

// Read implements io.Reader.
func (p *patient) Read(b []byte) (int, error) {
	if p.conn != nil {
		next := time.Now().Add(lingerIdle)
		if next.After(p.until) {
			next = p.until
		}
		if err := p.conn.SetReadDeadline(next); err != nil {
			return 0, err
		}
	}
	return p.r.Read(b)
}
