package device

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/ledger/api/devicepb"
)

// What devices earn together is what they would get one after the other: nothing
// is lost, and a lien that two payments reach is paid up to its cap.
func TestPayoutOfManyIsThatOfEach(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		together, ctx, joint := newKeeper(t)
		apart, other, single := newKeeper(t)
		limit := rapid.Uint64Range(1, 1<<20).Draw(rt, "cap")
		var ids []device.ID
		for i := range byte(3) {
			owner := account(1 + i/2) // two devices of one, one of another
			id := put(t, together, ctx, i, owner)
			ids = append(ids, put(t, apart, other, i, owner))
			splits := &devicepb.MsgUpdate{Owner: owner, Device: id.String(), Payouts: &devicepb.Payouts{Splits: []devicepb.PayoutSplit{
				{To: account(7), Bps: rapid.Uint32Range(1, 10_000).Draw(rt, "lien"), Denom: "ugrain", Cap: limit, Lien: true},
			}}}
			if _, err := NewMsgServer(together).Update(ctx, splits); err != nil {
				rt.Fatal(err)
			}
			if _, err := NewMsgServer(apart).Update(other, splits); err != nil {
				rt.Fatal(err)
			}
		}
		var earned []Earning
		var total uint64
		for range rapid.IntRange(0, 8).Draw(rt, "earnings") {
			e := Earning{rapid.SampledFrom(ids).Draw(rt, "device"), rapid.Uint64Range(0, 1<<20).Draw(rt, "amount")}
			earned, total = append(earned, e), total+e.Amount
			if err := apart.Payout(other, "oracle", "ugrain", []Earning{e}); err != nil {
				rt.Fatal(err)
			}
		}
		if err := together.Payout(ctx, "oracle", "ugrain", earned); err != nil {
			rt.Fatal(err)
		}
		var sum uint64
		for _, to := range []string{account(1), account(2), account(7)} {
			if joint[to] != single[to] {
				rt.Fatalf("%s got %d together, %d apart", to, joint[to], single[to])
			}
			sum += joint[to]
		}
		if sum != total || joint[account(7)] > 3*limit {
			rt.Fatalf("paid %d of %d, %d on liens of %d", sum, total, joint[account(7)], 3*limit)
		}
	})
}

func TestPayoutRefuses(t *testing.T) {
	k, ctx, bank := newKeeper(t)
	id := put(t, k, ctx, 1, account(1))
	for name, earned := range map[string][]Earning{
		"an unknown device":  {{id, 1}, {device.ID{9}, 1}},
		"a sum over 64 bits": {{id, 1}, {id, 1<<64 - 1}},
	} {
		if err := k.Payout(ctx, "oracle", "ugrain", earned); err == nil {
			t.Errorf("%s was paid", name)
		}
	}
	if len(bank) != 0 {
		t.Errorf("paid %v", bank)
	}
}
