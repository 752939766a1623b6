package s3_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/grange-network/grange/vertical/storage/s3"
)

// proven returns n bytes that say what they must be: a seed and the noise of
// that seed.
func proven(seed uint64, n int) []byte {
	return append(binary.BigEndian.AppendUint64(nil, seed), noise(seed, n)...)
}

func isProven(p []byte) bool {
	if len(p) < 8 {
		return false
	}
	seed := binary.BigEndian.Uint64(p)
	return bytes.Equal(p, proven(seed, len(p)-8))
}

// Many clients write, read, copy and delete the same few keys while packing,
// compaction and deletion run all the time: nobody ever reads a mixture.
func TestStress(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	f := start(t, "", func(c *s3.Config) { c.PackIdle, c.PackAge = time.Millisecond, 5*time.Millisecond })
	f.makeBucket(bucket)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var reads, writes atomic.Int64
	var wg sync.WaitGroup
	for w := range 12 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			for ctx.Err() == nil {
				if err := stressStep(f, r, &reads, &writes); err != nil {
					t.Errorf("worker %d: %v", w, err)
					cancel()
				}
			}
		})
	}
	wg.Wait()
	f.must(f.door.Pack())
	f.settled()
	t.Logf("%d reads, %d writes", reads.Load(), writes.Load())
}

func stressStep(f *fixture, r *rand.Rand, reads, writes *atomic.Int64) error {
	ctx := context.Background()
	key := name("k%d", r.IntN(6))
	var err error
	switch r.IntN(10) {
	case 0, 1, 2:
		sizes := []int{100, 5000, 5000, 60_000, 300_000, 1_200_000, 3_000_000}
		_, err = f.PutObject(ctx, &sdk.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader(proven(r.Uint64(), sizes[r.IntN(len(sizes))]))})
		writes.Add(1)
	case 3:
		_, err = f.DeleteObject(ctx, &sdk.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key})
	case 4:
		_, err = f.CopyObject(ctx, &sdk.CopyObjectInput{Bucket: aws.String(bucket), Key: &key, CopySource: aws.String(name("%s/k%d", bucket, r.IntN(6))),
			MetadataDirective: types.MetadataDirectiveReplace})
	case 5:
		_, err = f.ListObjectsV2(ctx, &sdk.ListObjectsV2Input{Bucket: aws.String(bucket)})
	default:
		var data []byte
		data, err = f.read(&sdk.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
		if err == nil && !isProven(data) {
			f.t.Errorf("key %s: %d bytes that nobody wrote", key, len(data))
		}
		reads.Add(1)
	}
	if c, _ := code(err); c == "NoSuchKey" || c == "OperationAborted" {
		return nil
	}
	return err
}

// zeros is an endless body that costs no memory.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// However large an object, only a little of it is in memory at any time.
func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("moves much data")
	}
	f := begin(t)
	defer debug.SetGCPercent(debug.SetGCPercent(10)) // what is garbage does not count
	const size = 600 << 20
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before := m.HeapAlloc
	stop := make(chan struct{})
	peak := make(chan uint64)
	go func() {
		var most uint64
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				peak <- most
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
	}()
	req := f.signed(http.MethodPut, "/bucket/huge", "UNSIGNED-PAYLOAD", size)
	req.Body = io.NopCloser(io.LimitReader(zeros{}, size))
	res, err := f.http.Do(req)
	f.must(err)
	_ = res.Body.Close()
	if res.StatusCode != 200 {
		t.Fatalf("put: status %d", res.StatusCode)
	}
	out, err := f.GetObject(f.ctx(), &sdk.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("huge")})
	f.must(err)
	n, err := io.Copy(io.Discard, out.Body)
	f.must(err)
	_ = out.Body.Close()
	close(stop)
	if most := <-peak; n != size || most > before+64<<20 {
		t.Fatalf("read %d of %d bytes, heap went from %d to %d MiB", n, int64(size), before>>20, most>>20)
	}
}
