package trace_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	oteltrace "go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/grange-network/grange/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open starts a recorder whose spans are read with the returned function, which
// closes it first.
func open(t *testing.T, root string, c trace.Config) (*trace.Recorder, func()) {
	t.Helper()
	c.Dir = filepath.Join(root, "one")
	r, err := trace.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r, func() {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func id(n byte) [32]byte { return [32]byte{n, 1, 2, 3} }

// request records a request that reads one piece up to units of a lane, as the
// gateway and a provider in another process do.
func request(gw, provider oteltrace.Tracer, units uint64, fail error) string {
	ctx, door := gw.Start(context.Background(), "S3 GET", oteltrace.WithAttributes(trace.Door.Bool(true)))
	rctx, read := trace.Start(ctx, "read piece")
	h := map[string][]string{}
	trace.Inject(rctx, h)
	_, serve := provider.Start(trace.Extract(context.Background(), h[trace.Header][0]), "serve piece")
	trace.End(serve, fail)
	read.SetAttributes(trace.Hex(trace.Lease, id(1)), trace.Number(trace.Lane, uint32(1)), trace.Number(trace.Units, units))
	trace.End(read, fail)
	trace.End(door, fail)
	return trace.ID(ctx)
}

func TestPaymentIsJoined(t *testing.T) {
	root := t.TempDir()
	r, done := open(t, root, trace.Config{})
	gw, provider := r.Tracer("gateway"), r.Tracer("storage-01")
	first, second, third := request(gw, provider, 100, nil), request(gw, provider, 250, nil), request(gw, provider, 900, nil)
	pay := func(seq, units uint64) {
		ctx, s := provider.Start(t.Context(), "take receipt", oteltrace.WithAttributes(trace.Keep.Bool(true)))
		trace.Note(ctx, trace.EventReceipt, trace.Hex(trace.Lease, id(1)), trace.Number(trace.Lane, uint32(1)), trace.Number(trace.Seq, seq), trace.Number(trace.Units, units))
		trace.End(s, nil)
	}
	pay(1, 100)
	pay(2, 300)
	ctx, s := provider.Start(t.Context(), "transaction", oteltrace.WithAttributes(trace.Keep.Bool(true), trace.Tx.String("AB12"), trace.Number(trace.Height, 7)))
	trace.Note(ctx, trace.EventSettled, trace.Hex(trace.Lease, id(1)), trace.Number(trace.Lane, uint32(1)), trace.Number(trace.Seq, 2), trace.Number(trace.Units, 300), trace.Paid.String("55"))
	trace.End(s, nil)
	done()

	for _, c := range []struct {
		name, id, tx string
		seq          uint64
	}{
		{"the first receipt that covers it", first, "AB12", 1},
		{"a later receipt", second, "AB12", 2},
		{"no receipt yet", third, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree, err := trace.Load(root, c.id)
			if err != nil {
				t.Fatal(err)
			}
			if len(tree.Roots) != 1 || len(tree.Roots[0].Children) != 1 || len(tree.Roots[0].Children[0].Children) != 1 {
				t.Fatalf("tree is not door, read piece, serve piece: %+v", tree)
			}
			p := tree.Roots[0].Children[0].Payment
			if p == nil || p.Seq != c.seq || p.Tx != c.tx {
				t.Fatalf("payment is %+v, want receipt %d, transaction %q", p, c.seq, c.tx)
			}
		})
	}
}

// What is sold from a standing lease is paid by the first statement that covers it.
func TestStatementIsJoined(t *testing.T) {
	root := t.TempDir()
	r, done := open(t, root, trace.Config{})
	tr := r.Tracer("sensing-gateway")
	sold := func(units uint64) string {
		ctx, door := tr.Start(context.Background(), "DATA GET", oteltrace.WithAttributes(trace.Door.Bool(true)))
		_, pay := trace.Start(ctx, "pay", trace.Hex(trace.Lease, id(1)), trace.Number(trace.Units, units), trace.Unit.String("row"))
		trace.End(pay, nil)
		trace.End(door, nil)
		return trace.ID(ctx)
	}
	state := func(units, epoch uint64, tx string, err error) {
		ctx, s := tr.Start(t.Context(), "transaction", oteltrace.WithAttributes(trace.Keep.Bool(true), trace.Tx.String(tx)))
		trace.Note(ctx, trace.EventStated, trace.Hex(trace.Lease, id(1)), trace.Number(trace.Units, units), trace.Number(trace.Epoch, epoch))
		trace.End(s, err)
	}
	first, second, third := sold(10), sold(20), sold(30)
	state(10, 1, "AA", nil)
	state(25, 2, "BB", nil)
	state(40, 3, "", errors.New("the lease is closed"))
	done()
	for _, c := range []struct {
		name, id, tx, refusal string
		units                 uint64
	}{
		{"the first", first, "AA", "", 10},
		{"one that covers more", second, "BB", "", 25},
		{"one that was refused", third, "", "the lease is closed", 0},
	} {
		tree, err := trace.Load(root, c.id)
		if err != nil {
			t.Fatal(err)
		}
		p := tree.Roots[0].Children[0].Payment
		if p == nil || p.Tx != c.tx || p.Refusal != c.refusal || p.SignedUnits != c.units || p.Unit != "row" {
			t.Errorf("%s: %+v", c.name, p)
		}
	}
}

func TestRefusedSettlementSaysWhy(t *testing.T) {
	root := t.TempDir()
	r, done := open(t, root, trace.Config{})
	tr := r.Tracer("storage-01")
	want := request(tr, tr, 100, nil)
	ctx, s := tr.Start(t.Context(), "transaction")
	trace.Note(ctx, trace.EventSettled, trace.Hex(trace.Lease, id(1)), trace.Number(trace.Lane, uint32(1)), trace.Number(trace.Seq, 1), trace.Number(trace.Units, 100))
	trace.End(s, errors.New("lease is closed"))
	done()
	tree, err := trace.Load(root, want)
	if err != nil {
		t.Fatal(err)
	}
	if p := tree.Roots[0].Children[0].Payment; p == nil || p.Refusal != "lease is closed" {
		t.Fatalf("payment is %+v", p)
	}
}

func TestFailuresAreAlwaysKept(t *testing.T) {
	root := t.TempDir()
	r, done := open(t, root, trace.Config{PerSecond: 1})
	gw, provider := r.Tracer("gateway"), r.Tracer("storage-01")
	for i := range 100 {
		request(gw, provider, uint64(i+1), nil)
	}
	bad := request(gw, provider, 101, errors.New("disk is on fire"))
	given := request(gw, provider, 102, context.Canceled)
	done()
	all, err := trace.List(root, 1000, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 || len(all) > 20 { // the burst, and a few more on a slow machine
		t.Errorf("%d requests are kept, want about 11", len(all))
	}
	failed, err := trace.List(root, 1000, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(failed) != 1 || failed[0].Trace != bad || failed[0].Why != "disk is on fire" {
		t.Fatalf("failed: %+v", failed)
	}
	tree, err := trace.Load(root, bad)
	if err != nil || tree.Why != "disk is on fire" || len(tree.Roots[0].Children[0].Children) != 1 {
		t.Fatalf("tree %+v, error %v", tree, err)
	}
	if _, err := trace.Load(root, given); !errors.Is(err, trace.ErrNotFound) {
		t.Fatalf("a request that was given up is kept, error %v", err)
	}
}

func TestStoreStaysBoundedAndOutlivesACrash(t *testing.T) {
	root := t.TempDir()
	const limit = 256 << 10
	r, done := open(t, root, trace.Config{MaxBytes: limit, PerSecond: 1 << 20})
	tr := r.Tracer("gateway")
	long := strings.Repeat("x", 1000)
	for i := range 2000 {
		_, s := tr.Start(t.Context(), "pack", oteltrace.WithAttributes(trace.Refused.String(long), trace.Number(trace.Seq, i)))
		s.End()
	}
	newest := request(tr, tr, 1, nil)
	done()
	files, err := filepath.Glob(filepath.Join(root, "one", "*.spans"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	var size int64
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > limit {
		t.Errorf("store has %d bytes, limit %d", size, limit)
	}
	// A crash in the middle of a write tears the last line.
	last := files[len(files)-1]
	f, err := os.OpenFile(last, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, `{"trace":"`+newest+`","span":"00`)
	f.Close()
	_, again := open(t, root, trace.Config{})
	again()
	if tree, err := trace.Load(root, newest[:12]+newest[12:]); err != nil || len(tree.Roots) != 1 {
		t.Fatalf("tree %+v, error %v", tree, err)
	}
	if full, err := trace.Expand(root, newest[:8]); err != nil || full != newest {
		t.Fatalf("expanded to %q, error %v", full, err)
	}
}

func TestOldFilesGo(t *testing.T) {
	root := t.TempDir()
	r, done := open(t, root, trace.Config{})
	tr := r.Tracer("gateway")
	old := request(tr, tr, 1, nil)
	done()
	files, _ := filepath.Glob(filepath.Join(root, "one", "*.spans"))
	then := time.Now().Add(-72 * time.Hour)
	for _, f := range files {
		if err := os.Chtimes(f, then, then); err != nil {
			t.Fatal(err)
		}
	}
	_, done = open(t, root, trace.Config{})
	done()
	if _, err := trace.Load(root, old); !errors.Is(err, trace.ErrNotFound) {
		t.Fatalf("error is %v", err)
	}
}

func TestNilRecorderPassesIDsOn(t *testing.T) {
	var r *trace.Recorder
	ctx, s := r.Tracer("gateway").Start(t.Context(), "S3 GET")
	defer s.End()
	h := map[string][]string{}
	trace.Inject(ctx, h)
	if got := h[trace.Header]; len(got) != 1 || !strings.Contains(got[0], trace.ID(ctx)) || trace.ID(ctx) == "" {
		t.Fatalf("headers %v of trace %q", h, trace.ID(ctx))
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"trace":"0af7651916cd43dd8448eb211c80319c","span":"b7ad6b7169203331","role":"gateway","name":"S3 GET","start_ns":1,"end_ns":2}`))
	f.Add([]byte(`{"trace":"0af7651916cd43dd8448eb211c80319c","span":"b7ad6b7169203331","parent":"`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		s, err := trace.Decode(line)
		if err != nil {
			return
		}
		trace.Build(s.Trace, []trace.Span{s, s}, []trace.Span{s})
	})
}
