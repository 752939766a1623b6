package index

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/grange-network/grange/explorer/chaintest"
	"github.com/grange-network/grange/explorer/pgtest"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/client"
)

const devicesMade = 12

func openAt(t testing.TB, path, chainID string) *Store {
	t.Helper()
	s, _, err := Open(context.Background(), path, chainID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() }) // closing twice does nothing
	return s
}

func dumpOf(t testing.TB, s *Store) string {
	t.Helper()
	var b bytes.Buffer
	height, err := s.Dump(context.Background(), &b)
	if err != nil {
		t.Fatal(err)
	}
	if height != s.Height() {
		t.Fatalf("dump is of height %d, the index at %d", height, s.Height())
	}
	return b.String()
}

// fresh is where an empty index may be made.
type fresh func(testing.TB) string

func file(t testing.TB) string { return filepath.Join(t.TempDir(), "index.db") }

// both runs a test with each database.
func both(t *testing.T, f func(t *testing.T, at fresh)) {
	t.Run("sqlite", func(t *testing.T) { f(t, file) })
	t.Run("postgres", func(t *testing.T) { f(t, pgtest.Database) })
}

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func filled(t testing.TB, at fresh, blocks []client.Block) *Store {
	t.Helper()
	s := openAt(t, at(t), "test-1")
	if _, err := s.Apply(context.Background(), blocks); err != nil {
		t.Fatal(err)
	}
	return s
}

// However the blocks were cut into batches, and however often the file was
// closed or a batch given up between them, the content is the same.
func TestRebuildIsByteEqual(t *testing.T) { both(t, rebuildIsByteEqual) }

func rebuildIsByteEqual(t *testing.T, at fresh) {
	blocks := chaintest.History(t, 7, 120, devicesMade)
	want := dumpOf(t, filled(t, file, blocks)) // whichever database: the same bytes
	if n := strings.Count(want, "\n"); n < 300 {
		t.Fatalf("dump has %d rows", n)
	}
	path := at(t)
	n, most := 0, 10 // each opens files, or connections, which cost more
	if isURL(path) {
		most = 3
	}
	rapid.Check(t, func(r *rapid.T) {
		if n++; n > most {
			return
		}
		s, _, err := Open(context.Background(), path, "test-1")
		if err != nil {
			r.Fatal(err)
		}
		if err := s.Reset(context.Background(), "test-1"); err != nil {
			r.Fatal(err)
		}
		for at := 0; at < len(blocks); {
			size := rapid.IntRange(1, 60).Draw(r, "batch")
			end := min(at+size, len(blocks))
			switch rapid.IntRange(0, 3).Draw(r, "what") {
			case 0: // given up half way, as by kill -9
				cancelled, cancel := context.WithCancel(context.Background())
				cancel()
				if _, err := s.Apply(cancelled, blocks[at:end]); err == nil {
					r.Fatal("a cancelled batch was applied")
				}
			case 1: // broken in the middle: all of it is undone
				broken := append(append([]client.Block{}, blocks[at:end]...), blocks[at])
				if _, err := s.Apply(context.Background(), broken); err == nil {
					r.Fatal("a block was applied twice")
				}
			case 2:
				if err := s.Close(); err != nil {
					r.Fatal(err)
				}
				if s, _, err = Open(context.Background(), path, "test-1"); err != nil {
					r.Fatal(err)
				}
			default:
				if _, err := s.Apply(context.Background(), blocks[at:end]); err != nil {
					r.Fatal(err)
				}
				at = end
			}
		}
		if got := dumpOf(t, s); got != want {
			r.Fatalf("index differs: %s", firstDifference(want, got))
		}
		s.Close()
	})
}

func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return "want " + a[i] + "\ngot  " + b[i]
		}
	}
	return "one is longer"
}

func follow(t *testing.T, s *Store, c Chain) (*Follower, func()) {
	t.Helper()
	f := NewFollower(s, c, false, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	return f, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func await(t *testing.T, f *Follower, height int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if err := f.Await(ctx, height); err != nil {
		t.Fatal(err)
	}
}

func awaitState(t *testing.T, f *Follower, state string) Progress {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if p := f.Progress(); p.State == state {
			return p
		}
	}
	t.Fatalf("never %s: %+v", state, f.Progress())
	return Progress{}
}

func TestFollow(t *testing.T) { both(t, following) }

func following(t *testing.T, at fresh) {
	defer goleak.VerifyNone(t, goleak.IgnoreAnyFunction("database/sql.(*DB).connectionOpener"), goleak.IgnoreAnyFunction("github.com/desertbit/timer.timerRoutine"), goleak.IgnoreCurrent())
	blocks := chaintest.History(t, 7, 120, devicesMade)
	path := at(t)
	s := openAt(t, path, "test-1")

	c := chaintest.New("test-1", blocks[:50])
	f, stop := follow(t, s, c)
	await(t, f, 50)
	c.Change(func(s *chaintest.State) { s.Failing, s.Blocks = true, blocks[:60] })
	if p := awaitState(t, f, "stalled"); !strings.Contains(p.Message, "does not answer since block 50") {
		t.Errorf("message %q", p.Message)
	}
	c.Change(func(s *chaintest.State) { s.Failing = false })
	await(t, f, 60)
	stop()
	if p := f.Progress(); p.State != "stopped" {
		t.Errorf("state %q after the end", p.State)
	}

	t.Run("goes on where it was, and equals a rebuild", func(t *testing.T) {
		c := chaintest.New("test-1", blocks)
		f, stop := follow(t, s, c)
		await(t, f, 120)
		stop()
		if got, want := dumpOf(t, s), dumpOf(t, filled(t, at, blocks)); got != want {
			t.Error(firstDifference(want, got))
		}
	})
	t.Run("a check finds it equal, and finds a row that was changed", func(t *testing.T) {
		r, err := Check(context.Background(), path, chaintest.New("test-1", blocks), slog.New(slog.DiscardHandler))
		if err != nil || r.Height != 120 || r.Rows < 300 {
			t.Errorf("%+v, %v", r, err)
		}
		if _, err := s.write.Exec("UPDATE receipts SET paid = paid + 1 WHERE id = (SELECT max(id) FROM receipts)"); err != nil {
			t.Fatal(err)
		}
		if _, err := Check(context.Background(), path, chaintest.New("test-1", blocks), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "receipts id=") {
			t.Errorf("a forged receipt: %v", err)
		}
	})
	t.Run("another history of the same name is indexed anew", func(t *testing.T) {
		other := chaintest.History(t, 8, 130, devicesMade)
		c := chaintest.New("test-1", other)
		f, stop := follow(t, s, c)
		await(t, f, 130)
		stop()
		if !f.Progress().Rebuilt {
			t.Error("nobody was told of the rebuild")
		}
		if got, want := dumpOf(t, s), dumpOf(t, filled(t, at, other)); got != want {
			t.Error(firstDifference(want, got))
		}
	})
	t.Run("blocks that are pruned are stepped over, in words", func(t *testing.T) {
		s := openAt(t, at(t), "test-1")
		c := chaintest.New("test-1", blocks)
		c.Change(func(s *chaintest.State) { s.Earliest = 41 })
		f, stop := follow(t, s, c)
		await(t, f, 120)
		p := f.Progress()
		stop()
		if !strings.Contains(p.Message, "pruned blocks 1 to 40") {
			t.Errorf("message %q", p.Message)
		}
		if from, err := s.From(context.Background()); err != nil || from != 41 {
			t.Errorf("from %d, %v", from, err)
		}
		s.Close()
	})
	s.Close()
}

func TestAnotherChainMakesTheFileAnew(t *testing.T) { both(t, anotherChainMakesTheFileAnew) }

func anotherChainMakesTheFileAnew(t *testing.T, at fresh) {
	path := at(t)
	s := openAt(t, path, "test-1")
	if _, err := s.Apply(context.Background(), chaintest.History(t, 1, 20, 3)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s, anew, err := Open(context.Background(), path, "test-2")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !anew || s.Height() != 0 {
		t.Errorf("anew %v, height %d", anew, s.Height())
	}
}

// Fake capacity does not reach the headline: a hundred times the offers, no proof.
func TestClaimedIsNotProven(t *testing.T) { both(t, claimedIsNotProven) }

func claimedIsNotProven(t *testing.T, at fresh) {
	blocks := chaintest.History(t, 7, 120, devicesMade)
	s := filled(t, at, blocks)
	before, err := s.Overview(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if before.ProvenUnits == nil || *before.ProvenUnits == 0 {
		t.Fatal("nothing is proven")
	}
	fake := client.Block{Height: 121, Time: blocks[119].Time, Hash: []byte{9}, AppHash: []byte{9}, Proposer: []byte{9}}
	for i := range 100 * devicesMade {
		fake.Txs = append(fake.Txs, chaintest.Transaction(t, "grange1liar", []client.Event{chaintest.Event("grange.market.offer", "offer", itoa(1000+i), "device", chaintest.ID("device0"), "owner", "grange1liar", "status", "OFFER_STATUS_OPEN")}, fakePost(i)))
	}
	if _, err := s.Apply(context.Background(), []client.Block{fake}); err != nil {
		t.Fatal(err)
	}
	after, err := s.Overview(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if *after.ProvenUnits != *before.ProvenUnits || *after.Proven != *before.Proven {
		t.Errorf("proven %d units of %d devices, was %d of %d", *after.ProvenUnits, *after.Proven, *before.ProvenUnits, *before.Proven)
	}
	if after.Claimed < 50*before.Claimed {
		t.Errorf("claimed %d, was %d", after.Claimed, before.Claimed)
	}
}

// The map and the list count the same devices, whatever the filter.
func TestMapEqualsList(t *testing.T) { both(t, mapEqualsList) }

func mapEqualsList(t *testing.T, at fresh) {
	s := filled(t, at, chaintest.History(t, 7, 120, devicesMade))
	ctx := context.Background()
	for name, f := range map[string]DeviceFilter{
		"all": {}, "owner": {Owner: "grange1owner1"}, "proven": {Outcome: "proven"}, "faulted": {Outcome: "faulted"}, "idle": {Outcome: "idle"},
		"capability": {Capability: "storage-node"}, "nothing": {Capability: "no-such"}, "class": {Class: "prn", Status: "active"},
		"box": {Box: &Box{13, 52.5, 14, 52.6}},
	} {
		t.Run(name, func(t *testing.T) {
			listed := 0
			for p := (Page{Limit: 5}); ; {
				l, err := s.Devices(ctx, f, p)
				if err != nil {
					t.Fatal(err)
				}
				listed += len(l.Items)
				if l.Next == nil {
					break
				}
				p.After = *l.Next
			}
			for r := range 9 {
				cells, without, err := s.Cells(ctx, f, r)
				if err != nil {
					t.Fatal(err)
				}
				sum := without
				for _, c := range cells {
					sum += c.Devices
					within := f
					within.Cell = c.Cell
					if f.Cell == 0 {
						l, err := s.Devices(ctx, within, Page{Limit: 200})
						if err != nil {
							t.Fatal(err)
						}
						if int64(len(l.Items)) != c.Devices {
							t.Errorf("resolution %d, cell %s: %d on the map, %d in the list", r, c.Cell, c.Devices, len(l.Items))
						}
					}
				}
				if sum != int64(listed) {
					t.Errorf("resolution %d: map %d, list %d", r, sum, listed)
				}
			}
		})
	}
}

// Every list walks through all its items, once each, in one order.
func TestPages(t *testing.T) { both(t, pages) }

func pages(t *testing.T, at fresh) {
	s := filled(t, at, chaintest.History(t, 7, 120, devicesMade))
	ctx := context.Background()
	walk(t, "blocks", 120, func(p Page) (List[Block], error) { return s.Blocks(ctx, false, p) }, func(b Block) string { return itoa(int(b.Height)) })
	walk(t, "devices", devicesMade, func(p Page) (List[Device], error) { return s.Devices(ctx, DeviceFilter{}, p) }, func(d Device) string { return d.ID.String() })
	walk(t, "leases", 36, func(p Page) (List[Lease], error) { return s.Leases(ctx, LeaseFilter{}, p) }, func(l Lease) string { return l.ID.String() })
	walk(t, "epochs", 12, func(p Page) (List[Epoch], error) { return s.Epochs(ctx, p) }, func(e Epoch) string { return itoa(int(e.Number)) })
	walk(t, "offers", devicesMade, func(p Page) (List[Offer], error) { return s.Offers(ctx, OfferFilter{}, p) }, func(o Offer) string { return itoa(int(o.ID)) })
	receipts := walk(t, "receipts", -1, func(p Page) (List[Receipt], error) { return s.Receipts(ctx, "", "", p) }, func(r Receipt) string { return itoa(int(r.Height)) + ":" + itoa(r.Index) })
	walk(t, "rewards", -1, func(p Page) (List[Reward], error) { return s.Rewards(ctx, RewardFilter{}, p) }, func(r Reward) string { return r.Device.String() + itoa(int(r.Epoch)) })
	walk(t, "proofs", -1, func(p Page) (List[Proof], error) { return s.Proofs(ctx, "", 0, p) }, func(p Proof) string { return itoa(int(p.Sequence)) })
	walk(t, "events", -1, func(p Page) (List[Event], error) { return s.Events(ctx, "", p) }, func(e Event) string { return itoa(int(e.Height)) + ":" + itoa(e.Index) })
	settles := walk(t, "events of a type", receipts, func(p Page) (List[Event], error) { return s.Events(ctx, "grange.market.settle", p) }, func(e Event) string { return itoa(int(e.Height)) + ":" + itoa(e.Index) })
	if settles != receipts {
		t.Errorf("%d receipts, %d events of them", receipts, settles)
	}
	if _, err := s.Blocks(ctx, false, Page{After: "nonsense"}); !errors.Is(err, ErrBad) {
		t.Errorf("a cursor of nonsense: %v", err)
	}
	if _, err := s.Blocks(ctx, false, Page{Limit: 201}); !errors.Is(err, ErrBad) {
		t.Errorf("a page of 201: %v", err)
	}
}

func walk[T any](t *testing.T, name string, want int, ask func(Page) (List[T], error), key func(T) string) int {
	t.Helper()
	seen := map[string]bool{}
	for p := (Page{Limit: 7}); ; {
		l, err := ask(p)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, x := range l.Items {
			if seen[key(x)] {
				t.Fatalf("%s: %s twice", name, key(x))
			}
			seen[key(x)] = true
		}
		if l.Next == nil {
			break
		}
		p.After = *l.Next
	}
	if want >= 0 && len(seen) != want {
		t.Errorf("%s: %d items, want %d", name, len(seen), want)
	}
	if len(seen) == 0 {
		t.Errorf("%s: none", name)
	}
	return len(seen)
}

// Sums agree wherever they are read from.
func TestSumsAgree(t *testing.T) { both(t, sumsAgree) }

func sumsAgree(t *testing.T, at fresh) {
	s := filled(t, at, chaintest.History(t, 7, 120, devicesMade))
	ctx := context.Background()
	o, err := s.Overview(ctx)
	if err != nil {
		t.Fatal(err)
	}
	placed, err := s.Devices(ctx, DeviceFilter{Class: "prn", Status: "active"}, Page{Limit: 200})
	if err != nil || o.Placed != int64(len(placed.Items)) || o.Placed == 0 {
		t.Errorf("%d devices are said to be somewhere, %d are listed: %v", o.Placed, len(placed.Items), err)
	}
	var byLease, byEpoch, byReward, byReceipt Amount
	leases, _ := s.Leases(ctx, LeaseFilter{}, Page{Limit: 200})
	for _, l := range leases.Items {
		byLease += l.Paid
	}
	epochs, _ := s.Epochs(ctx, Page{Limit: 200})
	for _, e := range epochs.Items {
		byEpoch += e.Paid
	}
	rewards, _ := s.Rewards(ctx, RewardFilter{}, Page{Limit: 200})
	for _, r := range rewards.Items {
		byReward += r.HoldPaid + r.UsePaid
		byReceipt += r.UsePaid
	}
	if o.Paid != byLease || o.Paid != byEpoch || o.Paid != byReward || o.Paid == 0 {
		t.Errorf("paid: overview %d, leases %d, epochs %d, rewards %d", o.Paid, byLease, byEpoch, byReward)
	}
	w, err := s.Why(ctx, chaintest.ID("device0"), 5)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Leases) == 0 || w.Reward.Outcome == nil || len(w.Receipts) != int(w.Reward.Receipts) {
		t.Errorf("why: %d leases, %d receipts of %d", len(w.Leases), len(w.Receipts), w.Reward.Receipts)
	}
	h, err := s.Health(ctx, "storage")
	if err != nil {
		t.Fatal(err)
	}
	if h.Devices != devicesMade || len(h.Problems) == 0 {
		t.Errorf("health: %d devices, %d problems", h.Devices, len(h.Problems))
	}
	var held Amount
	for i, x := range h.Holders {
		held += x.Held
		if i > 0 && x.Faulted > h.Holders[i-1].Faulted || x.Proven == 0 || x.LastSeen == nil {
			t.Errorf("holder %d: %+v", i, x)
		}
	}
	if held != h.Held || held == 0 || int64(len(h.Holders)) != h.Holding {
		t.Errorf("%d holders hold %d, all hold %d of %d", len(h.Holders), held, h.Holding, h.Held)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

func fakePost(i int) *marketpb.MsgPost {
	return &marketpb.MsgPost{Owner: "grange1liar", Kind: "storage", Hold: marketpb.Price{Credits: 1, Per: 1 << 30}, Capacity: 1 << 40, Bond: uint64(i)}
}
