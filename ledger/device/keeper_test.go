package device

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/encoding"
)

// ledgerBank keeps what modules paid to whom.
type ledgerBank map[string]uint64

func (b ledgerBank) BlockedAddr(a sdk.AccAddress) bool { return a[0] == 0xff }

func (b ledgerBank) InputOutputCoins(_ context.Context, from banktypes.Input, to []banktypes.Output) error {
	if err := banktypes.ValidateInputOutputs(from, to); err != nil {
		return err
	}
	for _, out := range to {
		b[out.Address] += out.Coins[0].Amount.Uint64()
	}
	return nil
}

func (b ledgerBank) FundCommunityPool(context.Context, sdk.Coins, sdk.AccAddress) error {
	return errors.New("no money")
}

func newKeeper(t testing.TB) (*Keeper, sdk.Context, ledgerBank) {
	t.Helper()
	key := storetypes.NewKVStoreKey(ModuleName)
	ctx := testutil.DefaultContext(key, storetypes.NewTransientStoreKey("t")).WithChainID("c")
	bank := ledgerBank{}
	k := NewKeeper(Config{
		Codec: codec.NewProtoCodec(codectypes.NewInterfaceRegistry()), Store: runtime.NewKVStoreService(key),
		Authority: account(9), Accounts: encoding.AccountAddresses(), Bank: bank, Community: bank,
	})
	k.SetEpochs(new(clock))
	if err := k.InitGenesis(ctx, DefaultGenesis()); err != nil {
		t.Fatal(err)
	}
	return k, ctx, bank
}

// clock is the number of the epoch that runs.
type clock uint64

func (c *clock) CurrentEpoch(context.Context) (uint64, error) { return uint64(*c), nil }

func account(n byte) string {
	a := sha256.Sum256([]byte{n})
	a[0] &= 0x7f
	return sdk.AccAddress(a[:20]).String()
}

// secret is the private key of the device that put registers.
func secret(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(append(make([]byte, 31), seed))
}

// put registers a device through the message server.
func put(t testing.TB, k *Keeper, ctx sdk.Context, seed byte, owner string) device.ID {
	t.Helper()
	private := secret(seed)
	public := private.Public().(ed25519.PublicKey)
	address, err := sdk.AccAddressFromBech32(owner)
	if err != nil {
		t.Fatal(err)
	}
	message, err := device.RegisterBytes("c", address, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewMsgServer(k).Register(ctx, &devicepb.MsgRegister{
		Owner: owner, KeyType: devicepb.KEY_TYPE_ED25519, PublicKey: public, Nonce: 1,
		Signature: ed25519.Sign(private, message), Profile: devicepb.Profile{Class: devicepb.CLASS_DRN},
	})
	if err != nil {
		t.Fatal(err)
	}
	id, err := device.ParseID(r.Id)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestGenesisRoundTrip(t *testing.T) {
	k, ctx, _ := newKeeper(t)
	for seed := range byte(5) {
		id := put(t, k, ctx, seed, account(seed%2))
		splits := []devicepb.PayoutSplit{{To: account(7), Bps: 100, Denom: "ucredit", Cap: 50, Lien: true}}
		_, err := NewMsgServer(k).Update(ctx, &devicepb.MsgUpdate{Owner: account(seed % 2), Device: id.String(), Payouts: &devicepb.Payouts{Splits: splits}})
		if err != nil {
			t.Fatal(err)
		}
	}
	announce(t, k, ctx, put(t, k, ctx, 9, account(9)), account(9), account(5))
	nameIssuer(t, k, ctx, 1, 3)
	attest(t, k, ctx, 1, account(4), 2, 1, 1000)
	if _, err := NewMsgServer(k).Revoke(ctx, &devicepb.MsgRevoke{Issuer: account(101), Subject: account(3), Serial: 7}); err != nil {
		t.Fatal(err)
	}
	first, err := k.ExportGenesis(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := ValidateGenesis(first); err != nil {
		t.Fatal(err)
	}
	other, otherCtx, _ := newKeeper(t)
	if err := other.InitGenesis(otherCtx, first); err != nil {
		t.Fatal(err)
	}
	second, err := other.ExportGenesis(otherCtx)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(first, second) {
		t.Fatal("exported, imported and exported again: states differ")
	}
	if n, err := other.count(otherCtx, mustAddress(t, account(0))); err != nil || n != 3 {
		t.Fatalf("owner has %d devices, want 3: %v", n, err)
	}
}

func mustAddress(t interface {
	Helper()
	Fatal(...any)
}, text string) []byte {
	t.Helper()
	a, err := sdk.AccAddressFromBech32(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestValidateGenesisRefuses(t *testing.T) {
	k, ctx, _ := newKeeper(t)
	put(t, k, ctx, 1, account(1))
	nameIssuer(t, k, ctx, 1, 3)
	attest(t, k, ctx, 1, account(4), 2, 1, 1000)
	for name, change := range map[string]func(g *devicepb.GenesisState){
		"device twice":     func(g *devicepb.GenesisState) { g.Devices = append(g.Devices, g.Devices[0]) },
		"id of other key":  func(g *devicepb.GenesisState) { g.Devices[0].Id = device.ID{1}.String() },
		"did of other key": func(g *devicepb.GenesisState) { g.Devices[0].Did = "did:key:z6Mk" },
		"bad owner":        func(g *devicepb.GenesisState) { g.Devices[0].Owner = "cosmos1xyz" },
		"bad key":          func(g *devicepb.GenesisState) { g.Devices[0].PublicKey = nil },
		"bad class":        func(g *devicepb.GenesisState) { g.Devices[0].Profile.Class = 0 },
		"bad splits":       func(g *devicepb.GenesisState) { g.Devices[0].Payouts = []devicepb.PayoutSplit{{Bps: 1}} },
		"owner to himself": func(g *devicepb.GenesisState) {
			g.Devices[0].Pending = &devicepb.PendingTransfer{NewOwner: g.Devices[0].Owner}
		},
		"no caps":          func(g *devicepb.GenesisState) { g.Params.LevelCaps = nil },
		"falling caps":     func(g *devicepb.GenesisState) { g.Params.LevelCaps = []uint32{20_000, 10_000, 30_000} },
		"cap above three":  func(g *devicepb.GenesisState) { g.Params.LevelCaps[2] = 30_001 },
		"endless wait":     func(g *devicepb.GenesisState) { g.Params.TransferEpochs = 1 << 60 },
		"issuer twice":     func(g *devicepb.GenesisState) { g.Issuers = append(g.Issuers, g.Issuers[0]) },
		"issuer's key":     func(g *devicepb.GenesisState) { g.Issuers[0].PublicKey = nil },
		"issuer's level":   func(g *devicepb.GenesisState) { g.Issuers[0].Level = 4 },
		"issuer's name":    func(g *devicepb.GenesisState) { g.Issuers[0].Name = " " },
		"issuer's address": func(g *devicepb.GenesisState) { g.Issuers[0].Address = "x" },
		"statement twice":  func(g *devicepb.GenesisState) { g.Attestations = append(g.Attestations, g.Attestations[0]) },
		"level 9":          func(g *devicepb.GenesisState) { g.Attestations[0].Level = 9 },
		"serial 0":         func(g *devicepb.GenesisState) { g.Attestations[0].Serial = 0 },
		"no device limit":  func(g *devicepb.GenesisState) { g.Params.MaxDevicesPerOwner = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			g, err := k.ExportGenesis(ctx)
			if err != nil {
				t.Fatal(err)
			}
			change(g)
			if err := ValidateGenesis(g); err == nil {
				t.Fatal("accepted")
			}
		})
	}
}

// Payments conserve the amount and a lien never gets more than its cap, however
// the payments come.
func TestPayoutsConserve(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		k, ctx, bank := newKeeper(t)
		id := put(t, k, ctx, 1, account(1))
		capped := rapid.Uint64Range(1, 1<<40).Draw(rt, "cap")
		_, err := NewMsgServer(k).Update(ctx, &devicepb.MsgUpdate{Owner: account(1), Device: id.String(), Payouts: &devicepb.Payouts{Splits: []devicepb.PayoutSplit{
			{To: account(2), Bps: rapid.Uint32Range(1, 10_000).Draw(rt, "lien"), Denom: "ucredit", Cap: capped, Lien: true},
			{To: account(3), Bps: rapid.Uint32Range(1, 10_000).Draw(rt, "share")},
		}}})
		if err != nil {
			rt.Fatal(err)
		}
		var total uint64
		for range rapid.IntRange(1, 10).Draw(rt, "payments") {
			amount := rapid.Uint64Range(0, 1<<41).Draw(rt, "amount")
			if err := k.Payout(ctx, "market", "ucredit", []Earning{{id, amount}}); err != nil {
				rt.Fatal(err)
			}
			total += amount
		}
		if sum := bank[account(1)] + bank[account(2)] + bank[account(3)]; sum != total {
			rt.Fatalf("paid %d of %d", sum, total)
		}
		if bank[account(2)] > capped {
			rt.Fatalf("lien got %d, cap is %d", bank[account(2)], capped)
		}
		splits, err := k.PayoutSplits(ctx, id)
		if err != nil || splits[0].Paid != bank[account(2)] {
			rt.Fatalf("recorded %d, paid %d: %v", splits[0].Paid, bank[account(2)], err)
		}
	})
}

func TestMovingCostsTheFee(t *testing.T) {
	k, ctx, _ := newKeeper(t)
	id := put(t, k, ctx, 1, account(1))
	move := func(cell uint64, after int64) error {
		ctx = ctx.WithBlockTime(time.Unix(after, 0).UTC())
		_, err := NewMsgServer(k).Update(ctx, &devicepb.MsgUpdate{Owner: account(1), Device: id.String(), Profile: &devicepb.Profile{
			Class: devicepb.CLASS_DRN, Status: devicepb.STATUS_ACTIVE, Cell: cell,
		}})
		return err
	}
	if err := move(0x872830828ffffff, 1000); err != nil {
		t.Fatal("the first assertion is free:", err)
	}
	if err := move(0x87194ad14ffffff, 2000); !errors.Is(err, ErrCooldown) {
		t.Fatal(err)
	}
	if err := move(0, 2000); !errors.Is(err, ErrCooldown) {
		t.Fatal("taking the place back is a move:", err)
	}
	if err := move(0x87194ad14ffffff, 1000+24*3600); err == nil || errors.Is(err, ErrCooldown) {
		t.Fatal("want the fee to be asked:", err)
	}
}

func TestRetiredIsForGood(t *testing.T) {
	k, ctx, _ := newKeeper(t)
	id := put(t, k, ctx, 1, account(1))
	set := func(s devicepb.Status) error {
		_, err := NewMsgServer(k).Update(ctx, &devicepb.MsgUpdate{Owner: account(1), Device: id.String(), Profile: &devicepb.Profile{Class: devicepb.CLASS_DRN, Status: s}})
		return err
	}
	if err := set(devicepb.STATUS_RETIRED); err != nil {
		t.Fatal(err)
	}
	if err := set(devicepb.STATUS_ACTIVE); !errors.Is(err, ErrRetired) {
		t.Fatal(err)
	}
}

func TestBeneficiariesMustBePayable(t *testing.T) {
	k, ctx, _ := newKeeper(t)
	id := put(t, k, ctx, 1, account(1))
	blocked := make([]byte, 20)
	blocked[0] = 0xff
	for name, s := range map[string]devicepb.PayoutSplit{
		"not an address": {To: "grange1qqq", Bps: 1},
		"module account": {To: sdk.AccAddress(blocked).String(), Bps: 1},
		"bad coin":       {To: account(2), Bps: 1, Denom: "!"},
		"paid already":   {To: account(2), Bps: 1, Denom: "ucredit", Cap: 5, Paid: 5},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewMsgServer(k).Update(ctx, &devicepb.MsgUpdate{Owner: account(1), Device: id.String(), Payouts: &devicepb.Payouts{Splits: []devicepb.PayoutSplit{s}}})
			if !errors.Is(err, ErrSplits) {
				t.Fatalf("error is %v", err)
			}
		})
	}
}
