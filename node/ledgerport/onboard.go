package ledgerport

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cosmossdk.io/math"
	"github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"
	"github.com/cosmos/cosmos-sdk/x/feegrant"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/client"
)

// sponsored lists the messages whose fees a sponsor pays for a provider.
func sponsored() []string {
	return []string{
		sdk.MsgTypeURL(&devicepb.MsgRegister{}), sdk.MsgTypeURL(&devicepb.MsgUpdate{}),
		sdk.MsgTypeURL(&marketpb.MsgPost{}), sdk.MsgTypeURL(&marketpb.MsgSettle{}), sdk.MsgTypeURL(&oraclepb.MsgProve{}),
	}
}

// Sponsor lets owner use allowance ugrain of this account's for the fees of its
// device. An allowance that is there already stays.
func (p *Port) Sponsor(ctx context.Context, owner string, allowance uint64) error {
	_, err := p.c.FeeGrant.Allowance(ctx, &feegrant.QueryAllowanceRequest{Granter: p.Address(), Grantee: owner})
	if err == nil {
		return nil
	}
	if !errors.Is(err, client.ErrNotFound) && !strings.Contains(err.Error(), "not found") {
		return fmt.Errorf("read allowance of %s: %w", owner, err)
	}
	m, err := p.grant(owner, allowance)
	if err != nil {
		return err
	}
	if _, err := p.send(ctx, m); err != nil {
		return fmt.Errorf("sponsor %s: %w", owner, err)
	}
	return nil
}

func (p *Port) grant(to string, ugrain uint64) (sdk.Msg, error) {
	coins := sdk.NewCoins(sdk.NewCoin(chain.Grain, math.NewIntFromUint64(ugrain)))
	basic, err := types.NewAnyWithValue(&feegrant.BasicAllowance{SpendLimit: coins})
	if err != nil {
		return nil, err
	}
	limited, err := types.NewAnyWithValue(&feegrant.AllowedMsgAllowance{Allowance: basic, AllowedMessages: sponsored()})
	if err != nil {
		return nil, err
	}
	return &feegrant.MsgGrantAllowance{Granter: p.Address(), Grantee: to, Allowance: limited}, nil
}

// Supply is what a provider brings to the market.
type Supply struct {
	Kind     string             // of the offer; empty: KindStorage
	Key      ed25519.PrivateKey // of the device
	Endpoint string             // see tunnel.ParseEndpoint
	Cell     uint64             // H3 cell that a new device asserts; 0: none
	Use      marketpb.Price     // per unit used: of storage, byte read
	Hold     marketpb.Price     // per unit held through one epoch: of storage, byte held
	Capacity uint64             // units
	Bond     uint64             // ugrain behind the offer
}

// Onboard registers the device and posts its offer, or brings both up to date.
// It returns the offer's number.
func (p *Port) Onboard(ctx context.Context, s Supply) (offer uint64, err error) {
	if s.Kind == "" {
		s.Kind = KindStorage
	}
	pub, err := device.NewPublicKey(device.Ed25519, s.Key.Public().(ed25519.PublicKey))
	if err != nil {
		return 0, err
	}
	id := pub.ID()
	register, err := p.registration(ctx, s, pub)
	if err != nil {
		return 0, err
	}
	have, err := p.offerOf(ctx, s.Kind, id)
	if err != nil {
		return 0, err
	}
	var msgs []sdk.Msg
	if register != nil {
		msgs = append(msgs, register)
	}
	if have.Id == 0 {
		msgs = append(msgs, &marketpb.MsgPost{
			Owner: p.Address(), Device: id[:], Kind: s.Kind, Use: s.Use, Hold: s.Hold, Capacity: s.Capacity,
			Bond: s.Bond, Status: marketpb.OFFER_STATUS_OPEN,
		})
	}
	if len(msgs) == 0 {
		return have.Id, nil
	}
	r, err := p.send(ctx, msgs...)
	if err != nil {
		return 0, fmt.Errorf("onboard device %s: %w", id, err)
	}
	if have.Id != 0 {
		return have.Id, nil
	}
	var answer marketpb.MsgPostResponse
	if err := r.Response(len(msgs)-1, &answer); err != nil {
		return 0, err
	}
	return answer.OfferId, nil
}

// registration returns the message that makes the registry say what s says, nil
// when it does.
func (p *Port) registration(ctx context.Context, s Supply, pub device.PublicKey) (sdk.Msg, error) {
	profile := devicepb.Profile{
		Class: devicepb.CLASS_DRN, Endpoint: s.Endpoint, Cell: s.Cell, Capabilities: []string{s.Kind + "-node"}, Status: devicepb.STATUS_ACTIVE,
	}
	r, err := p.device.Device(ctx, &devicepb.QueryDeviceRequest{Id: pub.ID().String()})
	switch {
	case err == nil:
		d := r.Device
		if d.Owner != p.Address() {
			return nil, fmt.Errorf("onboard device %s: it belongs to %s, not to %s", pub.ID(), d.Owner, p.Address())
		}
		if d.Profile.Endpoint == profile.Endpoint && d.Profile.Status == profile.Status && slices.Equal(d.Profile.Capabilities, profile.Capabilities) {
			return nil, nil
		}
		profile.Cell, profile.Metadata = d.Profile.Cell, d.Profile.Metadata
		return &devicepb.MsgUpdate{Owner: p.Address(), Device: d.Id, Profile: &profile}, nil
	case !errors.Is(err, client.ErrNotFound):
		return nil, fmt.Errorf("read device %s: %w", pub.ID(), err)
	}
	return p.entry(s.Key, pub, profile)
}

// offerOf returns the device's offer of a kind that is not withdrawn; its Id is 0
// when there is none.
func (p *Port) offerOf(ctx context.Context, kind string, id device.ID) (marketpb.Offer, error) {
	var found marketpb.Offer
	err := pages(func(page *query.PageRequest) (*query.PageResponse, error) {
		r, err := p.market.Offers(ctx, &marketpb.QueryOffersRequest{Kind: kind, Pagination: page})
		if err != nil {
			return nil, fmt.Errorf("list offers: %w", err)
		}
		for _, o := range r.Offers {
			if device.ID(o.Device) == id && o.Status != marketpb.OFFER_STATUS_WITHDRAWN {
				found = o
			}
		}
		return r.Pagination, nil
	})
	return found, err
}

// buyTries bounds how often Buy asks again when a price that moved has given a
// purchase back.
const buyTries = 5

// Buy makes sure that the account has at least want ucredit: what is missing is
// bought with ugrain, with a tenth on top for the price's moves. It waits for the
// round of votes that prices the purchase, and for one that was asked for before.
func (p *Port) Buy(ctx context.Context, want uint64) error {
	for try := 0; ; try++ {
		if err := p.waitPurchases(ctx); err != nil {
			return err
		}
		have, err := p.Credits(ctx)
		if err != nil || have >= want {
			return err
		}
		if try == buyTries {
			return fmt.Errorf("buy %d ucredit: the price moved away %d times; try again when it is calmer", want-have, try)
		}
		q, err := p.credit.Price(ctx, &creditpb.QueryPriceRequest{})
		if err != nil {
			return fmt.Errorf("read price: %w", err)
		}
		if q.Quote.Low == 0 {
			return fmt.Errorf("buy %d ucredit: the ledger has no price yet", want-have)
		}
		ugrain := math.NewIntFromUint64(want - have).MulRaw(1_100_000).Quo(math.NewIntFromUint64(q.Quote.Low))
		if !ugrain.IsUint64() {
			return fmt.Errorf("buy %d ucredit: would cost %s ugrain", want-have, ugrain)
		}
		_, err = p.send(ctx, &creditpb.MsgBuy{Buyer: p.Address(), Ugrain: ugrain.Uint64(), MinCredit: want - have})
		if err != nil {
			return fmt.Errorf("buy %d ucredit for %s ugrain: %w", want-have, ugrain, err)
		}
	}
}

// waitPurchases returns when no purchase of the account waits for its price.
func (p *Port) waitPurchases(ctx context.Context) error {
	for {
		height, _ := p.c.Head()
		r, err := p.credit.Purchases(ctx, &creditpb.QueryPurchasesRequest{Buyer: p.Address()})
		if err != nil {
			return fmt.Errorf("read purchases: %w", err)
		}
		if len(r.Purchases) == 0 {
			return nil
		}
		if err := p.c.WaitHeight(ctx, height+1); err != nil {
			return fmt.Errorf("wait for purchase %d: %w", r.Purchases[0].Id, err)
		}
	}
}

// Device is the id of the device the key belongs to.
func (s Supply) Device() [32]byte {
	k, err := device.NewPublicKey(device.Ed25519, s.Key.Public().(ed25519.PublicKey))
	if err != nil {
		panic("an ed25519 key is not a device key: " + err.Error()) // every one is
	}
	return k.ID()
}
