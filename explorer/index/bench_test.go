package index

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/grange-network/grange/explorer/chaintest"
	"github.com/grange-network/grange/ledger/client"
)

// busy are blocks as full of receipts as a ledger makes them: 2,000 in each,
// of 1,000 leases with 200 devices.
func busy(b *testing.B, n int) (blocks []client.Block, events int) {
	b.Helper()
	const perBlock, leases, devices = 2000, 1000, 200
	leaseIDs, deviceIDs := make([]string, leases), make([]string, devices)
	for i := range leaseIDs {
		leaseIDs[i] = chaintest.ID("lease" + strconv.Itoa(i))
	}
	for i := range deviceIDs {
		deviceIDs[i] = chaintest.ID("device" + strconv.Itoa(i))
	}
	for h := 1; h <= n; h++ {
		block := client.Block{Height: int64(h), Time: time.Unix(int64(h), 0), Hash: []byte{1}, AppHash: []byte{2}, Proposer: []byte{3}}
		if h%60 == 1 {
			block.Events = append(block.Events, chaintest.Event("grange.oracle.epoch", "epoch", strconv.Itoa(h/60+1), "status", "EPOCH_STATUS_DECIDED", "seed", "00"))
		}
		for range 20 {
			var settled []client.Event
			for i := range perBlock / 20 {
				l := (h*7 + i*13 + len(block.Txs)*101) % leases
				settled = append(settled, chaintest.Event("grange.market.settle", "lease", leaseIDs[l], "device", deviceIDs[l%devices], "lane", "1",
					"units", strconv.Itoa(h*1000+i), "paid", "20", "net", "19", "msg_index", "0"))
			}
			block.Txs = append(block.Txs, client.Tx{Hash: chaintest.ID(strconv.Itoa(h) + "/" + strconv.Itoa(len(block.Txs))), Events: settled})
			events += len(settled)
		}
		blocks = append(blocks, block)
	}
	return blocks, events
}

// BenchmarkApply is the rate at which receipts are indexed, each with its lease,
// device, lane, epoch and reward. Bound by SQLite's three indexes of a receipt.
func BenchmarkApply(b *testing.B) {
	blocks, events := busy(b, 100)
	for b.Loop() {
		b.StopTimer()
		path := filepath.Join(b.TempDir(), "index.db")
		s := openAt(b, path, "bench-1")
		b.StartTimer()
		for at := 0; at < len(blocks); at += 10 {
			if _, err := s.Apply(context.Background(), blocks[at:at+10]); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		s.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkReceipts reads pages of 50 anywhere in 10 million receipts, of all, of a
// device and of a lease. GRANGE_BENCH_ROWS sets another number.
func BenchmarkReceipts(b *testing.B) {
	rows := 10_000_000
	if n, err := strconv.Atoi(os.Getenv("GRANGE_BENCH_ROWS")); err == nil {
		rows = n
	}
	s := openAt(b, filepath.Join(b.TempDir(), "index.db"), "bench-1")
	fill(b, s, rows)
	ctx := context.Background()
	for _, of := range []struct{ name, device, lease string }{{"all", "", ""}, {"device", hexOf(5), ""}, {"lease", "", hexOf(77)}} {
		b.Run(of.name, func(b *testing.B) {
			var took []time.Duration
			p := Page{}
			for i := 0; b.Loop(); i++ {
				if i%20 == 0 { // anywhere, then on from there
					p.After = *cursor(position(int64(i*7919%rows)+50, 0))
				}
				at := time.Now()
				l, err := s.Receipts(ctx, of.device, of.lease, p)
				took = append(took, time.Since(at))
				if err != nil {
					b.Fatal(err)
				}
				if l.Next != nil {
					p.After = *l.Next
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100])/1e6, "p99-ms")
		})
	}
}

func hexOf(n int) string {
	id := ID(make([]byte, 32))
	id[30], id[31] = byte(n>>8), byte(n)
	return id.String()
}

// fill makes receipts inside SQLite: only reading them is measured.
func fill(b *testing.B, s *Store, rows int) {
	b.Helper()
	for _, q := range []string{
		`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000)
		 INSERT INTO devices SELECT n, unhex(printf('%064X', n)), '', 'grange1', NULL, NULL, 'active', NULL, '[]', NULL, 0, NULL, NULL, NULL, 1, 1, 0, 0, 0 FROM c`,
		`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000)
		 INSERT INTO leases SELECT n, unhex(printf('%064X', n)), 1, n % 1000 + 1, 'grange1', 'grange1', 'storage', 'open', '', 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 'proven', 1 FROM c`,
		`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ` + strconv.Itoa(rows) + `)
		 INSERT INTO receipts SELECT n << 20, (n * 7919) % 5000 + 1, (n * 7919) % 1000 + 1, 1, n, 10, 20, 19, n / 100000, NULL, n FROM c`,
	} {
		if _, err := s.write.Exec(q); err != nil {
			b.Fatal(err)
		}
	}
}
