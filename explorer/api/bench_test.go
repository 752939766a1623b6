package api

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// BenchmarkStreams is the memory that a thousand readers of events take: heap and
// stacks of the server, measured before them and after ten blocks were sent to
// all. The readers are bare connections, so that they take none of it.
func BenchmarkStreams(b *testing.B) {
	const readers = 1000
	for b.Loop() {
		base, grow, _ := start(b, nil)
		before := inUse()
		conns := make([]net.Conn, 0, readers)
		for range readers {
			c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := fmt.Fprintf(c, "GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				b.Fatal(err)
			}
			conns = append(conns, c)
		}
		read := func(until string) {
			for _, c := range conns {
				var got strings.Builder
				buf := make([]byte, 64<<10)
				for !strings.Contains(got.String(), until) {
					if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
						b.Fatal(err)
					}
					n, err := c.Read(buf)
					if err != nil {
						b.Fatal(err)
					}
					got.Write(buf[:n])
				}
			}
		}
		read("retry: ")
		grow(10)
		read("id: 130:")
		b.ReportMetric(float64(inUse()-before)/1e6, "MB")
		b.ReportMetric(0, "ns/op")
		for _, c := range conns {
			c.Close()
		}
	}
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
