package sensing

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/query"
)

// Price of a row: a USD for a million.
var Price = money.Price{Credits: 1, Per: 1}

// laneID is the one lane of a data lease.
const laneID = 1

// Account is what a till needs of a buyer's account on the ledger;
// ledgerport.Port is one.
type Account interface {
	ChainID() string
	Epoch(ctx context.Context) (uint64, error)
	Stand(ctx context.Context, kind string, use money.Price, lane lease.Lane, bond money.Credit) (lease.Standing, error)
	Standing(ctx context.Context, id [32]byte) (lease.Standing, error)
	State(ctx context.Context, id [32]byte, epoch uint64, tree *merkle.SumTree, devices [][32]byte) error
}

var _ Account = (*ledgerport.Port)(nil)

// Buyer is an account whose standing lease pays for what is asked with its token.
type Buyer struct {
	Name    string // of a file: letters, digits and '-'
	Account Account
	Escrow  money.Credit // that a new lease begins with; a fifth of it is bonded
	// Kind of the lease and Use, the price of a unit; zero: rows of any kind at
	// Price.
	Kind string
	Use  money.Price
}

// Till sells rows against standing leases: one lease for each buyer, one unit for
// each row. What a lease owes to which device is in a book on disk before an answer
// leaves; once an epoch it is stated on the ledger and collected for the devices'
// owners. See query.Till.
type Till struct {
	dir    string
	log    *slog.Logger
	tracer oteltrace.Tracer // of statements; nil: none
	book   *book
	buyers []*buyer
}

var _ query.Till = (*Till)(nil)

type buyer struct {
	Buyer
	token   string
	session ed25519.PrivateKey

	mu     sync.Mutex
	lease  lease.Standing
	sold   uint64     // units of all devices, those being entered in the book too
	stated query.Rows // at the last statement
	why    error      // of the lease not being there
}

// OpenTill opens the book and, when the ledger answers, the leases.
func OpenTill(ctx context.Context, dir string, buyers []Buyer, log *slog.Logger) (*Till, error) {
	t, err := newTill(dir, buyers, log)
	if err == nil {
		t.refresh(ctx)
	}
	return t, err
}

// newTill opens the book. Nothing is sold before the first Settle, which opens the
// leases: the ledger may take its time.
func newTill(dir string, buyers []Buyer, log *slog.Logger) (*Till, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open till: %w", err)
	}
	b, err := openBook(filepath.Join(dir, "sold"))
	if err != nil {
		return nil, err
	}
	t := &Till{dir: dir, log: log, book: b}
	for _, one := range buyers {
		if one.Kind == "" {
			one.Kind, one.Use = sensing.Name, Price
		}
		x := &buyer{Buyer: one, why: errors.New("its lease is not open yet; ask again in a moment")}
		if err := x.secrets(dir); err != nil {
			_ = b.log.Close()
			return nil, fmt.Errorf("open till: %w", err)
		}
		t.buyers = append(t.buyers, x)
	}
	return t, nil
}

// Close closes the book.
func (t *Till) Close() error { return t.book.log.Close() }

// Token is a buyer's token.
func (t *Till) Token(name string) (string, bool) {
	for _, b := range t.buyers {
		if b.Name == name {
			return b.token, true
		}
	}
	return "", false
}

// secrets reads a buyer's token and session key, or makes them.
func (b *buyer) secrets(dir string) error {
	token, err := secretFile(filepath.Join(dir, b.Name+".token"), 16)
	if err != nil {
		return err
	}
	seed, err := secretFile(filepath.Join(dir, b.Name+".lane"), ed25519.SeedSize)
	if err != nil {
		return err
	}
	b.token, b.session = hex.EncodeToString(token), ed25519.NewKeyFromSeed(seed)
	return nil
}

// secretFile reads n bytes in hex from a file, or makes it.
func secretFile(path string, n int) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		raw := make([]byte, n)
		_, _ = rand.Read(raw) // never fails
		return raw, os.WriteFile(path, []byte(hex.EncodeToString(raw)+"\n"), 0o600)
	}
	if err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(raw) != n {
		return nil, fmt.Errorf("%s does not hold %d bytes in hex", path, n)
	}
	return raw, nil
}

func (b *buyer) lane() lease.Lane {
	return lease.Lane{ID: laneID, Key: [32]byte(b.session.Public().(ed25519.PublicKey)), Cap: b.Escrow}
}

// refresh reads the leases from the ledger and opens those that are not there.
func (t *Till) refresh(ctx context.Context) {
	for _, b := range t.buyers {
		l, err := b.Account.Stand(ctx, b.Kind, b.Use, b.lane(), b.Escrow/5)
		b.mu.Lock()
		if err == nil {
			if l.ID != b.lease.ID {
				b.sold, b.stated = t.book.of(l.ID).Total(), nil
			}
			b.lease, b.why = l, nil
		} else if b.lease.ID == [32]byte{} {
			b.why = err
		}
		b.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			t.log.Warn("lease of a buyer of data cannot be read", "buyer", b.Name, "err", err)
		}
	}
}

func (t *Till) buyer(match func(*buyer) bool) *buyer {
	if i := slices.IndexFunc(t.buyers, match); i >= 0 {
		return t.buyers[i]
	}
	return nil
}

// Buyer implements query.Till.
func (t *Till) Buyer(_ context.Context, token string) (string, error) {
	b := t.buyer(func(b *buyer) bool { return subtle.ConstantTimeCompare([]byte(b.token), []byte(token)) == 1 })
	switch {
	case token == "":
		return "", fmt.Errorf("%w: readings are paid by the row from a lease: send its token as \"Authorization: Bearer TOKEN\"; the gateway's operator prints it with \"grange sensing data token\"", query.ErrNoLease)
	case b == nil:
		return "", fmt.Errorf("%w: the token is of no buyer here: ask the operator of this gateway for one", query.ErrNoLease)
	}
	return b.Name, nil
}

// Charge implements query.Till.
func (t *Till) Charge(ctx context.Context, name string, rows query.Rows) (query.Bill, error) {
	b := t.buyer(func(b *buyer) bool { return b.Name == name })
	if b == nil {
		return query.Bill{}, fmt.Errorf("%w: no buyer %q", query.ErrNoLease, name)
	}
	bill, id, err := b.reserve(rows.Total())
	if err != nil || bill.Units == 0 {
		return bill, err
	}
	ctx, span := trace.Start(ctx, "pay", trace.Hex(trace.Lease, id), trace.Number(trace.Units, bill.Sold), trace.Number(trace.Sold, bill.Units), trace.Unit.String("row"))
	err = t.book.add(ctx, id, rows)
	trace.End(span, err)
	if err != nil {
		b.mu.Lock()
		if b.lease.ID == id {
			b.sold -= bill.Units
		}
		b.mu.Unlock()
		return query.Bill{}, err
	}
	return bill, nil
}

// Left is how many more units a buyer's escrow covers.
func (t *Till) Left(name string) (uint64, error) {
	b := t.buyer(func(b *buyer) bool { return b.Name == name })
	if b == nil {
		return 0, fmt.Errorf("%w: no buyer %q", query.ErrNoLease, name)
	}
	bill, _, err := b.reserve(0)
	return bill.Left, err
}

// reserve takes units out of what the escrow covers.
func (b *buyer) reserve(units uint64) (query.Bill, [32]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lease
	short := hex.EncodeToString(l.ID[:4])
	switch {
	case b.why != nil:
		return query.Bill{}, l.ID, fmt.Errorf("%w: %w", query.ErrNoLease, b.why)
	case l.State != lease.Open && l.State != lease.Grace:
		return query.Bill{}, l.ID, fmt.Errorf("%w: lease %s of %s is %s (%s): open another", query.ErrUnpaid, short, b.Name, l.State, l.Reason)
	}
	covered := l.Use.Units(l.Deposited - l.Disputed)
	left := covered - min(covered, b.sold)
	if units > left {
		return query.Bill{}, l.ID, fmt.Errorf("%w: lease %s of %s covers %d more rows and this answer has %d: ask for fewer, or add to its escrow with \"grange sensing data fund CREDITS\"",
			query.ErrUnpaid, short, b.Name, left, units)
	}
	b.sold += units
	return query.Bill{Lease: hex.EncodeToString(l.ID[:]), Units: units, Sold: b.sold, Left: left - units}, l.ID, nil
}

// Settle states on the ledger what every lease owes and collects it for the
// devices. It changes nothing when nothing was sold since the last time.
func (t *Till) Settle(ctx context.Context) error {
	t.refresh(ctx)
	var failed error
	for _, b := range t.buyers {
		if err := t.settle(ctx, b); err != nil {
			failed = errors.Join(failed, fmt.Errorf("settle the lease of %s: %w", b.Name, err))
		}
	}
	return errors.Join(failed, t.book.sumUp(ctx))
}

func (t *Till) settle(ctx context.Context, b *buyer) error {
	b.mu.Lock()
	l, stated := b.lease, b.stated
	b.mu.Unlock()
	owed := t.book.of(l.ID)
	if len(owed) == 0 || stated == nil && len(l.Statements) > 0 && l.Statements[len(l.Statements)-1].Total == owed.Total() {
		return nil
	}
	tree, changed, err := treeOf(owed, stated)
	if err != nil || len(changed) == 0 {
		return err
	}
	epoch, err := b.Account.Epoch(ctx)
	if err != nil {
		return err
	}
	if n := len(l.Statements); n > 0 && l.Statements[n-1].Epoch >= epoch {
		return nil // at most one statement for each epoch
	}
	ctx, span := trace.Or(t.tracer).Start(ctx, "settle", oteltrace.WithAttributes(trace.Keep.Bool(true), trace.Hex(trace.Lease, l.ID)))
	err = b.Account.State(ctx, l.ID, epoch, tree, changed)
	trace.End(span, err)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stated = owed
	return nil
}

// treeOf is the sum tree of what is owed, and the devices that it owes more than
// was stated.
func treeOf(owed query.Rows, stated query.Rows) (*merkle.SumTree, [][32]byte, error) {
	var leaves []merkle.SumLeaf
	var changed [][32]byte
	for d, n := range owed {
		leaves = append(leaves, merkle.SumLeaf{Key: d, Amount: n})
		if n > stated[d] {
			changed = append(changed, d)
		}
	}
	slices.SortFunc(changed, func(a, b [32]byte) int { return slices.Compare(a[:], b[:]) })
	tree, err := merkle.NewSumTree(leaves, ^uint64(0))
	return tree, changed, err
}

// Sale is what one lease owes a device, and the receipt with which the device can
// dispute a statement that leaves it short.
type Sale struct {
	Lease   string `json:"lease"`
	Payer   string `json:"payer"`
	Units   uint64 `json:"units"`   // rows since the lease began
	Receipt string `json:"receipt"` // hex, signed by the payer's lane; the device signs behind it
}

// Sales are what a device is owed.
func (t *Till) Sales(ctx context.Context, id device.ID) ([]Sale, error) {
	out := []Sale{}
	for _, b := range t.buyers {
		b.mu.Lock()
		l := b.lease
		b.mu.Unlock()
		units := t.book.of(l.ID)[id]
		if units == 0 {
			continue
		}
		epoch, err := b.Account.Epoch(ctx)
		if err != nil {
			return nil, err
		}
		r := receipt.Receipt{Lease: lease.AccountID(l.ID, id), Lane: laneID, Seq: units, Units: units, Epoch: epoch}
		if err := r.SignPayer(receipt.ChainOf(b.Account.ChainID()), b.session); err != nil {
			return nil, err
		}
		out = append(out, Sale{hex.EncodeToString(l.ID[:]), l.Payer, units, hex.EncodeToString(r.Encode())})
	}
	return out, nil
}
