package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"cosmossdk.io/math"
	cmttypes "github.com/cometbft/cometbft/types"
	sdkclient "github.com/cosmos/cosmos-sdk/client"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/gogoproto/proto"

	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/encoding"
	"github.com/grange-network/grange/ledger/key"
)

const (
	// TTL is how long a transaction may wait for a block. The ledger accepts at
	// most ten minutes.
	TTL = 2 * time.Minute
	// The ledger measures those ten minutes from its newest block. Behind a block
	// older than this no transaction is made: a ledger that was stopped must have
	// made one since it goes on.
	maxLag = 7 * time.Minute
	// A transaction's gas limit is what its simulation used plus three tenths,
	// for the state may change before it runs, plus the write of its nonce and of
	// the fee, which simulation leaves out.
	gasMarginTenths = 13
	gasNonce        = 40_000
)

// Result is an included, successful transaction.
type Result struct {
	Height  int64
	Hash    string
	Events  []Event
	GasUsed int64

	data []byte
}

// Response decodes the answer of message i into m, which must have the type the
// service declares for it.
func (r Result) Response(i int, m proto.Message) error {
	var all sdk.TxMsgData
	if err := proto.Unmarshal(r.data, &all); err != nil {
		return fmt.Errorf("decode responses of transaction %s: %w", r.Hash, err)
	}
	if i < 0 || i >= len(all.MsgResponses) {
		return fmt.Errorf("decode responses of transaction %s: no response %d of %d", r.Hash, i, len(all.MsgResponses))
	}
	return proto.Unmarshal(all.MsgResponses[i].Value, m)
}

// Signer sends transactions of one account. It is safe for concurrent use: its
// transactions are unordered, so that none waits for or spoils another.
type Signer struct {
	c       *Client
	key     key.Key
	granter sdk.AccAddress

	mu      sync.Mutex
	number  uint64 // account number, if known
	known   bool
	timeout time.Time // last one used
}

// Signer returns a signer for k. Fees are paid by feeGranter under the allowance
// it gave the account, or by the account itself if feeGranter is nil.
func (c *Client) Signer(k key.Key, feeGranter sdk.AccAddress) *Signer {
	return &Signer{c: c, key: k, granter: feeGranter}
}

// Address is the account that signs.
func (s *Signer) Address() sdk.AccAddress { return s.key.Address() }

// Send simulates, signs and broadcasts one transaction with the messages and
// waits until a block includes it. It fails with *TxError if the ledger refuses
// it, ErrExpired if no block took it within TTL, ErrUnavailable if the node
// cannot be reached, or ctx's error; in the last two cases the transaction may
// still be included.
func (s *Signer) Send(ctx context.Context, msgs ...sdk.Msg) (Result, error) {
	if len(msgs) == 0 {
		return Result{}, errors.New("send transaction: no messages")
	}
	if err := s.c.awaken(ctx); err != nil {
		return Result{}, err
	}
	number, err := s.accountNumber(ctx)
	if err != nil {
		return Result{}, err
	}
	timeout, raw, err := s.young(ctx, number, msgs)
	if err != nil {
		return Result{}, err
	}
	hash := fmt.Sprintf("%X", cmttypes.Tx(raw).Hash())
	included, forget := s.c.hub.await(hash)
	defer forget()
	if err := s.broadcast(ctx, hash, raw); err != nil {
		return Result{}, err
	}
	return s.wait(ctx, hash, timeout, included)
}

// young builds a transaction. A node that has just started knows the time of no
// block until it makes one, and takes every timeout for one too far ahead: then the
// next block is waited for.
func (s *Signer) young(ctx context.Context, number uint64, msgs []sdk.Msg) (time.Time, []byte, error) {
	for {
		height, _ := s.c.Head()
		timeout := s.nextTimeout()
		raw, err := s.build(ctx, number, timeout, msgs)
		if !timeless(err) {
			return timeout, raw, err
		}
		if err := s.c.WaitHeight(ctx, height+1); err != nil {
			return timeout, nil, fmt.Errorf("wait for the node's first block behind %d: %w", height, err)
		}
	}
}

// timeless reports whether the ledger refused a transaction because its timeout is
// more than ten minutes ahead, which TTL never is of a block that awaken let pass.
func timeless(err error) bool {
	var refused *TxError
	return errors.As(err, &refused) && refused.Codespace == sdkerrors.RootCodespace && refused.Code == sdkerrors.ErrInvalidRequest.ABCICode() &&
		strings.Contains(refused.Log, "unordered tx ttl exceeds")
}

// accountNumber is read once; it never changes.
func (s *Signer) accountNumber(ctx context.Context) (uint64, error) {
	s.mu.Lock()
	number, known := s.number, s.known
	s.mu.Unlock()
	if known {
		return number, nil
	}
	address := s.Address().String()
	info, err := s.c.Auth.AccountInfo(ctx, &authtypes.QueryAccountInfoRequest{Address: address})
	if errors.Is(err, ErrNotFound) {
		return 0, fmt.Errorf("account %s is unknown to the ledger: send it something, or have a sponsor grant it a fee allowance: %w", address, err)
	}
	if err != nil {
		return 0, fmt.Errorf("read account %s: %w", address, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number, s.known = info.Info.AccountNumber, true
	return s.number, nil
}

// nextTimeout returns a timeout that this signer has not used: it is what makes
// an unordered transaction unique.
func (s *Signer) nextTimeout() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := time.Now().Add(TTL)
	if !t.After(s.timeout) {
		t = s.timeout.Add(time.Nanosecond)
	}
	s.timeout = t
	return t
}

// build returns the signed transaction's bytes.
func (s *Signer) build(ctx context.Context, number uint64, timeout time.Time, msgs []sdk.Msg) ([]byte, error) {
	b := s.c.enc.Tx.NewTxBuilder()
	if err := b.SetMsgs(msgs...); err != nil {
		return nil, fmt.Errorf("build transaction: %w", err)
	}
	b.SetUnordered(true)
	b.SetTimeoutTimestamp(timeout)
	b.SetFeeGranter(s.granter)
	gas, err := s.simulate(ctx, number, b)
	if err != nil {
		return nil, err
	}
	b.SetGasLimit(gas)
	fee, err := feeFor(gas)
	if err != nil {
		return nil, err
	}
	b.SetFeeAmount(fee)
	if err := s.sign(ctx, number, b); err != nil {
		return nil, err
	}
	return s.c.enc.Tx.TxEncoder()(b.GetTx())
}

func (s *Signer) sign(ctx context.Context, number uint64, b sdkclient.TxBuilder) error {
	return s.c.enc.Sign(ctx, b, encoding.Signer{Key: s.key, ChainID: s.c.chainID, AccountNumber: number})
}

// simulate returns the gas limit to use. The fee is not charged in simulation,
// the signature is not checked but its size counts.
func (s *Signer) simulate(ctx context.Context, number uint64, b sdkclient.TxBuilder) (uint64, error) {
	b.SetGasLimit(0)
	if err := s.sign(ctx, number, b); err != nil {
		return 0, err
	}
	raw, err := s.c.enc.Tx.TxEncoder()(b.GetTx())
	if err != nil {
		return 0, fmt.Errorf("encode transaction: %w", err)
	}
	// Not through the gRPC service: it drops the error's codespace and code.
	r, err := s.c.rpc.ABCIQuery(ctx, "/app/simulate", raw)
	if err != nil {
		return 0, rpcError("simulate transaction", err)
	}
	if r.Response.Code != 0 {
		return 0, &TxError{Codespace: r.Response.Codespace, Code: r.Response.Code, Log: r.Response.Log}
	}
	var out sdk.SimulationResponse
	if err := s.c.enc.Codec.UnmarshalJSON(r.Response.Value, &out); err != nil {
		return 0, fmt.Errorf("decode simulation: %w", err)
	}
	return out.GasUsed*gasMarginTenths/10 + gasNonce, nil
}

// feeFor is gas times the chain's minimum price, rounded up.
func feeFor(gas uint64) (sdk.Coins, error) {
	prices, err := sdk.ParseDecCoins(chain.MinGasPrice)
	if err != nil {
		return nil, fmt.Errorf("read gas price %q: %w", chain.MinGasPrice, err)
	}
	limit := math.LegacyNewDecFromInt(math.NewIntFromUint64(gas))
	var fee sdk.Coins
	for _, p := range prices {
		fee = fee.Add(sdk.NewCoin(p.Denom, p.Amount.Mul(limit).Ceil().RoundInt()))
	}
	return fee, nil
}

func (s *Signer) broadcast(ctx context.Context, hash string, raw []byte) error {
	r, err := s.c.rpc.BroadcastTxSync(ctx, raw)
	switch {
	case err != nil && strings.Contains(err.Error(), "already exists in cache"):
		return nil // the node has it
	case err != nil && strings.Contains(err.Error(), "mempool is full"):
		return fmt.Errorf("broadcast transaction %s: %w: %w", hash, ErrUnavailable, err)
	case err != nil:
		return rpcError("broadcast transaction "+hash, err)
	case r.Code != 0:
		return &TxError{Codespace: r.Codespace, Code: r.Code, Log: r.Log, Hash: hash}
	}
	return nil
}

// wait returns when the transaction is in a block or can no longer get into one.
func (s *Signer) wait(ctx context.Context, hash string, timeout time.Time, included <-chan inclusion) (Result, error) {
	for {
		head, moved := s.c.hub.position()
		select {
		case in := <-included:
			return conclude(in)
		default:
		}
		if head.Time.After(timeout) {
			return Result{}, fmt.Errorf("send transaction %s: not included before %s: %w", hash, timeout.UTC().Format(time.RFC3339), ErrExpired)
		}
		select {
		case in := <-included:
			return conclude(in)
		case <-moved:
		case <-s.c.hub.done:
			return Result{}, fmt.Errorf("send transaction %s: client closed: %w", hash, ErrUnavailable)
		case <-ctx.Done():
			return Result{}, fmt.Errorf("send transaction %s: %w", hash, ctx.Err())
		}
	}
}

func conclude(in inclusion) (Result, error) {
	if in.tx.Code != 0 {
		return Result{}, &TxError{
			Codespace: in.tx.Codespace, Code: in.tx.Code, Log: in.tx.Log, Hash: in.tx.Hash, Height: in.height,
		}
	}
	return Result{
		Height: in.height, Hash: in.tx.Hash, Events: in.tx.Events, GasUsed: in.tx.GasUsed, data: in.tx.Data,
	}, nil
}
