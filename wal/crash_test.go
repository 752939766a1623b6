package wal

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"
)

// appendForever is the child of TestKillNine: it appends from many goroutines
// and prints the number of each record once it is acknowledged.
func appendForever(dir string) {
	l, err := Open(dir, Options{FileBytes: 16 << 10})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var mu sync.Mutex
	for w := range 16 {
		go func() {
			for i := uint64(0); ; i++ {
				data := binary.BigEndian.AppendUint64([]byte{byte(w)}, i)
				seq, err := l.Append(context.Background(), append(data, make([]byte, i%300)...))
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				mu.Lock()
				fmt.Println(seq)
				mu.Unlock()
			}
		}()
	}
	select {}
}

// TestKillNine kills a process that appends, again and again: every number it
// printed is there afterwards, and nothing is there twice.
func TestKillNine(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "WAL_APPEND_FOREVER="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		highest, n := uint64(0), 0
		var kill *time.Timer
		for s := bufio.NewScanner(out); s.Scan(); n++ {
			if kill == nil {
				kill = time.AfterFunc(time.Duration(20+37*round)*time.Millisecond, func() { _ = cmd.Process.Kill() })
			}
			// A line cut by the kill parses as a smaller number, which is harmless.
			if seq, err := strconv.ParseUint(s.Text(), 10, 64); err == nil {
				highest = max(highest, seq)
			}
		}
		_ = cmd.Wait()
		if n == 0 {
			t.Fatal("the child acknowledged nothing")
		}
		checkKilled(t, dir, highest)
	}
}

func checkKilled(t *testing.T, dir string, acknowledged uint64) {
	t.Helper()
	l, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.Next() <= acknowledged {
		t.Fatalf("record %d was acknowledged, the log ends with %d", acknowledged, l.Next()-1)
	}
	seen := map[byte]uint64{}
	for r, err := range l.Records(0) {
		if err != nil {
			t.Fatal(err)
		}
		w, i := r.Data[0], binary.BigEndian.Uint64(r.Data[1:])
		if have, ok := seen[w]; ok && i != have+1 && i != 0 {
			t.Fatalf("record %d: appender %d wrote %d after %d", r.Seq, w, i, have)
		}
		seen[w] = i
	}
}

// BenchmarkAppend compares records per second with what the disk allows: raw
// fdatasyncs of the same bytes by one writer, in the same run.
func BenchmarkAppend(b *testing.B) {
	record := make([]byte, 256)
	for _, writers := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("256B/writers=%d", writers), func(b *testing.B) {
			l := mustOpen(b, b.TempDir(), Options{})
			next := make(chan struct{}, writers)
			var wg sync.WaitGroup
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for range next {
						if _, err := l.Append(context.Background(), record); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for range b.N {
				next <- struct{}{}
			}
			close(next)
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
	b.Run("raw/fdatasync=256B", func(b *testing.B) {
		f, err := createFile(b.TempDir() + "/raw")
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		b.ResetTimer()
		for range b.N {
			if _, err := f.Write(record); err != nil {
				b.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "syncs/s")
	})
}
