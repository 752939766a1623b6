package host

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cosmossdk.io/math"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/ledger/server"
	"github.com/grange-network/grange/node/verticals"
)

// Amounts of the first block, in ugrain: what a founding validator stakes, and
// owns besides that.
const (
	million = 1_000_000 * 1_000_000
	stake   = million
	spare   = million
)

// FirstPrice is the price of a GRAIN in the first block, in ucredit, until
// validators vote another.
const FirstPrice = 1_000_000

// maxCard bounds a card file, in bytes.
const maxCard = 64 << 10

// cardVersion is the form of cards that this program writes and reads.
const cardVersion = 1

// Card introduces a founding validator to the others. It is public.
type Card struct {
	Version int    `json:"version"`
	ChainID string `json:"chain_id"`
	Name    string `json:"name"`
	// Created is when, in whole seconds; the newest of all cards is the time of
	// the first block.
	Created      time.Time `json:"created"`
	EpochSeconds uint32    `json:"epoch_seconds"`       // the same on every card
	Verticals    []string  `json:"verticals,omitempty"` // that the network is founded with, the same on every card
	NodeID       string    `json:"node_id"`             // p2p identity, 40 hex digits
	Address      string    `json:"address"`             // host:port where others reach its p2p port
	Operator     string    `json:"operator"`            // account address
	// Gentx is the signed transaction that makes it a validator.
	Gentx json.RawMessage `json:"gentx"`
}

// Error says that what was asked for cannot be; nothing was changed.
type Error struct{ What string }

// Error says what and why.
func (e *Error) Error() string { return e.What }

func refusef(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// ReadCard reads and checks a card file.
func ReadCard(path string) (Card, error) {
	var c Card
	f, err := os.Open(path)
	if err != nil {
		return c, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxCard+1))
	if err != nil {
		return c, err
	}
	if len(raw) > maxCard {
		return c, refusef("read card %s: longer than %d bytes", path, maxCard)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, refusef("read card %s: %v", path, err)
	}
	if c.Version != cardVersion {
		return c, refusef("read card %s: version %d, this program knows %d", path, c.Version, cardVersion)
	}
	if err := checkAddress(c.Address); err != nil {
		return c, refusef("read card %s: %v", path, err)
	}
	if _, err := sdk.AccAddressFromBech32(c.Operator); err != nil {
		return c, refusef("read card %s: operator: %v", path, err)
	}
	if c.Name == "" || len(c.NodeID) != 40 || c.ChainID == "" {
		return c, refusef("read card %s: name, node_id (40 hex digits) or chain_id is missing", path)
	}
	return c, nil
}

func checkAddress(a string) error {
	h, port, err := net.SplitHostPort(a)
	if err == nil && (h == "" || port == "" || port == "0") {
		err = errors.New("host or port is missing")
	}
	if err == nil && strings.ContainsAny(a, ",@/ ") {
		err = errors.New("it has a character no address has")
	}
	if err != nil {
		return fmt.Errorf("address %q is not host:port: %w", a, err)
	}
	return nil
}

// genesis makes the chain of the cards: the same cards, in any order, give the
// same bytes.
func genesis(cards []Card) ([]byte, error) {
	cards = slices.SortedFunc(slices.Values(cards), func(a, b Card) int { return cmp.Compare(a.Name, b.Name) })
	g := server.Genesis{ChainID: cards[0].ChainID}
	seen := map[string]string{}
	for _, c := range cards {
		if c.ChainID != g.ChainID || c.EpochSeconds != cards[0].EpochSeconds {
			return nil, refusef("found chain: the card of %s is for %s with epochs of %d s, that of %s for %s with %d s",
				c.Name, c.ChainID, c.EpochSeconds, cards[0].Name, g.ChainID, cards[0].EpochSeconds)
		}
		if !slices.Equal(c.Verticals, cards[0].Verticals) {
			return nil, refusef("found chain: the card of %s is for verticals %q, that of %s for %q", c.Name, c.Verticals, cards[0].Name, cards[0].Verticals)
		}
		for _, id := range []string{"name " + c.Name, "node " + c.NodeID, "operator " + c.Operator, "address " + c.Address} {
			if other, ok := seen[id]; ok {
				return nil, refusef("found chain: the cards of %s and %s have the same %s", other, c.Name, id)
			}
			seen[id] = c.Name
		}
		if c.Created.After(g.Time) {
			g.Time = c.Created
		}
		addr, err := sdk.AccAddressFromBech32(c.Operator)
		if err != nil {
			return nil, err
		}
		g.Gentxs = append(g.Gentxs, c.Gentx)
		g.Balances = append(g.Balances, server.Balance{Address: addr, Coins: sdk.NewCoins(sdk.NewCoin(chain.Grain, math.NewInt(stake+spare)))})
	}
	state := func(format string, args ...any) json.RawMessage { return json.RawMessage(fmt.Sprintf(format, args...)) }
	with, err := verticals.Chosen(cards[0].Verticals)
	if err != nil {
		return nil, refusef("found chain: %v", err)
	}
	oracle, grants, err := verticals.Parameters(with)
	if err != nil {
		return nil, err
	}
	g.Modules = map[string]json.RawMessage{
		"oracle": state(`{"params":{"epoch_seconds":"%d","verticals":%s}}`, cards[0].EpochSeconds, oracle),
		"credit": state(`{"params":{"grants":%s},"price":{"last":"%d","average":"%d","updated":"%d"}}`, grants, FirstPrice, uint64(FirstPrice)<<16, g.Time.Unix()),
	}
	return g.DocumentJSON()
}

func newCard(ctx context.Context, home string, o InitOptions) (Card, error) {
	if err := newOperator(home, o.ShowPhrase); err != nil {
		return Card{}, err
	}
	k, err := server.InitNode(chainHome(home))
	if err != nil {
		return Card{}, err
	}
	gentx, err := k.Gentx(ctx, o.ChainID, o.Name, stake)
	if err != nil {
		return Card{}, err
	}
	return Card{
		Version: cardVersion, ChainID: o.ChainID, Name: o.Name, Created: time.Now().UTC().Truncate(time.Second),
		EpochSeconds: uint32(o.Epoch / time.Second), Verticals: o.With, NodeID: k.NodeID, Address: o.Address,
		Operator: k.Operator.Address().String(), Gentx: gentx,
	}, nil
}

// newOperator makes the operator's key from a phrase, if there is none and
// somebody is to see the phrase.
func newOperator(home string, show func(string)) error {
	path := server.OperatorKeyPath(chainHome(home))
	if _, err := os.Stat(path); show == nil || err == nil {
		return nil
	}
	phrase, err := key.NewMnemonic()
	if err != nil {
		return err
	}
	k, err := key.FromMnemonic(phrase, 0)
	if err != nil {
		return err
	}
	if err := k.Save(path); err != nil {
		return err
	}
	show(phrase)
	return nil
}

// OperatorKeyPath is where the key of a machine's operator is.
func OperatorKeyPath(home string) string { return server.OperatorKeyPath(chainHome(home)) }

func chainHome(home string) string { return filepath.Join(home, "chain") }

// CardPath is where a machine's own card is.
func CardPath(home string) string { return filepath.Join(home, "card.json") }
