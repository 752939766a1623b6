package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cosmos/cosmos-sdk/types/query"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"

	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/oracle"
)

// reveal registers the beacon key once and then signs every epoch.
func (v *verifier) reveal(ctx context.Context, t tick) error {
	e := t.epoch.Epoch
	key, err := v.ownKey(ctx)
	if err != nil {
		return err
	}
	public := v.key.Public()
	if !bytes.Equal(key.PublicKey, public[:]) {
		return v.registerKey(ctx)
	}
	if e.Status != oraclepb.EPOCH_STATUS_REVEALING || e.Number < key.Since || e.Number <= v.revealed {
		return nil
	}
	for _, r := range t.epoch.Reveals {
		if r.Validator == v.operator {
			v.revealed = e.Number
			return nil
		}
	}
	signature := v.key.Sign(v.ledger.ChainID, e.Number)
	_, err = v.Sender.Send(ctx, &oraclepb.MsgReveal{Validator: v.operator, Epoch: e.Number, Signature: signature[:]})
	if errors.Is(err, oracle.ErrNotBonded) {
		v.revealed = e.Number
		return v.comeBack(ctx)
	}
	if err != nil && !errors.Is(err, oracle.ErrDone) {
		if errors.Is(err, oracle.ErrTooLate) {
			v.log.Warn("revealed too late", "epoch", e.Number)
			v.revealed = e.Number
			return nil
		}
		return fmt.Errorf("reveal epoch %d: %w", e.Number, err)
	}
	v.revealed = e.Number
	v.log.Debug("revealed", "epoch", e.Number)
	return nil
}

// comeBack asks, once an epoch, to be let out of jail: who can ask again does its
// duties again. The ledger refuses it until the time is over, and for good who
// signed two blocks of one height.
func (v *verifier) comeBack(ctx context.Context) error {
	if _, err := v.Sender.Send(ctx, slashingtypes.NewMsgUnjail(v.operator)); err != nil {
		return fmt.Errorf("validator %s is not in the set: ask to come back: %w", v.operator, err)
	}
	v.log.Info("came back from jail", "validator", v.operator)
	return nil
}

// ownKey is what the ledger has for this validator; the zero Key for nothing.
func (v *verifier) ownKey(ctx context.Context) (oraclepb.Key, error) {
	if v.ownCached.PublicKey != nil {
		return v.ownCached, nil
	}
	var found oraclepb.Key
	err := pages(func(p *query.PageRequest) (*query.PageResponse, error) {
		r, err := v.ledger.Oracle.Keys(ctx, &oraclepb.QueryKeysRequest{Pagination: p})
		if err != nil {
			return nil, fmt.Errorf("list beacon keys: %w", err)
		}
		for _, k := range r.Keys {
			if k.Validator == v.operator {
				found = k
			}
		}
		return r.Pagination, nil
	})
	if public := v.key.Public(); err == nil && bytes.Equal(found.PublicKey, public[:]) {
		v.ownCached = found
	}
	return found, err
}

func (v *verifier) registerKey(ctx context.Context) error {
	public := v.key.Public()
	proof, err := v.key.Prove(v.ledger.ChainID, v.Sender.Address())
	if err != nil {
		return err
	}
	_, err = v.Sender.Send(ctx, &oraclepb.MsgRegisterKey{Validator: v.operator, PublicKey: public[:], Possession: proof[:]})
	if err != nil {
		return fmt.Errorf("register beacon key: %w", err)
	}
	v.log.Info("registered beacon key", "validator", v.operator)
	return nil
}

// pages calls ask with the key of each page until there is none.
func pages(ask func(*query.PageRequest) (*query.PageResponse, error)) error {
	for p := (&query.PageRequest{Limit: 500}); ; {
		r, err := ask(p)
		if err != nil || r == nil || len(r.NextKey) == 0 {
			return err
		}
		p = &query.PageRequest{Key: r.NextKey, Limit: p.Limit}
	}
}

// votePrice votes at most once in a round.
func (v *verifier) votePrice(ctx context.Context, t tick) error {
	if v.Prices == nil {
		return nil
	}
	if v.round == 0 || t.epoch.Epoch.Number != v.roundOf {
		p, err := v.ledger.Credit.Params(ctx, &creditpb.QueryParamsRequest{})
		if err != nil {
			return fmt.Errorf("read credit parameters: %w", err)
		}
		v.round, v.roundOf = int64(max(p.Params.RoundSeconds, 1)), t.epoch.Epoch.Number
	}
	now := t.block.Time.Unix()
	if v.priced != 0 && now < v.priced+v.round {
		return nil
	}
	price, err := v.Prices.Price(ctx)
	if err != nil {
		return fmt.Errorf("find out the price of GRAIN: %w", err)
	}
	if _, err := v.Sender.Send(ctx, &creditpb.MsgPrice{Validator: v.operator, MicroUsdPerGrain: price}); err != nil {
		return fmt.Errorf("vote price %d: %w", price, err)
	}
	v.priced = now
	v.log.Debug("voted price", "micro_usd_per_grain", price)
	return nil
}
