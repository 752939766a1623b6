package tunnel

import (
	"context"
	"io"
	"net"
	"testing"
)

const benchChunk = 1 << 20

// benchOneWay writes b.N MiB into w while drain takes them on the other side.
func benchOneWay(b *testing.B, w io.Writer, r io.Reader) {
	b.Helper()
	b.SetBytes(benchChunk)
	done := make(chan error, 1)
	total := int64(b.N) * benchChunk
	b.ResetTimer()
	go func() {
		buf := make([]byte, benchChunk)
		for left := total; left > 0; left -= benchChunk {
			if _, err := w.Write(buf); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	buf := make([]byte, 256<<10)
	if n, err := io.CopyBuffer(writerOnly{io.Discard}, io.LimitReader(r, total), buf); err != nil || n != total {
		b.Fatalf("read %d of %d: %v", n, total, err)
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

func BenchmarkOneStream(b *testing.B) {
	b.Run("rawTCP", func(b *testing.B) {
		base := loopback(b)
		defer base.Close()
		c, err := net.Dial("tcp", base.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		s, err := base.Accept()
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		benchOneWay(b, c, s)
	})
	for _, mode := range []string{"direct", "routed"} {
		b.Run(mode, func(b *testing.B) {
			key := newKey(b)
			base := loopback(b)
			l := listen(b, base, key, Options{})
			to := direct(base, key)
			if mode == "routed" {
				r := router(b, loopback(b), Options{})
				_ = l.Register(r.Addr().String())
				if err := l.Registered(context.Background(), r.Addr().String()); err != nil {
					b.Fatal(err)
				}
				to = routed(r.Addr().String(), key)
			}
			d := dialer(b, newKey(b), Options{})
			c, err := d.Dial(context.Background(), to)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Write([]byte{0}); err != nil {
				b.Fatal(err)
			}
			s, err := l.Accept()
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			_, _ = io.ReadFull(s, make([]byte, 1))
			benchOneWay(b, c, s)
		})
	}
}
