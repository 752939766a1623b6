package ledgerview

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/grange-network/grange/explorer/live"
	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/verify"
	"github.com/grange-network/grange/vertical"
)

// books answer what a bonus is computed from.
type books struct {
	record creditpb.EpochRecord
	used   []marketpb.Usage
}

type credit struct {
	creditpb.QueryClient
	books *books
}

func (c credit) Params(context.Context, *creditpb.QueryParamsRequest, ...grpc.CallOption) (*creditpb.QueryParamsResponse, error) {
	return &creditpb.QueryParamsResponse{Params: creditpb.Params{RebateBps: c.books.record.RebateBps}}, nil
}

func (c credit) EpochPrice(context.Context, *creditpb.QueryEpochPriceRequest, ...grpc.CallOption) (*creditpb.QueryEpochPriceResponse, error) {
	return &creditpb.QueryEpochPriceResponse{Record: c.books.record}, nil
}

type market struct {
	marketpb.QueryClient
	books *books
}

func (m market) Usage(context.Context, *marketpb.QueryUsageRequest, ...grpc.CallOption) (*marketpb.QueryUsageResponse, error) {
	return &marketpb.QueryUsageResponse{Usage: m.books.used}, nil
}

type oracle struct{ oraclepb.QueryClient }

func (oracle) Params(context.Context, *oraclepb.QueryParamsRequest, ...grpc.CallOption) (*oraclepb.QueryParamsResponse, error) {
	return &oraclepb.QueryParamsResponse{}, nil
}

func (oracle) Claimed(context.Context, *oraclepb.QueryClaimedRequest, ...grpc.CallOption) (*oraclepb.QueryClaimedResponse, error) {
	return &oraclepb.QueryClaimedResponse{}, nil
}

func used(device byte, kind string, burned uint64) marketpb.Usage {
	id := [32]byte{device}
	return marketpb.Usage{Epoch: 7, Device: id[:], Kind: kind, Burned: burned}
}

// grange reward explain and the explorer's why say the same of one epoch.
func TestExplorerSaysTheSame(t *testing.T) {
	b := &books{
		record: creditpb.EpochRecord{Epoch: 7, Quote: creditpb.Quote{High: 500_000}, Released: 900, DemandPool: 500, RebateBps: 8000, Grants: []creditpb.EpochGrant{{Vertical: "sensing", Ugrain: 300}}},
		used:   []marketpb.Usage{used(1, "storage", 10), used(2, "storage", 1000), used(1, "sensing/weather", 30), used(3, "sensing/weather", 30), used(4, "storage", 0)},
	}
	v := &View{credit: credit{books: b}, market: market{books: b}, oracle: oracle{}}
	explorer := live.New(&client.Client{Queries: client.Queries{Credit: credit{books: b}, Market: market{books: b}}})
	for n := byte(1); n <= 5; n++ {
		device := fmt.Sprintf("%02x", n) + strings.Repeat("00", 31)
		x := Explanation{Device: device, Epoch: 7, Ended: true}
		if err := v.explainBonus(t.Context(), &x); err != nil {
			t.Fatal(err)
		}
		y, err := explorer.Bonus(t.Context(), device, 7)
		if err != nil {
			t.Fatal(err)
		}
		c := x.Bonus
		want := fmt.Sprintln(c.Price, c.Stale, c.Released, c.Pool, c.ShareBPS, c.RebateBPS, c.Burned, c.BurnedAll, c.Cap, c.ProRata, c.Bonus)
		if got := fmt.Sprintln(y.Price, y.Stale, y.Released, y.Pool, y.Share, y.Rebate, y.Burned, y.BurnedAll, y.Cap, y.ProRata, y.Bonus); got != want {
			t.Errorf("device %d: the explorer says %s, the command %s", n, got, want)
		}
		if n == 1 && (c.Bonus == 0 || c.Burned != 80) {
			t.Errorf("device 1 burned in two verticals: %+v", c)
		}
	}
}

func TestExplorerSaysTheSameOfEvidence(t *testing.T) {
	dir, device := t.TempDir(), strings.Repeat("01", 32)
	parts := []vertical.Part{{Name: "hours", Terms: []vertical.Term{{Name: "hours", Value: 24}, {Name: "quality", Value: 3, Of: 4}}}}
	p := verify.Published{
		Version: 2, Vertical: "sensing", Epoch: 7, Previous: 6, Terms: verify.PublishedTerms{Grant: 300}, Evidence: &verify.PublishedEvidence{},
		Usage: []verify.PublishedUse{{Device: device, Weight: 18, Parts: parts, Penalty: 250, Granted: 180, Bonus: 190}, {Device: strings.Repeat("02", 32), Weight: 12}},
	}
	raw, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "sensing"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sensing", "7.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := live.NewPublished(dir).Evidence(device, 7)
	if err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	x, _ := p.EvidenceOf(device)
	y := all[0]
	want := fmt.Sprintln(x.Vertical, x.Weight, x.WeightAll, x.Penalty, x.Grant, x.Granted, x.Bonus, len(x.Parts))
	if got := fmt.Sprintln(y.Vertical, y.Weight, y.WeightAll, y.Penalty, y.Grant, y.Granted, y.Bonus, len(y.Parts)); got != want || y.Parts[0].Value != "18" || *y.Parts[0].Terms[1].Of != "4" || y.Parts[0].Terms[0].Of != nil {
		t.Errorf("the explorer says %s %+v, published is %s", got, y.Parts, want)
	}
	for name, epoch := range map[string]uint64{"another epoch": 8, "another device": 7} {
		of := device
		if epoch == 7 {
			of = strings.Repeat("03", 32)
		}
		if all, err := live.NewPublished(dir).Evidence(of, epoch); err != nil || len(all) != 0 {
			t.Errorf("%s: %+v, %v", name, all, err)
		}
	}
}
