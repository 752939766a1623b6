package s3_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/grange-network/grange/vertical/storage/s3"
	"github.com/grange-network/grange/vertical/storage/s3/internal/dirsegments"
)

const crashHome = "GRANGE_S3_CRASH_HOME"

// serveUntilKilled is the child process of the crash test: a door that packs
// all the time.
func serveUntilKilled(home string) {
	segments, err := dirsegments.Open(filepath.Join(home, "segments"))
	if err == nil {
		err = s3.Serve(context.Background(), s3.Config{
			Addr: "127.0.0.1:0", Region: region, AccessKey: access, SecretKey: secret,
			Home: filepath.Join(home, "door"), Segments: segments,
			PackIdle: 5 * time.Millisecond, PackAge: 20 * time.Millisecond,
			Ready: func(addr string) { fmt.Println(addr) },
		})
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// state is what is known of one key: what was acknowledged last, and what the
// request under way at the crash would make of it.
type state struct {
	acked, tried []byte // nil: not there
	pending      bool
}

func (s *state) admits(got []byte) bool {
	return equal(got, s.acked) || s.pending && equal(got, s.tried)
}

func equal(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func TestKilledWhileWriting(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	const workers, rounds = 8, 6
	home := t.TempDir()
	known := make([]map[string]*state, workers)
	for i := range known {
		known[i] = map[string]*state{}
	}
	acks := 0
	for round := range rounds {
		addr, kill := startChild(t, home)
		f := &fixture{t: t, url: "http://" + addr, http: newHTTP()}
		f.Client = f.client(access, secret)
		if round == 0 {
			f.makeBucket(bucket)
		}
		for _, keys := range known {
			acks += checkStates(f, keys)
		}
		var wg sync.WaitGroup
		for w, keys := range known {
			wg.Go(func() { writeUntilDead(f, rand.New(rand.NewPCG(uint64(round), uint64(w))), w, keys) })
		}
		time.Sleep(time.Duration(200+rand.IntN(900)) * time.Millisecond)
		kill()
		wg.Wait()
		f.http.CloseIdleConnections()
	}
	f := start(t, home, nil)
	for _, keys := range known {
		acks += checkStates(f, keys)
	}
	f.settled()
	f.must(f.door.Pack())
	for _, keys := range known {
		checkStates(f, keys)
	}
	f.settled()
	t.Logf("%d acknowledged objects found again after %d kills", acks, rounds)
	if acks < 100 {
		t.Errorf("only %d objects were checked", acks)
	}
}

func startChild(t *testing.T, home string) (addr string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashHome+"="+home)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("child did not start: %v", err)
	}
	return strings.TrimSpace(line), kill
}

// checkStates compares each key with what is known of it, counts those that are
// there, and settles what was open.
func checkStates(f *fixture, keys map[string]*state) int {
	f.t.Helper()
	n := 0
	for key, s := range keys {
		got, err := f.read(&sdk.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
		if c, _ := code(err); c == "NoSuchKey" {
			got, err = nil, nil
		}
		f.must(err)
		if !s.admits(got) {
			f.t.Fatalf("key %s has %d bytes; acknowledged were %d, under way (%v) %d", key, len(got), len(s.acked), s.pending, len(s.tried))
		}
		if got != nil {
			n++
		}
		*s = state{acked: got}
	}
	return n
}

var crashSizes = []int{0, 50, 4096, 5000, 60_000, 300_000, 1 << 20, 2 << 20}

// writeUntilDead writes and deletes its own keys until a request fails.
func writeUntilDead(f *fixture, r *rand.Rand, worker int, keys map[string]*state) {
	ctx := context.Background()
	for i := 0; ; i++ {
		key := name("w%d/%d", worker, r.IntN(30))
		s := keys[key]
		if s == nil {
			s = &state{}
			keys[key] = s
		}
		var err error
		s.pending = true
		switch {
		case s.acked != nil && r.IntN(5) == 0:
			s.tried = nil
			_, err = f.DeleteObject(ctx, &sdk.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key})
		default:
			s.tried = noise(r.Uint64(), crashSizes[r.IntN(len(crashSizes))])
			_, err = f.PutObject(ctx, &sdk.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader(s.tried)})
		}
		if err != nil {
			return
		}
		*s = state{acked: s.tried}
	}
}
