package simulation

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"

	abci "github.com/cometbft/cometbft/abci/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/grange-network/grange/core/emission"
	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/credit"
	"github.com/grange-network/grange/ledger/market"
	"github.com/grange-network/grange/ledger/oracle"
)

// past is what invariants compare the state with: that of the block before.
type past struct {
	view
	balances map[string]sdk.Coins
	supply   sdk.Coins
	stakes   map[string]uint64 // by operator
	leases   map[string]marketpb.Lease
	devices  map[string]devicepb.Device
	offers   map[uint64]marketpb.Offer
	claimed  map[string]uint64
	reported uint64 // the largest total ever accepted
}

// invariants checks everything that must hold after a block, given what was
// before it, and returns what it is now. The numbers are those of the list in
// which the project keeps them.
func (w *world) invariants(before *past) *past {
	w.Helper()
	v := w.view()
	now := &past{view: v, balances: map[string]sdk.Coins{}, stakes: map[string]uint64{}, leases: map[string]marketpb.Lease{},
		devices: map[string]devicepb.Device{}, offers: map[uint64]marketpb.Offer{}, claimed: v.claimed}
	var errs []error
	want := func(ok bool, n int, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("invariant %d: %s", n, fmt.Sprintf(format, args...)))
		}
	}
	w.supply(now, before, want)
	w.escrows(now, want)
	w.leaseBooks(now, before, want)
	w.standingBooks(now, want)
	w.rewards(now, before, want)
	if err := w.app.Ours.Credit.CheckInvariants(v.ctx); err != nil { // 6 and 7
		errs = append(errs, err)
	}
	w.stakes(now, before, want)
	w.bonds(now, before, want)
	w.registry(now, before, want)
	if w.height%20 == 0 {
		w.endOfBlock(now, want)
		w.order(now, want)
	}
	if len(errs) > 0 {
		w.Fatalf("after block %d: %v", w.height, errors.Join(errs...))
	}
	return now
}

type wants func(ok bool, n int, format string, args ...any)

// supply: every coin is somebody's, the caps hold, coins are made and burned only
// where an event says so, and nobody who signed nothing lost any.
func (w *world) supply(now, before *past, want wants) {
	sum := sdk.NewCoins()
	w.app.Standard.Bank.IterateAllBalances(now.ctx, func(a sdk.AccAddress, c sdk.Coin) bool {
		now.balances[a.String()] = now.balances[a.String()].Add(c)
		sum = sum.Add(c)
		return false
	})
	now.supply = sdk.NewCoins(w.app.Standard.Bank.GetSupply(now.ctx, money.GrainDenom), w.app.Standard.Bank.GetSupply(now.ctx, money.CreditDenom))
	want(now.supply.Equal(sum), 1, "supply is %s, balances sum to %s", now.supply, sum)
	want(now.supply.AmountOf(money.GrainDenom).Uint64() <= uint64(emission.SupplyCap), 1, "supply is %s", now.supply)
	if before == nil {
		return
	}
	made, burned := w.flows("coinbase"), w.flows("burn")
	want(before.supply.Add(made...).Equal(now.supply.Add(burned...)), 1, "supply was %s, %s made and %s burned, is %s", before.supply, made, burned, now.supply)
	for _, p := range w.people {
		if !w.last.signers[p.address] {
			want(now.balances[p.address].IsAllGTE(before.balances[p.address]), 8, "%s signed nothing and had %s, has %s", p.address, before.balances[p.address], now.balances[p.address])
		}
	}
}

// events are all events of the last block.
func (w *world) events() (out []abci.Event) {
	out = append(out, w.last.result.Events...)
	for _, tx := range w.last.result.TxResults {
		out = append(out, tx.Events...)
	}
	return out
}

func attribute(e abci.Event, key string) string {
	for _, a := range e.Attributes {
		if a.Key == key {
			return a.Value
		}
	}
	return ""
}

func (w *world) flows(kind string) (sum sdk.Coins) {
	for _, e := range w.events() {
		if e.Type == kind {
			coins, err := sdk.ParseCoinsNormalized(attribute(e, "amount"))
			w.must(err)
			sum = sum.Add(coins...)
		}
	}
	return sum
}

func module(name string) string { return authtypes.NewModuleAddress(name).String() }

// escrows: each module's account holds what its books say.
func (w *world) escrows(now *past, want wants) {
	var credits, grains uint64
	for _, p := range now.view.leases {
		l, err := market.LeaseOf(p)
		w.must(err)
		credits += uint64(l.Held())
	}
	for _, p := range now.standings {
		s, err := market.StandingOf(p)
		w.must(err)
		credits += uint64(s.Held() + s.Bond)
	}
	for _, d := range now.demands {
		credits += d.Deposit
		for _, b := range d.Bids {
			grains += b.Deposit
		}
	}
	for _, o := range now.view.offers {
		grains += o.Bond
	}
	held := now.balances[module(market.ModuleName)]
	want(held.AmountOf(money.CreditDenom).Uint64() == credits, 2, "the market holds %s, its books %d ucredit", held, credits)
	want(held.AmountOf(money.GrainDenom).Uint64() == grains, 2, "the market holds %s, its books %d ugrain", held, grains)
	var waiting uint64
	for _, r := range now.redemptions {
		waiting += r.Remaining
	}
	want(now.balances[module(credit.ModuleName)].AmountOf(money.CreditDenom).Uint64() == waiting, 2, "redemptions wait for %d", waiting)
	want(now.balances[module(oracle.ModuleName)].IsZero(), 2, "the oracle keeps %s", now.balances[module(oracle.ModuleName)])
}

// leaseBooks: what was deposited is paid, refunded or held; payments and receipts
// only grow; nothing is left when a lease is closed, and it does not open again.
func (w *world) leaseBooks(now, before *past, want wants) {
	sold := map[uint64]uint64{}
	for _, p := range now.view.leases {
		now.leases[string(p.Id)] = p
		l, err := market.LeaseOf(p)
		w.must(err)
		want(l.Paid()+l.Refunded+l.Held() == l.Deposited, 3, "lease %x: %d paid, %d refunded, %d held of %d", p.Id[:4], l.Paid(), l.Refunded, l.Held(), l.Deposited)
		var caps uint64
		for _, lane := range p.Lanes {
			caps += lane.Cap
			want(lane.Paid <= lane.Cap, 3, "lane %d of lease %x: %d paid of %d", lane.Id, p.Id[:4], lane.Paid, lane.Cap)
		}
		want(p.HoldBudget+caps <= p.Deposited, 3, "lease %x: budget %d and caps %d, deposited %d", p.Id[:4], p.HoldBudget, caps, p.Deposited)
		if l.State == lease.Closed {
			want(l.Held() == 0, 3, "lease %x is closed and holds %d", p.Id[:4], l.Held())
		} else {
			sold[p.Offer] += p.Capacity
		}
	}
	for _, d := range now.demands {
		for _, b := range d.Bids {
			sold[b.Offer] += d.Capacity
		}
	}
	for _, o := range now.view.offers {
		want(o.Sold == sold[o.Id] && (o.Sold <= o.Capacity), 2, "offer %d: %d of %d sold, its leases and bids have %d", o.Id, o.Sold, o.Capacity, sold[o.Id])
	}
	if before == nil {
		return
	}
	for id, old := range before.leases {
		l, kept := now.leases[id]
		if !kept {
			want(old.State == marketpb.LEASE_STATE_CLOSED, 3, "lease %x is gone and was %s", id[:4], old.State)
			continue
		}
		want(l.HoldPaid >= old.HoldPaid && l.Refunded >= old.Refunded && l.Deposited >= old.Deposited, 3, "lease %x fell: %v to %v", id[:4], old, l)
		want(old.State != marketpb.LEASE_STATE_CLOSED || l.State == old.State, 3, "lease %x was closed and is %s", id[:4], l.State)
		for _, lane := range old.Lanes {
			i := slices.IndexFunc(l.Lanes, func(n marketpb.Lane) bool { return n.Id == lane.Id })
			want(i >= 0 && l.Lanes[i].Units >= lane.Units && l.Lanes[i].Paid >= lane.Paid && l.Lanes[i].Seq >= lane.Seq, 4, "lane %d of lease %x went back", lane.Id, id[:4])
		}
	}
}

// standingBooks: the same for standing leases and the bonds of their payers.
func (w *world) standingBooks(now *past, want wants) {
	paid, open := map[string]uint64{}, map[string]uint32{}
	for _, a := range now.accounts {
		paid[string(a.Standing)] += a.Paid
	}
	for _, d := range now.disputes {
		open[string(d.Standing)]++
	}
	for _, s := range now.standings {
		want(s.Stated+s.Disputed+s.Refunded <= s.Deposited, 3, "standing lease %x: %d, %d and %d of %d", s.Id[:4], s.Stated, s.Disputed, s.Refunded, s.Deposited)
		want(s.Disputes == open[string(s.Id)], 9, "standing lease %x has %d disputes, counts %d", s.Id[:4], open[string(s.Id)], s.Disputes)
		if s.State != marketpb.LEASE_STATE_CLOSED {
			want(paid[string(s.Id)] <= s.Stated+s.Disputed+s.Forfeited, 3, "standing lease %x paid %d of %d, %d and %d", s.Id[:4], paid[string(s.Id)], s.Stated, s.Disputed, s.Forfeited)
		}
	}
}

// rewards: totals stay within budgets, claims within totals, both only grow.
func (w *world) rewards(now, before *past, want wants) {
	var budget, paid uint64
	for _, b := range w.budgets(now.view) {
		budget = max(budget, b.Total)
	}
	if before != nil {
		now.reported = before.reported
	}
	for _, r := range now.reports {
		want(r.Content.Total <= r.Budget && r.Budget <= budget, 5, "report of epoch %d promises %d of %d", r.Epoch, r.Content.Total, r.Budget)
		now.reported = max(now.reported, r.Content.Total)
	}
	for _, n := range now.claimed {
		paid += n
	}
	want(paid <= budget && paid == now.totals.RewardsMinted, 5, "%d was claimed, %d minted, the budgets are %d", paid, now.totals.RewardsMinted, budget)
	want(paid <= now.reported, 5, "%d was claimed of %d reported", paid, now.reported)
	if before == nil {
		return
	}
	for device, n := range before.claimed {
		want(now.claimed[device] >= n, 5, "device %x was paid %d, now %d", device, n, now.claimed[device])
	}
	for _, m := range sentBy[*oraclepb.MsgClaim](w.last) {
		for _, c := range m.Claims {
			want(now.claimed[string(c.Device)] <= max(c.Lifetime, before.claimed[string(c.Device)], w.highest(c.Device)), 5, "device %x was paid %d of %d", c.Device, now.claimed[string(c.Device)], c.Lifetime)
		}
	}
}

// highest is the most that any claim of the last block says of a device.
func (w *world) highest(device []byte) (most uint64) {
	for _, m := range sentBy[*oraclepb.MsgClaim](w.last) {
		for _, c := range m.Claims {
			if bytes.Equal(c.Device, device) {
				most = max(most, c.Lifetime)
			}
		}
	}
	return most
}

// stakes: a validator's stake falls only by fines that say so, and is there.
func (w *world) stakes(now, before *past, want wants) {
	list, err := w.app.Standard.Staking.GetAllValidators(now.ctx)
	w.must(err)
	var sum uint64
	bonded := 0
	for _, v := range list {
		now.stakes[v.OperatorAddress] = v.Tokens.Uint64()
		sum += v.Tokens.Uint64()
		if v.IsBonded() {
			bonded++
		}
	}
	want(bonded > 0, 8, "nobody is bonded any more")
	w.must(w.app.Standard.Staking.IterateUnbondingDelegations(now.ctx, func(_ int64, u stakingtypes.UnbondingDelegation) bool {
		for _, e := range u.Entries {
			sum += e.Balance.Uint64()
		}
		return false
	}))
	pools := now.balances[module(stakingtypes.BondedPoolName)].Add(now.balances[module(stakingtypes.NotBondedPoolName)]...)
	want(pools.AmountOf(money.GrainDenom).Uint64() == sum, 8, "the pools hold %s, validators and who is leaving have %d", pools, sum)
	if before == nil {
		return
	}
	fines := map[string]uint64{}
	for _, e := range w.events() {
		if e.Type == oracle.EventFine {
			n, err := strconv.ParseUint(attribute(e, "burned"), 10, 64)
			w.must(err)
			fines[attribute(e, "validator")] += n
		}
	}
	in, out := map[string]uint64{}, map[string]uint64{}
	for _, m := range sentBy[*stakingtypes.MsgDelegate](w.last) {
		in[m.ValidatorAddress] += m.Amount.Amount.Uint64()
	}
	for _, m := range sentBy[*stakingtypes.MsgUndelegate](w.last) {
		out[m.ValidatorAddress] += m.Amount.Amount.Uint64()
	}
	for _, p := range w.validators {
		o := p.operator()
		had, has := before.stakes[o]+in[o], now.stakes[o]+out[o]+fines[o]
		// Shares of a fined validator are worth a fraction of a coin more or less.
		want(had <= has+2 && has <= had+2, 8, "%s had %d at stake and got %d, has %d, gave %d back, fined %d", o, before.stakes[o], in[o], now.stakes[o], out[o], fines[o])
	}
}

// bonds: an offer's bond falls only by what it says was slashed, or all of it
// when the offer is withdrawn.
func (w *world) bonds(now, before *past, want wants) {
	for _, o := range now.view.offers {
		now.offers[o.Id] = o
	}
	if before == nil {
		return
	}
	for id, old := range before.offers {
		o, kept := now.offers[id]
		if !kept || o.Status == marketpb.OFFER_STATUS_WITHDRAWN {
			continue
		}
		want(o.Slashed >= old.Slashed && o.Bond+o.Slashed >= old.Bond+old.Slashed, 8, "offer %d had a bond of %d and %d slashed, has %d and %d", id, old.Bond, old.Slashed, o.Bond, o.Slashed)
	}
}

// registry: a device's nonce grows when its owner changes, and liens stay until
// they are paid or released.
func (w *world) registry(now, before *past, want wants) {
	for _, d := range now.view.devices {
		_, twice := now.devices[d.Id]
		want(!twice, 10, "device %s is there twice", d.Id)
		now.devices[d.Id] = d
	}
	if before == nil {
		return
	}
	released := map[string]bool{}
	for _, m := range sentBy[*devicepb.MsgReleaseLien](w.last) {
		released[m.Device+m.Beneficiary] = true
	}
	taken := map[string]bool{} // after the wait that the owner before announced
	for _, m := range sentBy[*devicepb.MsgTakeOver](w.last) {
		p := before.devices[m.Device].Pending
		want(p != nil && p.NewOwner == m.NewOwner && p.FromEpoch <= now.epoch.Number, 10, "device %s was taken over by %s, announced %v", m.Device, m.NewOwner, p)
		taken[m.Device+m.NewOwner] = true
	}
	for id, old := range before.devices {
		d, kept := now.devices[id]
		want(kept, 10, "device %s is gone", id)
		want(d.Nonce >= old.Nonce && (d.Owner == old.Owner || d.Nonce > old.Nonce || taken[id+d.Owner]), 10, "device %s: nonce %d to %d, owner %s to %s", id, old.Nonce, d.Nonce, old.Owner, d.Owner)
		for _, p := range old.Payouts {
			if !p.Lien || p.Paid >= p.Cap || released[id+p.To] {
				continue
			}
			there := slices.ContainsFunc(d.Payouts, func(n devicepb.PayoutSplit) bool {
				return n.Lien && n.To == p.To && n.Bps == p.Bps && n.Cap == p.Cap && n.Paid >= p.Paid
			})
			paid := w.paidIn(p, id)
			want(there || paid, 10, "device %s: the lien of %s (%d of %d paid) is gone", id, p.To, p.Paid, p.Cap)
		}
	}
}

// paidIn says whether a lien that is gone may have been paid in the last block:
// its beneficiary got what was open at least.
func (w *world) paidIn(p devicepb.PayoutSplit, _ string) bool {
	var got uint64
	for _, e := range w.events() {
		if e.Type != "coin_received" || attribute(e, "receiver") != p.To {
			continue
		}
		coins, err := sdk.ParseCoinsNormalized(attribute(e, "amount"))
		w.must(err)
		got += coins.AmountOf(p.Denom).Uint64()
	}
	return got >= p.Cap-p.Paid
}

// endOfBlockGas bounds what the market may do at the end of a block, in gas of
// reads and writes: with 20 leases a block, about three times the most seen.
const endOfBlockGas = 60_000_000

// endOfBlock: the work of EndBlock has a bound.
func (w *world) endOfBlock(now *past, want wants) {
	cached, _ := now.ctx.CacheContext()
	w.must(w.app.Ours.Market.EndBlock(cached))
	gas := cached.GasMeter().GasConsumed() - now.ctx.GasMeter().GasConsumed()
	want(gas < endOfBlockGas, 11, "the market's end of block costs %d gas", gas)
}

// order: what a payer signed in order settles to the same in any order, and once.
func (w *world) order(now *past, want wants) {
	var batch []*marketpb.MsgSettle
	for _, l := range now.view.leases {
		if w.chance(20) {
			batch = append(batch, w.rising(now.view, l)...)
		}
	}
	first, again := w.settleAll(now, batch)
	want(again == 0, 3, "the same receipts paid %d more", again)
	w.rng.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
	second, _ := w.settleAll(now, batch)
	for at, n := range first {
		want(second[at] == n, 3, "lane %s was paid %d in one order and %d in the other", at, n, second[at])
	}
}

// rising are receipts of one lane, each for more than the one before.
func (w *world) rising(v view, l marketpb.Lease) (out []*marketpb.MsgSettle) {
	u, known := w.unitOf(l.Device)
	lane, _ := pick(w, l.Lanes)
	payer, ours := w.laneKey(lane.Key)
	if !known || !ours {
		return nil
	}
	r := receipt.Receipt{Lease: [32]byte(l.Id), Lane: lane.Id, Seq: lane.Seq, Units: lane.Units, Epoch: v.epoch.Number}
	for range 3 {
		r.Seq, r.Units = r.Seq+1, r.Units+w.rng.Uint64N(2_000)
		w.must(r.SignPayer(receipt.ChainOf(chainID), payer))
		w.must(r.CountersignProvider(receipt.ChainOf(chainID), u.key))
		out = append(out, &marketpb.MsgSettle{Signer: w.people[0].address, Receipts: [][]byte{r.Encode()}})
	}
	return out
}

// settleAll settles all messages twice, in a copy of the state, and returns what
// each lane was paid, and what the second time paid.
func (w *world) settleAll(now *past, msgs []*marketpb.MsgSettle) (paid map[string]uint64, again uint64) {
	cached, _ := now.ctx.CacheContext()
	server := market.NewMsgServer(w.app.Ours.Market)
	for range 2 {
		again = 0
		for _, m := range msgs {
			inner, write := cached.CacheContext()
			if r, err := server.Settle(inner, m); err == nil {
				write()
				again += r.Paid
			}
		}
	}
	paid = map[string]uint64{}
	for _, l := range all(w, cached, w.app.Ours.Market.Leases) {
		for _, lane := range l.Lanes {
			paid[fmt.Sprintf("%x/%d", l.Id, lane.Id)] = lane.Paid
		}
	}
	return paid, again
}
