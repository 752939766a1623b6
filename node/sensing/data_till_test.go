package sensing

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/vertical/sensing/query"
)

// account is a buyer on the ledger's own rules, in memory.
type account struct {
	mu    sync.Mutex
	down  bool
	epoch uint64
	lease lease.Standing
	paid  map[[32]byte]lease.Account
}

var rules = lease.Rules{Grace: 7, Window: 1, Bond: 1000}

func (a *account) ChainID() string { return "test" }

func (a *account) Epoch(context.Context) (uint64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.epoch, nil
}

func (a *account) Stand(_ context.Context, kind string, use money.Price, lane lease.Lane, bond money.Credit) (lease.Standing, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down {
		return a.lease, errors.New("the ledger does not answer")
	}
	var err error
	if a.lease.ID == [32]byte{} {
		a.lease, err = lease.Stand(lease.Order{ID: [32]byte{1}, Payer: "buyer", Kind: kind, Use: use, Lanes: []lease.Lane{lane}, Bond: bond}, a.epoch, rules)
	}
	return a.lease, err
}

func (a *account) Standing(context.Context, [32]byte) (lease.Standing, error) { return a.lease, nil }

func (a *account) State(_ context.Context, _ [32]byte, epoch uint64, tree *merkle.SumTree, devices [][32]byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := tree.Root()
	l, err := a.lease.Declare(lease.Statement{Epoch: epoch, Root: r.Hash, Size: r.Size, Total: r.Total}, a.epoch)
	if err != nil {
		return err
	}
	for _, d := range devices {
		leaf, proof, err := tree.Prove(d)
		if err != nil {
			return err
		}
		before := a.paid[d]
		before.Device = d
		if l, a.paid[d], _, err = l.Collect(before, leaf, proof); err != nil {
			return err
		}
	}
	a.lease = l
	return nil
}

func (a *account) next() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.epoch++
}

func openTill(t *testing.T, dir string, a *account) *Till {
	t.Helper()
	till, err := OpenTill(t.Context(), dir, []Buyer{{Name: "buyer", Account: a, Escrow: 1000}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = till.Close() })
	return till
}

func newAccount() *account { return &account{epoch: 1, paid: map[[32]byte]lease.Account{}} }

var (
	roof = device.ID{1}
	yard = device.ID{2}
)

// What a buyer is told of a sale is what is on disk, also when he went away before
// it was.
func TestBuyerGoesAway(t *testing.T) {
	a, dir := newAccount(), t.TempDir()
	till := openTill(t, dir, a)
	gone, leave := context.WithCancel(t.Context())
	leave()
	var sold uint64
	for range 50 {
		if bill, err := till.Charge(gone, "buyer", query.Rows{roof: 1}); err == nil {
			sold += bill.Units
		}
	}
	if err := till.Close(); err != nil {
		t.Fatal(err)
	}
	till = openTill(t, dir, a)
	if owed := till.book.of(a.lease.ID).Total(); owed != sold {
		t.Errorf("the book has %d rows, %d were sold", owed, sold)
	}
	if left, err := till.Left("buyer"); err != nil || left != 1000-sold {
		t.Errorf("%d are left, %v; want %d", left, err, 1000-sold)
	}
}

// What is sold reaches the devices whose rows it was, whatever happens between.
func TestSalesArePaid(t *testing.T) {
	a, dir := newAccount(), t.TempDir()
	till := openTill(t, dir, a)
	token, _ := till.Token("buyer")
	name, err := till.Buyer(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	bill, err := till.Charge(t.Context(), name, query.Rows{roof: 100, yard: 50})
	if err != nil || bill.Units != 150 || bill.Left != 850 {
		t.Fatalf("bill %+v: %v", bill, err)
	}
	// It stops before it could state anything.
	if err := till.Close(); err != nil {
		t.Fatal(err)
	}
	till = openTill(t, dir, a)
	if again, _ := till.Token("buyer"); again != token {
		t.Error("the token is another")
	}
	a.next()
	if err := till.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a.paid[roof].Paid != 100 || a.paid[yard].Paid != 50 {
		t.Errorf("paid %v and %v", a.paid[roof].Paid, a.paid[yard].Paid)
	}
	if _, err := till.Charge(t.Context(), name, query.Rows{roof: 10}); err != nil {
		t.Fatal(err)
	}
	if err := till.Settle(t.Context()); err != nil { // the same epoch: waits for the next
		t.Fatal(err)
	}
	a.next()
	if err := till.Settle(t.Context()); err != nil || a.paid[roof].Paid != 110 {
		t.Errorf("paid %v: %v", a.paid[roof].Paid, err)
	}
	sales, err := till.Sales(t.Context(), roof)
	if err != nil || len(sales) != 1 || sales[0].Units != 110 {
		t.Errorf("sales %+v: %v", sales, err)
	}
}

func TestNothingIsGivenUnpaid(t *testing.T) {
	a := newAccount()
	till := openTill(t, t.TempDir(), a)
	if _, err := till.Charge(t.Context(), "buyer", query.Rows{roof: 990}); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		do   func() error
		want error
		says string
	}{
		"the escrow is empty": {func() error { _, err := till.Charge(t.Context(), "buyer", query.Rows{roof: 11}); return err }, query.ErrUnpaid, "covers 10 more rows"},
		"no token":            {func() error { _, err := till.Buyer(t.Context(), ""); return err }, query.ErrNoLease, "Bearer"},
		"a wrong token":       {func() error { _, err := till.Buyer(t.Context(), "guess"); return err }, query.ErrNoLease, "operator"},
		"nobody":              {func() error { _, err := till.Charge(t.Context(), "nobody", query.Rows{roof: 1}); return err }, query.ErrNoLease, "nobody"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if err := c.do(); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want %v that says %q", err, c.want, c.says)
			}
		})
	}
	if _, err := till.Charge(t.Context(), "buyer", query.Rows{roof: 10}); err != nil {
		t.Errorf("the rest of the escrow: %v", err)
	}
	down := newAccount()
	down.down = true
	without := openTill(t, t.TempDir(), down)
	if _, err := without.Charge(t.Context(), "buyer", query.Rows{roof: 1}); !errors.Is(err, query.ErrNoLease) {
		t.Errorf("without a ledger: %v", err)
	}
}

// Many buy at once: the escrow is never sold twice, and the book is what was paid.
func TestEscrowIsSoldOnce(t *testing.T) {
	a, dir := newAccount(), t.TempDir()
	till := openTill(t, dir, a)
	var done sync.WaitGroup
	var mu sync.Mutex
	sold := 0
	for range 16 {
		done.Add(1)
		go func() {
			defer done.Done()
			for range 20 {
				if _, err := till.Charge(t.Context(), "buyer", query.Rows{roof: 3, yard: 4}); err == nil {
					mu.Lock()
					sold += 7
					mu.Unlock()
				}
			}
		}()
	}
	done.Wait()
	if sold != 1000/7*7 {
		t.Errorf("sold %d of 1000", sold)
	}
	till.book.adds = bookAdds
	if err := till.book.sumUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := till.Close(); err != nil {
		t.Fatal(err)
	}
	if again := openTill(t, dir, a); int(again.book.of([32]byte{1}).Total()) != sold {
		t.Errorf("the book has %d after it was summed up, want %d", again.book.of([32]byte{1}).Total(), sold)
	}
}
