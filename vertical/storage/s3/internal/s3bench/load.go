package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// measurement is one kind of load.
type measurement struct {
	name    string
	method  string
	size    int
	clients int
}

var measurements = []measurement{
	{"PUT 64 MiB x1", http.MethodPut, 64 << 20, 1},
	{"GET 64 MiB x1", http.MethodGet, 64 << 20, 1},
	{"PUT 8 MiB x1", http.MethodPut, 8 << 20, 1},
	{"GET 8 MiB x1", http.MethodGet, 8 << 20, 1},
	{"PUT 8 MiB x8", http.MethodPut, 8 << 20, 8},
	{"GET 8 MiB x8", http.MethodGet, 8 << 20, 8},
	{"PUT 256 KiB x1", http.MethodPut, 256 << 10, 1},
	{"PUT 256 KiB x16", http.MethodPut, 256 << 10, 16},
	{"GET 256 KiB x16", http.MethodGet, 256 << 10, 16},
	{"PUT 16 KiB x1", http.MethodPut, 16 << 10, 1},
	{"PUT 16 KiB x32", http.MethodPut, 16 << 10, 32},
	{"GET 16 KiB x32", http.MethodGet, 16 << 10, 32},
	{"PUT 1 KiB x1", http.MethodPut, 1 << 10, 1},
	{"PUT 1 KiB x32", http.MethodPut, 1 << 10, 32},
	{"GET 1 KiB x32", http.MethodGet, 1 << 10, 32},
}

// result is what a load achieved.
type result struct {
	ops     int64
	seconds float64
	p50     time.Duration
	p99     time.Duration
}

func compare(ctx context.Context, dir string, each time.Duration, only string) error {
	if dir == "" {
		tmp, err := os.MkdirTemp("", "s3bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		dir = tmp
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := free.Addr().String()
	_ = free.Close()
	var servers []*server
	for _, kind := range []string{"door", "posix"} {
		s, err := startServer(ctx, kind, dir, addr)
		if err != nil {
			return err
		}
		defer s.stop()
		servers = append(servers, s)
	}
	fmt.Printf("%-16s %22s %22s %8s   %s\n", "", "door", "posix", "ratio", "p50 door/posix, p99 door/posix")
	g := newGenerator()
	for _, s := range servers {
		if err := g.do(ctx, http.MethodPut, s.url+"/bench", nil, nil); err != nil {
			return fmt.Errorf("create bucket on %s: %w", s.kind, err)
		}
	}
	for _, m := range measurements {
		if !strings.Contains(m.name, only) {
			continue
		}
		var rs [2]result
		for i, s := range servers {
			if rs[i], err = g.run(ctx, s, m, each); err != nil {
				return fmt.Errorf("%s on %s: %w", m.name, s.kind, err)
			}
		}
		report(m, rs)
	}
	return nil
}

func report(m measurement, rs [2]result) {
	rate := func(r result) string {
		ops := float64(r.ops) / r.seconds
		return fmt.Sprintf("%8.0f MB/s %7.0f/s", ops*float64(m.size)/1e6, ops)
	}
	ratio := (float64(rs[0].ops) / rs[0].seconds) / (float64(rs[1].ops) / rs[1].seconds)
	fmt.Printf("%-16s %22s %22s %7.2fx   %v / %v, %v / %v\n", m.name, rate(rs[0]), rate(rs[1]), ratio,
		rs[0].p50.Round(10*time.Microsecond), rs[1].p50.Round(10*time.Microsecond),
		rs[0].p99.Round(10*time.Microsecond), rs[1].p99.Round(10*time.Microsecond))
}

// generator makes signed requests with as little work of its own as possible.
type generator struct {
	client *http.Client
	signer *v4.Signer
	data   []byte
}

func newGenerator() *generator {
	g := &generator{
		client: &http.Client{Transport: &http.Transport{
			MaxIdleConnsPerHost: 128, WriteBufferSize: 256 << 10, ReadBufferSize: 256 << 10, DisableCompression: true,
		}},
		signer: v4.NewSigner(), data: make([]byte, 64<<20),
	}
	_, _ = rand.Read(g.data)
	return g
}

func (g *generator) do(ctx context.Context, method, url string, body, sink []byte) error {
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, r)
	if err != nil {
		return err
	}
	const sum = "UNSIGNED-PAYLOAD"
	req.Header.Set("X-Amz-Content-Sha256", sum)
	keys := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}
	if err := g.signer.SignHTTP(ctx, keys, req, sum, "s3", region, time.Now()); err != nil {
		return err
	}
	res, err := g.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		return fmt.Errorf("status %d: %s", res.StatusCode, text)
	}
	for {
		_, err := res.Body.Read(sink)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(sink) == 0 {
			_, err = io.Copy(io.Discard, res.Body)
			return err
		}
	}
}

// run puts or gets objects for the given time. GETs read what the PUTs of the
// same size before them wrote.
func (g *generator) run(ctx context.Context, s *server, m measurement, each time.Duration) (result, error) {
	keys := 64
	if m.size > 1<<20 {
		keys = 4
	}
	url := func(client, n int) string { return fmt.Sprintf("%s/bench/%d/%d-%d", s.url, m.size, client, n%keys) }
	if m.method == http.MethodGet {
		for c := range m.clients {
			for n := range keys {
				if err := g.do(ctx, http.MethodPut, url(c, n), g.data[:m.size], nil); err != nil {
					return result{}, err
				}
			}
		}
	}
	var ops atomic.Int64
	var wg sync.WaitGroup
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	began := time.Now()
	for c := range m.clients {
		wg.Go(func() {
			var mine []time.Duration
			sink := make([]byte, 256<<10)
			var err error
			for n := 0; err == nil && time.Since(began) < each; n++ {
				var body []byte
				if m.method == http.MethodPut {
					body = g.data[:m.size]
				}
				start := time.Now()
				if err = g.do(ctx, m.method, url(c, n), body, sink); err == nil {
					ops.Add(1)
					mine = append(mine, time.Since(start))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
			if err != nil {
				failed = err
			}
		})
	}
	wg.Wait()
	r := result{ops: ops.Load(), seconds: time.Since(began).Seconds()}
	if failed != nil || len(all) == 0 {
		return r, failed
	}
	slices.Sort(all)
	r.p50, r.p99 = all[len(all)/2], all[len(all)*99/100]
	return r, nil
}
