package index

import (
	"context"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/grange-network/grange/explorer/chaintest"
	"github.com/grange-network/grange/explorer/pgtest"
	"github.com/grange-network/grange/ledger/client"
)

// busy are n blocks as full of receipts as a ledger makes them: 2,000 in each,
// of 1,000 leases with 200 devices.
func busy(b *testing.B, from, n int) (blocks []client.Block, events int) {
	b.Helper()
	const perBlock, leases, devices = 2000, 1000, 200
	leaseIDs, deviceIDs := make([]string, leases), make([]string, devices)
	for i := range leaseIDs {
		leaseIDs[i] = chaintest.ID("lease" + strconv.Itoa(i))
	}
	for i := range deviceIDs {
		deviceIDs[i] = chaintest.ID("device" + strconv.Itoa(i))
	}
	for h := from; h < from+n; h++ {
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
// device, lane, epoch and reward, into an index that grows to GRANGE_BENCH_BLOCKS
// blocks of 2,000 (default 250). cpu-us is processor time for one: of this process,
// which with SQLite is all of it.
func BenchmarkApply(b *testing.B) {
	n := 250
	if v, err := strconv.Atoi(os.Getenv("GRANGE_BENCH_BLOCKS")); err == nil {
		n = v
	}
	for _, of := range []struct {
		name string
		at   fresh
	}{{"sqlite", file}, {"postgres", pgtest.Database}} {
		b.Run(of.name, func(b *testing.B) {
			path := of.at(b)
			s := openAt(b, path, "bench-1")
			b.ResetTimer()
			before, events := cpu(b), 0
			for range b.N {
				b.StopTimer()
				if err := s.Reset(context.Background(), "bench-1"); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				for at := 1; at <= n; at += 10 {
					b.StopTimer()
					made := cpu(b)
					blocks, count := busy(b, at, min(10, n-at+1))
					before += cpu(b) - made
					b.StartTimer()
					if _, err := s.Apply(context.Background(), blocks); err != nil {
						b.Fatal(err)
					}
					events += count
				}
			}
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "receipts/s")
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(events), "cpu-us/receipt")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// cpu is the processor time of this process.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkReceipts reads pages of 50 anywhere in 10 million receipts, of all, of a
// device and of a lease. GRANGE_BENCH_ROWS sets another number.
func BenchmarkReceipts(b *testing.B) {
	rows := 10_000_000
	if n, err := strconv.Atoi(os.Getenv("GRANGE_BENCH_ROWS")); err == nil {
		rows = n
	}
	path := os.Getenv("GRANGE_BENCH_INDEX") // to keep the file for the next run
	if path == "" {
		path = file(b)
	}
	s := openAt(b, path, "bench-1")
	var have int
	if err := s.read.QueryRowContext(context.Background(), "SELECT count(*) FROM (SELECT 1 FROM receipts LIMIT 1)").Scan(&have); err != nil {
		b.Fatal(err)
	}
	if have == 0 {
		fill(b, s, rows)
	}
	ctx := context.Background()
	for _, of := range []struct{ name, device, lease string }{{"all", "", ""}, {"device", hexOf(5), ""}, {"lease", "", hexOf(77)}} {
		b.Run(of.name, func(b *testing.B) {
			var took []time.Duration
			before := cpu(b)
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
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(len(took))/1e3, "cpu-ms/page")
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
		"DROP INDEX receipts_of_device", "DROP INDEX receipts_of_lease", // made after the rows: faster
		`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000)
		 INSERT INTO devices SELECT n, unhex(printf('%064X', n)), '', 'grange1', NULL, NULL, 'active', NULL, '[]', NULL, 0, NULL, NULL, NULL, 1, 1, 0, 0, 0 FROM c`,
		`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000)
		 INSERT INTO leases SELECT n, unhex(printf('%064X', n)), 1, n % 1000 + 1, 'grange1', 'grange1', 'storage', 'open', '', 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 'proven', 1 FROM c`,
		`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ` + strconv.Itoa(rows) + `)
		 INSERT INTO receipts SELECT n << 20, (n * 7919) % 5000 + 1, (n * 7919) % 1000 + 1, 1, n, 10, 20, 19, n / 100000, n / 100 << 20, n FROM c`,
		`WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < ` + strconv.Itoa(rows/100) + `)
		 INSERT INTO txs SELECT n << 20, unhex(printf('%064X', n)), n, 'grange1', 't', 't', 0, '', '', 1, 1, NULL FROM c`,
		"CREATE INDEX receipts_of_device ON receipts (device, id)",
		"CREATE INDEX receipts_of_lease ON receipts (lease, id)",
	} {
		if _, err := s.write.Exec(q); err != nil {
			b.Fatal(err)
		}
	}
}
