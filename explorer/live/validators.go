package live

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cosmossdk.io/math"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// Validator is a validator with its uptime and its conduct in the oracle. What
// the ledger does not say is null.
type Validator struct {
	Operator    string  `json:"operator"`
	Name        string  `json:"name"`
	Status      string  `json:"status"`
	Jailed      bool    `json:"jailed"`
	Tokens      string  `json:"tokens_ugrain"`
	Share       int64   `json:"share_bps"`
	Commission  int64   `json:"commission_bps"`
	Consensus   string  `json:"consensus_address"`
	Missed      *int64  `json:"missed_blocks"`
	Window      *int64  `json:"signed_window"`
	Proposed    int64   `json:"proposed_blocks"` // filled in by who has the index
	Revealed    *uint64 `json:"revealed"`
	NotRevealed *uint64 `json:"missed_reveals"`
	Agreed      *uint64 `json:"agreed"`
	Dissented   *uint64 `json:"dissented"`
	Equivocated *uint64 `json:"equivocated"`
}

// maxValidators bounds a list.
const maxValidators = 1000

// Validators lists validators by their tokens, most first.
func (l *Ledger) Validators(ctx context.Context) ([]Validator, error) {
	r, err := l.c.Staking.Validators(ctx, &stakingtypes.QueryValidatorsRequest{Pagination: &query.PageRequest{Limit: maxValidators}})
	if err != nil {
		return nil, fmt.Errorf("list validators: %w", err)
	}
	bonded := math.ZeroInt()
	for _, v := range r.Validators {
		if v.IsBonded() {
			bonded = bonded.Add(v.Tokens)
		}
	}
	missed, window := l.uptime(ctx)
	conduct := l.conduct(ctx)
	slices.SortStableFunc(r.Validators, func(a, b stakingtypes.Validator) int {
		if a.Tokens.Equal(b.Tokens) {
			return cmp.Compare(a.OperatorAddress, b.OperatorAddress)
		}
		if a.Tokens.GT(b.Tokens) {
			return -1
		}
		return 1
	})
	out := []Validator{}
	for _, v := range r.Validators {
		if err := v.UnpackInterfaces(l.c.Encoding().Registry); err != nil {
			return nil, fmt.Errorf("read key of validator %s: %w", v.OperatorAddress, err)
		}
		address, err := v.GetConsAddr()
		if err != nil {
			return nil, fmt.Errorf("read key of validator %s: %w", v.OperatorAddress, err)
		}
		x := Validator{
			Operator: v.OperatorAddress, Name: v.Description.Moniker, Status: lastWord(v.Status.String()), Jailed: v.Jailed, Tokens: v.Tokens.String(),
			Commission: v.Commission.Rate.MulInt64(10_000).TruncateInt64(), Consensus: hex.EncodeToString(address), Window: window,
		}
		if v.IsBonded() && bonded.IsPositive() {
			x.Share = v.Tokens.MulRaw(10_000).Quo(bonded).Int64()
		}
		if n, ok := missed[sdk.ConsAddress(address).String()]; ok {
			x.Missed = &n
		}
		if c, ok := conduct[v.OperatorAddress]; ok {
			x.Revealed, x.NotRevealed, x.Agreed, x.Dissented, x.Equivocated = &c.Revealed, &c.Missed, &c.Agreed, &c.Dissented, &c.Equivocated
		}
		out = append(out, x)
	}
	return out, nil
}

// uptime is what is known of missed blocks by consensus address; a ledger that
// does not say leaves it unknown.
func (l *Ledger) uptime(ctx context.Context) (missed map[string]int64, window *int64) {
	p, err := l.c.Slashing.Params(ctx, &slashingtypes.QueryParamsRequest{})
	if err != nil {
		return nil, nil
	}
	r, err := l.c.Slashing.SigningInfos(ctx, &slashingtypes.QuerySigningInfosRequest{Pagination: &query.PageRequest{Limit: maxValidators}})
	if err != nil {
		return nil, &p.Params.SignedBlocksWindow
	}
	missed = map[string]int64{}
	for _, i := range r.Info {
		missed[i.Address] = i.MissedBlocksCounter
	}
	return missed, &p.Params.SignedBlocksWindow
}

func (l *Ledger) conduct(ctx context.Context) map[string]oraclepb.Conduct {
	r, err := l.c.Oracle.Conducts(ctx, &oraclepb.QueryConductsRequest{Pagination: &query.PageRequest{Limit: maxValidators}})
	if err != nil {
		return nil
	}
	out := map[string]oraclepb.Conduct{}
	for _, c := range r.Conducts {
		out[c.Validator] = c
	}
	return out
}

// Consensus is the round under way.
type Consensus struct {
	Height     int64      `json:"height"`
	Round      int64      `json:"round"`
	Step       string     `json:"step"`
	Started    *time.Time `json:"started"`
	Proposer   *string    `json:"proposer"`
	Prevotes   *float64   `json:"prevotes_percent"`
	Precommits *float64   `json:"precommits_percent"`
	CatchingUp bool       `json:"catching_up"`
}

// steps of a round, as CometBFT numbers them.
var steps = map[int]string{1: "new height", 2: "new round", 3: "propose", 4: "prevote", 5: "prevote wait", 6: "precommit", 7: "precommit wait", 8: "commit"}

// Consensus reads the round under way.
func (l *Ledger) Consensus(ctx context.Context) (Consensus, error) {
	raw, err := l.c.Round(ctx)
	if err != nil {
		return Consensus{}, err
	}
	return parseRound(raw)
}

func parseRound(raw []byte) (Consensus, error) {
	var r struct {
		Place    string    `json:"height/round/step"`
		Start    time.Time `json:"start_time"`
		Proposer struct {
			Address string `json:"address"`
		} `json:"proposer"`
		Votes []struct {
			Round      int64  `json:"round"`
			Prevotes   string `json:"prevotes_bit_array"`
			Precommits string `json:"precommits_bit_array"`
		} `json:"height_vote_set"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return Consensus{}, fmt.Errorf("decode consensus state: %w", err)
	}
	var c Consensus
	var step int
	if _, err := fmt.Sscanf(r.Place, "%d/%d/%d", &c.Height, &c.Round, &step); err != nil {
		return Consensus{}, fmt.Errorf("decode consensus state %.40q: %w", r.Place, err)
	}
	if c.Step = steps[step]; c.Step == "" {
		c.Step = strconv.Itoa(step)
	}
	if !r.Start.IsZero() {
		start := r.Start.UTC()
		c.Started = &start
	}
	if r.Proposer.Address != "" {
		address := strings.ToLower(r.Proposer.Address)
		c.Proposer = &address
	}
	for _, v := range r.Votes {
		if v.Round == c.Round {
			c.Prevotes, c.Precommits = percent(v.Prevotes), percent(v.Precommits)
		}
	}
	return c, nil
}

// percent reads "BA{4:xx__} 20/40 = 0.50".
func percent(bits string) *float64 {
	i := strings.LastIndex(bits, "= ")
	if i < 0 {
		return nil
	}
	f, err := strconv.ParseFloat(bits[i+2:], 64)
	if err != nil {
		return nil
	}
	f *= 100
	return &f
}
