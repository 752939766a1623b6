package ledgerport

import (
	"context"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/devicepb"
)

// A standing lease on a real ledger: opened once, stated, and collected for the
// device's owner.
func TestStandingLease(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a ledger: not with -short")
	}
	w := begin(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	_, k, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.sponsor.Sponsor(ctx, w.owner.Address(), 1e9); err != nil {
		t.Fatal(err)
	}
	if _, err := w.owner.Register(ctx, k, devicepb.Profile{Class: devicepb.CLASS_DRN, Capabilities: []string{"sensor"}, Status: devicepb.STATUS_ACTIVE}); err != nil {
		t.Fatal(err)
	}
	device := Supply{Key: k}.Device()
	lane := lease.Lane{ID: 1, Key: [32]byte{1, 2, 3}, Cap: 1000}
	s, err := w.buyer.Stand(ctx, "sensing", money.Price{Credits: 1, Per: 1}, lane, 200)
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.buyer.Stand(ctx, "sensing", money.Price{Credits: 1, Per: 1}, lane, 200)
	if err != nil || again.ID != s.ID {
		t.Fatalf("asked again: lease %x, want %x: %v", again.ID, s.ID, err)
	}
	if err := w.buyer.FundStanding(ctx, s.ID, lane, 200); err != nil {
		t.Fatal(err)
	}
	tree, err := merkle.NewSumTree([]merkle.SumLeaf{{Key: device, Amount: 700}}, ^uint64(0))
	if err != nil {
		t.Fatal(err)
	}
	epoch, err := w.buyer.Epoch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.buyer.State(ctx, s.ID, epoch, tree, [][32]byte{device}); err != nil {
		t.Fatal(err)
	}
	if s, err = w.buyer.OpenStanding(ctx, "sensing"); err != nil || s.Deposited != 2000 || s.Stated != 700 {
		t.Errorf("deposited %d, stated %d: %v", s.Deposited, s.Stated, err)
	}
	if got, err := w.owner.Credits(ctx); err != nil || got < 600 {
		t.Errorf("the device's owner has %d: %v", got, err)
	}
}
