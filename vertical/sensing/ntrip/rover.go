package ntrip

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"
)

// rover serves a rover that pulls a stream, or answers with the source table.
func (c *Caster) rover(ctx context.Context, r *request) error {
	if r.mount == "" || r.mount != Near && c.mount(r.mount) == nil {
		return c.sourceTable(r)
	}
	session, err := c.cfg.Gate.Rover(ctx, r.mount, r.name, r.password)
	if err != nil {
		return r.denied(err)
	}
	defer session.Close()
	if err := r.accept(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { _ = r.conn.Close() })
	defer stop()
	o := &out{r: r, w: bufio.NewWriterSize(r.conn, 2048), session: session}
	fixes := make(chan Position, 1)
	if p, ok := parseGGA(r.fix); ok {
		fixes <- p
	}
	go func() { cancel(listen(r.in, fixes)) }()
	p := &puller{c: c, out: o, slow: func() { cancel(errSlow) }}
	defer p.leave()
	if r.mount == Near {
		err = p.nearest(ctx, fixes)
	} else {
		err = p.fixed(ctx, r.mount)
	}
	if errors.Is(err, errGone) && r.chunkedAnswer {
		_, _ = io.WriteString(r.conn, "0\r\n\r\n") // the stream is whole
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

var (
	errSlow = errors.New("the rover does not keep up")
	errGone = errors.New("the base has gone")
	errHung = errors.New("the rover hung up")
)

// listen reads positions from a rover until it hangs up.
func listen(in io.Reader, fixes chan Position) error {
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 0, 256), 1024)
	for s.Scan() {
		p, ok := parseGGA(s.Text())
		if !ok {
			continue
		}
		select {
		case <-fixes: // only the newest counts
		default:
		}
		fixes <- p
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("read rover: %w", err)
	}
	return errHung
}

// out writes to a rover and counts what was served.
type out struct {
	r       *request
	w       *bufio.Writer
	session Session
	last    time.Time
}

// mostServed bounds what one piece counts: a gap in the stream is not served.
const mostServed = 5 * time.Second

func (o *out) write(ctx context.Context, base string, p *piece) error {
	if !o.last.IsZero() {
		if err := o.session.Served(ctx, base, min(p.arrived.Sub(o.last), mostServed)); err != nil {
			return err
		}
	}
	o.last = p.arrived
	return o.send(p.data)
}

func (o *out) send(data []byte) error {
	if err := o.r.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if !o.r.chunkedAnswer {
		_, err := o.r.conn.Write(data)
		return err
	}
	_, _ = fmt.Fprintf(o.w, "%x\r\n", len(data)) // the writer keeps its error
	_, _ = o.w.Write(data)
	_, _ = o.w.WriteString("\r\n")
	return o.w.Flush()
}

// puller feeds a rover from one base at a time.
type puller struct {
	c      *Caster
	out    *out
	slow   func()
	m      *mount
	pieces chan *piece
	synced bool // behind an epoch's end of the base
}

func (p *puller) join(m *mount) bool {
	pieces, ok := m.join(p.slow)
	if ok {
		p.m, p.pieces = m, pieces
		p.synced = m.fresh()
	}
	return ok
}

func (p *puller) leave() {
	if p.m != nil {
		p.m.leave(p.pieces)
		p.m, p.pieces = nil, nil
	}
}

func (p *puller) fixed(ctx context.Context, name string) error {
	m := p.c.mount(name)
	if m == nil || !p.join(m) {
		return errGone
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case piece, ok := <-p.pieces:
			if !ok {
				return errGone
			}
			if err := p.out.write(ctx, m.name, piece); err != nil {
				return err
			}
		}
	}
}

// nearest serves NEAR.
func (p *puller) nearest(ctx context.Context, fixes <-chan Position) error {
	var at Position
	first := time.NewTimer(p.c.cfg.FirstFix)
	defer first.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-first.C:
		return fmt.Errorf("no position (NMEA GGA) from the rover within %s", p.c.cfg.FirstFix)
	case at = <-fixes:
	}
	check := time.NewTicker(max(p.c.cfg.Silence/3, 10*time.Millisecond))
	defer check.Stop()
	border := true
	for {
		changed := p.c.waiting()
		if err := p.choose(at, border); err != nil {
			return err
		}
		border = false
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-check.C:
		case at = <-fixes:
		case piece, ok := <-p.pieces:
			if !ok {
				p.leave()
				continue
			}
			if p.synced {
				if err := p.out.write(ctx, p.m.name, piece); err != nil {
					return err
				}
			}
			p.synced = p.synced || piece.border
			border = piece.border
		}
	}
}

// choose changes the base when it must: at once when the present one is silent,
// else only where an epoch ends.
func (p *puller) choose(at Position, border bool) error {
	var here Position
	alive := false
	if p.m != nil {
		place, _, last := p.m.where()
		here, alive = place, time.Since(last) <= p.c.cfg.Silence
	}
	if alive && !border {
		return nil
	}
	best, d := p.c.closest(at)
	if best == nil || best == p.m {
		return nil
	}
	if alive && distance(at, here)-d < p.c.cfg.Hysteresis {
		return nil
	}
	p.leave()
	if !p.join(best) {
		return nil
	}
	if station := best.info().station; station != nil {
		return p.out.send(station)
	}
	return nil
}

// closest returns the nearest base in reach that sends and sells, and how far it
// is; of two as near the first by name.
func (c *Caster) closest(at Position) (best *mount, d float64) {
	d = math.Inf(1)
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, m := range c.mounts { // order does not matter
		place, placed, last := m.where()
		if !placed || time.Since(last) > c.cfg.Silence {
			continue
		}
		far := distance(at, place)
		if nearer := far < d || far == d && best != nil && m.name < best.name; nearer && far <= c.cfg.Reach && (c.cfg.Sells == nil || c.cfg.Sells(m.name)) {
			best, d = m, far
		}
	}
	return best, d
}

// sourceTable answers with the list of mount points.
func (c *Caster) sourceTable(r *request) error {
	body := c.table()
	_ = r.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	switch {
	case r.v2 && r.mount != "":
		return r.refuse(http.StatusNotFound, "", fmt.Sprintf("no base sends to mount point %s now; GET / lists them", r.mount))
	case r.v2:
		_, err := fmt.Fprintf(r.conn, "HTTP/1.1 200 OK\r\nServer: NTRIP Grange\r\nNtrip-Version: Ntrip/2.0\r\nContent-Type: gnss/sourcetable\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
		return err
	default:
		_, err := fmt.Fprintf(r.conn, "SOURCETABLE 200 OK\r\nServer: NTRIP Grange\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		return err
	}
}
