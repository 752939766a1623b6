package api

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/grange-network/grange/atlas"
	"github.com/grange-network/grange/explorer/chaintest"
	"github.com/grange-network/grange/explorer/index"
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

// BenchmarkPage asks for pages of 50 receipts anywhere in the index at
// GRANGE_BENCH_INDEX, which package index fills: the whole way, over HTTP.
// GRANGE_BENCH_ROWS is how many it has.
func BenchmarkPage(b *testing.B) {
	path, rows := os.Getenv("GRANGE_BENCH_INDEX"), 10_000_000
	if path == "" {
		b.Skip("GRANGE_BENCH_INDEX names no index: run the benchmark Receipts of package index with it first")
	}
	if n, err := strconv.Atoi(os.Getenv("GRANGE_BENCH_ROWS")); err == nil {
		rows = n
	}
	store, _, err := index.Open(context.Background(), path, "bench-1")
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	log := slog.New(slog.DiscardHandler)
	f := index.NewFollower(store, chaintest.New("bench-1", nil), false, log)
	server := httptest.NewServer(New(Config{ChainID: "bench-1", Index: store, Follower: f, Ledger: &ledger{}, Catalog: atlas.Embedded(), Log: log, Rate: 1 << 30, Burst: 1 << 30}))
	defer server.Close()
	for _, of := range []struct{ name, filter string }{{"all", ""}, {"device", "&device=" + benchID(5)}, {"lease", "&lease=" + benchID(77)}} {
		b.Run(of.name, func(b *testing.B) {
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				after := base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt((int64(i*7919%rows)+50)<<20, 36)))
				at := time.Now()
				resp, raw := asked(b, "GET", server.URL+"/v1/receipts?limit=50&after="+after+of.filter, "")
				took = append(took, time.Since(at))
				if resp.StatusCode != 200 {
					b.Fatalf("%d: %.300s", resp.StatusCode, raw)
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100])/1e6, "p99-ms")
		})
	}
}

// benchID is the id that package index's benchmark gives its n-th device or lease.
func benchID(n int) string { return fmt.Sprintf("%064x", n) }
