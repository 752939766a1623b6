package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/beacon"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/vertical"
)

// Sender signs, submits and waits for transactions of one account. The ledger
// client's Signer is one.
type Sender interface {
	Address() sdk.AccAddress
	Send(ctx context.Context, msgs ...sdk.Msg) (client.Result, error)
}

// Prices says what a GRAIN costs.
type Prices interface {
	// Price is in 10⁻⁶ USD per GRAIN, at least 1. An error skips one vote.
	Price(ctx context.Context) (uint64, error)
}

// FixedPrice is a price that never changes: for networks without a market.
type FixedPrice uint64

// Price returns p.
func (p FixedPrice) Price(context.Context) (uint64, error) { return uint64(p), nil }

// Ledger is what Run reads: the queries of four modules and the blocks.
type Ledger struct {
	ChainID string
	Oracle  oraclepb.QueryClient
	Market  marketpb.QueryClient
	Credit  creditpb.QueryClient
	Device  devicepb.QueryClient
	// Blocks streams new blocks until its context ends, then closes the channel.
	Blocks func(context.Context) <-chan client.Block
}

// LedgerOf is the ledger behind a client.
func LedgerOf(c *client.Client) Ledger {
	return Ledger{
		ChainID: c.ChainID(), Blocks: c.Blocks,
		Oracle: oraclepb.NewQueryClient(c.Conn()), Market: marketpb.NewQueryClient(c.Conn()), Credit: creditpb.NewQueryClient(c.Conn()),
		Device: devicepb.NewQueryClient(c.Conn()),
	}
}

// Config is one validator's verifier.
type Config struct {
	// Home is the folder for the beacon key and the published epochs; created if
	// missing. One verifier per home.
	Home string
	// Ledger is read.
	Ledger Ledger
	// Sender signs as the validator's operator. Without one the verifier only
	// watches: it computes and publishes every epoch and compares it with what
	// the ledger accepted.
	Sender Sender
	// Verticals to score, all of the ledger's parameters if empty.
	Verticals []string
	// Known are the verticals whose Score this program has; the others are scored
	// from usage alone. All validators of a chain must know the same.
	Known []vertical.Vertical
	// Archive has the evidence; verticals with evidence wait without it.
	Archive *evidence.Archive
	// Retain makes this verifier remove evidence from the archive when it no longer
	// keeps the epoch that was scored from it. At most one of those who share an
	// archive does.
	Retain bool
	// Keep is how many published epochs are kept of each vertical; 0: 256. Older
	// ones can no longer be verified from this home.
	Keep uint64
	// Others are where other verifiers publish: URLs that serve a Handler, or homes
	// on this machine. A wrong report can only be refuted with the leaves behind it.
	Others []string
	// Prices to vote; no votes if nil.
	Prices Prices
	// Logger; slog's default if nil.
	Logger *slog.Logger
}

const defaultKeep = 256

func (c Config) keep() uint64 {
	if c.Keep == 0 {
		return defaultKeep
	}
	return c.Keep
}

// Run does a validator's duties until ctx ends, then returns ctx's error. What
// the ledger refuses or cannot answer is logged and tried again with the next
// blocks; Run fails only when its home cannot be used.
func Run(ctx context.Context, c Config) error {
	v, err := newVerifier(c)
	if err != nil {
		return err
	}
	duties := []duty{{"report", v.report}, {"challenge", v.challenge}}
	if c.Sender != nil {
		duties = append(duties, duty{"reveal", v.reveal}, duty{"price", v.votePrice}, duty{"claim", v.claim})
	}
	parent := ctx
	ctx, cancel := context.WithCancel(parent)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wakes := make([]chan tick, len(duties))
	for i, d := range duties {
		wakes[i] = make(chan tick, 1)
		wg.Add(1)
		go func() {
			defer wg.Done()
			v.work(ctx, d, wakes[i])
		}()
	}
	for b := range v.ledger.Blocks(ctx) {
		t, err := v.look(ctx, b)
		if err != nil {
			v.log.Debug("block passed over", "height", b.Height, "error", err)
			continue
		}
		for _, wake := range wakes {
			offer(wake, t)
		}
	}
	if err := parent.Err(); err != nil {
		return err
	}
	return errors.New("verify: the stream of blocks ended")
}

// tick is the ledger as of one block.
type tick struct {
	block client.Block
	epoch oraclepb.QueryEpochResponse
}

// duty is one thing to do; run is called with newer and newer ticks, never
// concurrently with itself.
type duty struct {
	name string
	run  func(context.Context, tick) error
}

// offer replaces what waits in a channel of one.
func offer(wake chan tick, t tick) {
	select {
	case <-wake:
	default:
	}
	wake <- t // the only sender, so there is room now
}

type verifier struct {
	Config
	ledger   Ledger
	key      *beacon.Key
	operator string // bech32 valoper
	log      *slog.Logger

	// Of one duty each, never shared.
	ownCached oraclepb.Key                   // reveal: our key on the ledger
	revealed  uint64                         // reveal: newest epoch done
	priced    int64                          // price: block time of the last vote, Unix seconds
	round     int64                          // price: seconds between votes
	roundOf   uint64                         // price: epoch that was read in
	scores    map[string]*ledgerbook         // report
	paid      map[string]map[[32]byte]uint64 // claim: ugrain known to be paid, by vertical and device
	claimed   map[string]uint64              // claim: newest report paid in full, by vertical
	quarrels  map[reportKey]*quarrel         // challenge: open reports that were compared; nil where all agree
}

func newVerifier(c Config) (*verifier, error) {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	key, err := loadKey(c.Home)
	if err != nil {
		return nil, err
	}
	quarrels, err := remembered(c)
	if err != nil {
		return nil, err
	}
	v := &verifier{
		Config: c, ledger: c.Ledger, key: key, log: c.Logger.With("role", "verify"),
		scores: map[string]*ledgerbook{}, paid: map[string]map[[32]byte]uint64{}, claimed: map[string]uint64{},
		quarrels: quarrels,
	}
	if c.Sender != nil {
		v.operator = sdk.ValAddress(c.Sender.Address()).String()
	}
	return v, nil
}

// work runs a duty for the newest tick, again and again. An error that repeats
// is said once.
func (v *verifier) work(ctx context.Context, d duty, wake <-chan tick) {
	said := ""
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-wake:
			err := d.run(ctx, t)
			switch {
			case err == nil && said != "":
				v.log.Info("duty works again", "duty", d.name)
				said = ""
			case err != nil && ctx.Err() == nil && err.Error() != said:
				v.log.Warn("duty failed, will be tried again", "duty", d.name, "error", err)
				said = err.Error()
			}
		}
	}
}

func (v *verifier) look(ctx context.Context, b client.Block) (tick, error) {
	r, err := v.ledger.Oracle.Epoch(ctx, &oraclepb.QueryEpochRequest{})
	if err != nil {
		return tick{}, fmt.Errorf("read current epoch: %w", err)
	}
	return tick{block: b, epoch: *r}, nil
}

func (v *verifier) verticals(ctx context.Context) ([]string, error) {
	if len(v.Verticals) > 0 {
		return v.Verticals, nil
	}
	r, err := v.ledger.Oracle.Params(ctx, &oraclepb.QueryParamsRequest{})
	if err != nil {
		return nil, fmt.Errorf("read oracle parameters: %w", err)
	}
	return r.Params.Verticals, nil
}
