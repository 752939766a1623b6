package store

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/vertical/storage/piece"
	"github.com/grange-network/grange/vertical/storage/proof"
)

func TestMain(m *testing.M) {
	if os.Getenv(crashEnv) != "" {
		writeUntilKilled()
	}
	goleak.VerifyTestMain(m)
}

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func open(t testing.TB, dir string, capacity int64) (*Store, *clock) {
	t.Helper()
	c := &clock{time.Unix(1_700_000_000, 0)}
	s, err := Open(Options{Dir: dir, Capacity: capacity, Now: c.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, c
}

func randomBytes(seed uint64, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), 1}).Read(b)
	return b
}

func rootOf(b []byte) piece.Root {
	r, err := piece.Sum(b)
	if err != nil {
		panic(err)
	}
	return r
}

func put(t testing.TB, s *Store, lease LeaseID, data []byte) piece.Root {
	t.Helper()
	root := rootOf(data)
	if _, err := s.Put(lease, root, int64(len(data)), bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return root
}

func mustRead(t testing.TB, s *Store, root piece.Root, want []byte) {
	t.Helper()
	f, err := s.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := io.ReadAll(io.NewSectionReader(f.Data(), 0, f.Size()))
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read %d bytes: %v", len(got), err)
	}
	p, err := piece.Prove(f.Data(), f.Outboard(), f.Size(), f.Size()-1)
	if err != nil {
		t.Fatal(err)
	}
	if err := piece.Verify(root, f.Size(), f.Size()-1, p); err != nil {
		t.Fatal(err)
	}
}

// commit applies a change of the lease's set, as the provider would.
func commit(t testing.TB, s *Store, lease LeaseID, revision uint64, add, remove []piece.Root) receipt.Commitment {
	t.Helper()
	set, err := s.Set(lease)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range add {
		size, _ := s.Holds(lease, r)
		if set, err = set.Add(proof.Piece{Root: r, Size: size}); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range remove {
		if set, err = set.Remove(r); err != nil {
			t.Fatal(err)
		}
	}
	c := receipt.Commitment{Lease: lease, Revision: revision, Root: set.Root(), Units: set.Units()}
	if err := s.Commit(c, set, add, remove); err != nil {
		t.Fatal(err)
	}
	return c
}

var leaseA, leaseB = LeaseID{1}, LeaseID{2}

func TestPutSurvivesReopen(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, 1<<30)
	data := randomBytes(1, 100_000)
	root := put(t, s, leaseA, data)
	mustRead(t, s, root, data)
	if created, err := s.Put(leaseA, root, 100_000, iotest.ErrReader(errors.New("must not be read"))); created || err != nil {
		t.Fatalf("put again: %v %v", created, err)
	}
	s.Close()
	s, _ = open(t, dir, 1<<30)
	mustRead(t, s, root, data)
	if u := s.Usage(); u.Used != 100_000 || u.Pieces != 1 || u.Reserved != 0 {
		t.Errorf("usage %+v", u)
	}
	if _, ok := s.Holds(leaseB, root); ok {
		t.Error("a lease that never stored the piece holds it")
	}
}

func TestRefusedPutsLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, 50_000)
	data := randomBytes(1, 10_000)
	other := rootOf([]byte("other"))
	boom := errors.New("boom")
	for name, tc := range map[string]struct {
		root piece.Root
		size int64
		body io.Reader
		want error
	}{
		"wrong root":  {other, 10_000, bytes.NewReader(data), ErrMismatch},
		"short body":  {rootOf(data), 10_001, bytes.NewReader(data), io.ErrUnexpectedEOF},
		"broken body": {rootOf(data), 10_000, io.MultiReader(bytes.NewReader(data[:500]), iotest.ErrReader(boom)), boom},
		"too large":   {rootOf(data), 60_000, bytes.NewReader(data), ErrFull},
	} {
		if _, err := s.Put(leaseA, tc.root, tc.size, tc.body); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, size := range []int64{0, -1, piece.MaxSize + 1} {
		if _, err := s.Put(leaseA, other, size, bytes.NewReader(data)); err == nil {
			t.Errorf("size %d accepted", size)
		}
	}
	if u := s.Usage(); u.Used != 0 || u.Reserved != 0 || u.Pieces != 0 {
		t.Errorf("usage %+v", u)
	}
	if n := countFiles(t, dir); n != 0 {
		t.Errorf("%d files left", n)
	}
}

func countFiles(t testing.TB, dir string) int {
	t.Helper()
	n := 0
	for _, sub := range []string{"tmp", "pieces"} {
		err := filepath.WalkDir(filepath.Join(dir, sub), func(_ string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				n++
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func TestCapacityHoldsUnderConcurrency(t *testing.T) {
	s, _ := open(t, t.TempDir(), 100_000)
	var wg sync.WaitGroup
	var mu sync.Mutex
	stored := 0
	for i := range 40 {
		wg.Go(func() {
			data := randomBytes(uint64(i), 10_000)
			_, err := s.Put(leaseA, rootOf(data), 10_000, bytes.NewReader(data))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				stored++
			} else if !errors.Is(err, ErrFull) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if u := s.Usage(); u.Used > u.Capacity || u.Used != int64(stored)*10_000 || u.Reserved != 0 {
		t.Errorf("stored %d, usage %+v", stored, u)
	}
	if stored == 0 {
		t.Error("nothing stored")
	}
}

func TestCommitmentsAndOldSets(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, 1<<30)
	a, b, c := put(t, s, leaseA, randomBytes(1, 1000)), put(t, s, leaseA, randomBytes(2, 2000)), put(t, s, leaseA, randomBytes(3, 3000))
	c1 := commit(t, s, leaseA, 1, []piece.Root{a, b}, nil)
	c2 := commit(t, s, leaseA, 2, []piece.Root{c}, []piece.Root{a})
	c3 := commit(t, s, leaseA, 5, []piece.Root{a}, []piece.Root{b})
	check := func() {
		t.Helper()
		for _, want := range []receipt.Commitment{c1, c2, c3} {
			set, err := s.SetAt(leaseA, want.Root)
			if err != nil || set.Root() != want.Root || set.Units() != want.Units {
				t.Fatalf("revision %d: %v", want.Revision, err)
			}
		}
		if got, ok := s.Commitment(leaseA); !ok || got != c3 {
			t.Fatalf("newest %+v", got)
		}
	}
	check()
	s.Close()
	s, _ = open(t, dir, 1<<30)
	check()
	if n, err := s.Retire(leaseA, 2); err != nil || n != 0 {
		t.Fatalf("retire 2: %d %v", n, err)
	}
	if _, err := s.SetAt(leaseA, c1.Root); !errors.Is(err, ErrUnknownSet) {
		t.Errorf("retired set: %v", err)
	}
	if set, err := s.SetAt(leaseA, c2.Root); err != nil || set.Root() != c2.Root {
		t.Errorf("set in force: %v", err)
	}
	if n, err := s.Retire(leaseA, 5); err != nil || n != 1 {
		t.Fatalf("retire 5: %d %v", n, err)
	}
	if _, err := s.Open(b); !errors.Is(err, ErrMissing) {
		t.Errorf("removed piece: %v", err)
	}
	if _, err := os.Stat(s.Path(b)); !os.IsNotExist(err) {
		t.Errorf("its file: %v", err)
	}
	if u := s.Usage(); u.Used != 4000 || u.Pieces != 2 {
		t.Errorf("usage %+v", u)
	}
}

func TestCommitRefusals(t *testing.T) {
	s, _ := open(t, t.TempDir(), 1<<30)
	a := put(t, s, leaseA, randomBytes(1, 1000))
	foreign := put(t, s, leaseB, randomBytes(2, 1000))
	set, _ := proof.NewSet([]proof.Piece{{Root: a, Size: 1000}})
	both, _ := set.Add(proof.Piece{Root: foreign, Size: 1000})
	for name, tc := range map[string]struct {
		c     receipt.Commitment
		set   proof.Set
		added []piece.Root
		want  error
	}{
		"another lease's piece": {receipt.Commitment{Lease: leaseA, Revision: 1, Root: both.Root(), Units: 2000}, both, []piece.Root{a, foreign}, ErrMissing},
		"wrong root":            {receipt.Commitment{Lease: leaseA, Revision: 1, Units: 1000}, set, []piece.Root{a}, nil},
		"wrong units":           {receipt.Commitment{Lease: leaseA, Revision: 1, Root: set.Root(), Units: 1001}, set, []piece.Root{a}, nil},
	} {
		if err := s.Commit(tc.c, tc.set, tc.added, nil); err == nil || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.Pending(leaseA) != 1000 {
		t.Errorf("pending %d after refusals", s.Pending(leaseA))
	}
	commit(t, s, leaseA, 7, []piece.Root{a}, nil)
	for _, revision := range []uint64{6, 7} {
		c := receipt.Commitment{Lease: leaseA, Revision: revision, Root: set.Root(), Units: 1000}
		if err := s.Commit(c, set, nil, nil); err == nil {
			t.Errorf("revision %d after 7 accepted", revision)
		}
	}
}

func TestPendingExpiresAndMembersStay(t *testing.T) {
	s, clock := open(t, t.TempDir(), 1<<30)
	a, b := put(t, s, leaseA, randomBytes(1, 1000)), put(t, s, leaseA, randomBytes(2, 2000))
	commit(t, s, leaseA, 1, []piece.Root{a}, nil)
	clock.t = clock.t.Add(47 * time.Hour)
	fresh := put(t, s, leaseA, randomBytes(3, 10))
	if n, err := s.Expire(leaseA, 48*time.Hour); n != 0 || err != nil {
		t.Fatalf("after 47 h: %d %v", n, err)
	}
	clock.t = clock.t.Add(2 * time.Hour)
	if n, err := s.Expire(leaseA, 48*time.Hour); n != 1 || err != nil {
		t.Fatalf("after 49 h: %d %v", n, err)
	}
	for r, want := range map[piece.Root]bool{a: true, b: false, fresh: true} {
		if _, ok := s.Holds(leaseA, r); ok != want {
			t.Errorf("piece %v held: %v", r, ok)
		}
	}
}

func TestPieceOfTwoLeasesStaysForTheOther(t *testing.T) {
	s, _ := open(t, t.TempDir(), 1<<30)
	data := randomBytes(1, 5000)
	root := put(t, s, leaseA, data)
	put(t, s, leaseB, data)
	commit(t, s, leaseA, 1, []piece.Root{root}, nil)
	if u := s.Usage(); u.Used != 5000 || u.Pieces != 1 {
		t.Errorf("usage %+v", u)
	}
	if n, err := s.Forget(leaseA); n != 0 || err != nil {
		t.Fatalf("forget first: %d %v", n, err)
	}
	mustRead(t, s, root, data)
	if n, err := s.Forget(leaseB); n != 1 || err != nil {
		t.Fatalf("forget second: %d %v", n, err)
	}
	if len(s.Leases()) != 0 || s.Usage().Used != 0 {
		t.Errorf("leases %v usage %+v", s.Leases(), s.Usage())
	}
}

// A piece removed and put again before the ledger followed must not vanish with
// its old removal.
func TestPutAgainAfterRemoval(t *testing.T) {
	s, _ := open(t, t.TempDir(), 1<<30)
	data := randomBytes(1, 5000)
	root := put(t, s, leaseA, data)
	commit(t, s, leaseA, 1, []piece.Root{root}, nil)
	commit(t, s, leaseA, 2, nil, []piece.Root{root})
	put(t, s, leaseA, data)
	if n, err := s.Retire(leaseA, 2); n != 0 || err != nil {
		t.Fatalf("retire: %d %v", n, err)
	}
	commit(t, s, leaseA, 3, []piece.Root{root}, nil)
	mustRead(t, s, root, data)
}

func TestLostPieceIsReportedAndTakenAgain(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, 1<<30)
	data := randomBytes(1, 5000)
	root := put(t, s, leaseA, data)
	commit(t, s, leaseA, 1, []piece.Root{root}, nil)
	s.Close()
	if err := os.Truncate(s.Path(root), 100); err != nil {
		t.Fatal(err)
	}
	s, _ = open(t, dir, 1<<30)
	if !slices.Equal(s.Lost(), []piece.Root{root}) {
		t.Fatalf("lost %v", s.Lost())
	}
	put(t, s, leaseA, data)
	mustRead(t, s, root, data)
	if s.Pending(leaseA) != 0 || s.Usage().Used != 5000 {
		t.Errorf("pending %d usage %+v", s.Pending(leaseA), s.Usage())
	}
}

func TestCheckFindsAFlippedBit(t *testing.T) {
	s, _ := open(t, t.TempDir(), 1<<30)
	root := put(t, s, leaseA, randomBytes(1, 50_000))
	if err := s.Check(root); err != nil {
		t.Fatal(err)
	}
	flip(t, s.Path(root), 33_333)
	if err := s.Check(root); !errors.Is(err, ErrMismatch) {
		t.Fatalf("after a flip: %v", err)
	}
}

func flip(t testing.TB, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 4
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

func TestSecondProcessIsKeptOut(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, 1)
	if s, err := Open(Options{Dir: dir, Capacity: 1}); err == nil {
		s.Close()
		t.Fatal("opened twice")
	}
}

func TestClosedStore(t *testing.T) {
	s, _ := open(t, t.TempDir(), 1<<20)
	s.Close()
	if err := s.SaveLane(leaseA, 1, []byte{1}); !errors.Is(err, ErrClosed) {
		t.Errorf("save: %v", err)
	}
}

func TestLanes(t *testing.T) {
	s, _ := open(t, t.TempDir(), 1<<20)
	if s.Lane(leaseA, 1) != nil {
		t.Error("state of a new lane")
	}
	for i := range uint32(3) {
		if err := s.SaveLane(leaseA, i, []byte{byte(i), 9}); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Lane(leaseA, 2); !bytes.Equal(got, []byte{2, 9}) {
		t.Errorf("lane 2: %v", got)
	}
	if got := s.Leases(); !slices.Equal(got, []LeaseID{leaseA}) {
		t.Errorf("leases %v", got)
	}
}

// Against a model: whatever is put, committed, retired, expired and reopened, each
// revision the ledger may ask for loads with its root, and a piece exists exactly
// while some lease has it.
func TestStoreModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "store")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		s, _ := open(t, dir, 1<<30)
		defer func() { s.Close() }()
		type state struct {
			members map[piece.Root]bool
			rev     uint64
			live    map[uint64]receipt.Commitment
		}
		model := map[LeaseID]*state{leaseA: {map[piece.Root]bool{}, 0, map[uint64]receipt.Commitment{}}, leaseB: {map[piece.Root]bool{}, 0, map[uint64]receipt.Commitment{}}}
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			lease := rapid.SampledFrom([]LeaseID{leaseA, leaseB}).Draw(rt, "lease")
			m := model[lease]
			switch rapid.SampledFrom([]string{"put", "commit", "commit", "retire", "reopen"}).Draw(rt, "op") {
			case "put":
				put(t, s, lease, randomBytes(rapid.Uint64Range(0, 5).Draw(rt, "piece"), 500))
			case "commit":
				var add, remove []piece.Root
				for i := range uint64(6) {
					r := rootOf(randomBytes(i, 500))
					_, held := s.Holds(lease, r)
					if flip := rapid.Bool().Draw(rt, "flip"); flip && m.members[r] {
						remove = append(remove, r)
						delete(m.members, r)
					} else if flip && held {
						add = append(add, r)
						m.members[r] = true
					}
				}
				m.rev++
				m.live[m.rev] = commit(t, s, lease, m.rev, add, remove)
			case "retire":
				r := rapid.Uint64Range(0, m.rev).Draw(rt, "revision")
				if _, err := s.Retire(lease, r); err != nil {
					rt.Fatal(err)
				}
				for old := range m.live {
					if old < r {
						delete(m.live, old)
					}
				}
			case "reopen":
				s.Close()
				s, _ = open(t, dir, 1<<30)
			}
			for lease, m := range model {
				for _, c := range m.live {
					if set, err := s.SetAt(lease, c.Root); err != nil || set.Root() != c.Root {
						rt.Fatalf("revision %d: %v", c.Revision, err)
					}
				}
			}
			if len(s.Lost()) > 0 || countFiles(t, dir) != s.Usage().Pieces {
				rt.Fatalf("lost %v, %d files, usage %+v", s.Lost(), countFiles(t, dir), s.Usage())
			}
		}
	})
}

func BenchmarkPut(b *testing.B) {
	for _, parallel := range []int{1, 8} {
		b.Run(map[int]string{1: "serial", 8: "parallel-8"}[parallel], func(b *testing.B) {
			s, _ := open(b, b.TempDir(), 1<<40)
			const size = 1 << 20
			b.SetBytes(size)
			var mu sync.Mutex
			seed := uint64(0)
			b.SetParallelism(parallel)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					mu.Lock()
					seed++
					data := randomBytes(seed, size)
					mu.Unlock()
					put(b, s, leaseA, data)
				}
			})
		})
	}
}
