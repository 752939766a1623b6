package simulation

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cosmossdk.io/log/v2"
	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	dbm "github.com/cosmos/cosmos-db"
	cosmosed25519 "github.com/cosmos/cosmos-sdk/crypto/keys/ed25519"
	sdk "github.com/cosmos/cosmos-sdk/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"

	"github.com/grange-network/grange/core/beacon"
	coredevice "github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/app"
	"github.com/grange-network/grange/ledger/encoding"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/ledger/server"
)

const (
	chainID    = "simulation-1"
	people     = 8
	validators = 4
	units      = 12 // devices that may be registered
	laneKeys   = 6
	grain      = 1_000_000
	riches     = 1_000_000 * grain // of every account, in ugrain
	allowance  = 2_000_000_000     // of every person, in ucredit
	stake      = 100_000 * grain
)

// person is an account; a validator is one with a beacon key as well.
type person struct {
	key.Key
	address string
	beacon  *beacon.Key
	cons    sdk.ConsAddress
}

func (p person) operator() string { return sdk.ValAddress(p.Address()).String() }

// unit is a device key that may be registered.
type unit struct {
	id  coredevice.ID
	key ed25519.PrivateKey
}

// world is one run: the application, what its actors know, and the last block.
type world struct {
	testing.TB
	rng    *rand.Rand
	app    *app.App
	height int64
	time   time.Time

	people     []person // without the validators
	validators []person
	byAddress  map[string]person
	units      []unit
	lanes      []ed25519.PrivateKey

	set       map[string]int64 // consensus power by address, of the block to come
	pending   []abci.ValidatorUpdate
	sequences map[string]uint64
	memory    memory
	last      block
	counts    map[string][2]int // accepted and refused, by message
}

// block is what one block held.
type block struct {
	txs     []sent
	result  *abci.ResponseFinalizeBlock
	signers map[string]bool
}

// sent is a transaction of one message and what came of it.
type sent struct {
	msg    sdk.Msg
	result *abci.ExecTxResult
}

func seedOf(role string, n int) []byte {
	h := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("simulation "+role), uint64(n)))
	return h[:]
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func newWorld(t testing.TB, seed uint64) *world {
	t.Helper()
	w := &world{
		TB: t, rng: rand.New(rand.NewPCG(seed, 1)), time: time.Unix(1_800_000_000, 0).UTC(),
		byAddress: map[string]person{}, set: map[string]int64{}, sequences: map[string]uint64{},
		counts: map[string][2]int{}, memory: newMemory(),
	}
	for i := range people + validators {
		k, err := key.FromBytes(seedOf("person", i))
		w.must(err)
		p := person{Key: k, address: k.Address().String()}
		if i >= people {
			p.beacon, err = beacon.NewKey(seedOf("beacon", i))
			w.must(err)
			p.cons = sdk.ConsAddress(consensusKey(i).PubKey().Address())
			w.validators = append(w.validators, p)
		} else {
			w.people = append(w.people, p)
		}
		w.byAddress[p.address] = p
	}
	for i := range units {
		k := ed25519.NewKeyFromSeed(seedOf("device", i))
		public, err := coredevice.NewPublicKey(coredevice.Ed25519, k.Public().(ed25519.PublicKey))
		w.must(err)
		w.units = append(w.units, unit{id: public.ID(), key: k})
	}
	for i := range laneKeys {
		w.lanes = append(w.lanes, ed25519.NewKeyFromSeed(seedOf("lane", i)))
	}
	w.start(w.genesis(), 1)
	return w
}

func consensusKey(n int) *cosmosed25519.PrivKey {
	return cosmosed25519.GenPrivKeyFromSecret(seedOf("consensus", n))
}

// genesis is short in every duration, so that all that waits comes to pass.
func (w *world) genesis() json.RawMessage {
	g := server.Genesis{ChainID: chainID, Time: w.time, Modules: map[string]json.RawMessage{
		"oracle": json.RawMessage(`{"params":{"epoch_seconds":"60","history_epochs":"12","miss_window":8,"miss_limit":4,"dissent_bps":10,"challenge_deposit":"1000000","breaker_limit":"50000000"}}`),
		"credit": json.RawMessage(fmt.Sprintf(`{"params":{"redeem_window_floor":"100000000","redeem_per_block":3},"price":{"last":"1000000","average":"%d","updated":"%d"}}`, uint64(1_000_000)<<16, w.time.Unix())),
		"market": json.RawMessage(`{"params":{"grace_epochs":"2","history_epochs":"8","leases_per_block":20,"max_leases_per_device":16}}`),
		"device": json.RawMessage(fmt.Sprintf(`{"params":{"location_cooldown":"100","max_devices_per_owner":"4","transfer_epochs":"2"},`+
			`"issuers":[{"address":%q,"name":"maker","key_type":"KEY_TYPE_ED25519","public_key":%q,"level":2}]}`,
			w.people[0].address, base64.StdEncoding.EncodeToString(issuerKey.Public().(ed25519.PublicKey)))),
	}}
	for _, p := range w.people {
		g.Balances = append(g.Balances, server.Balance{Address: p.Address(), Coins: sdk.NewCoins(
			sdk.NewInt64Coin(money.GrainDenom, riches), sdk.NewInt64Coin(money.CreditDenom, allowance))})
	}
	for i, v := range w.validators {
		g.Balances = append(g.Balances, server.Balance{Address: v.Address(), Coins: sdk.NewCoins(sdk.NewInt64Coin(money.GrainDenom, riches))})
		node := server.NodeKeys{Consensus: consensusKey(people + i).PubKey(), Operator: v.Key}
		gentx, err := node.Gentx(context.Background(), chainID, fmt.Sprint("v", i), stake)
		w.must(err)
		g.Gentxs = append(g.Gentxs, gentx)
	}
	document, err := g.DocumentJSON()
	w.must(err)
	var doc genutiltypes.AppGenesis
	w.must(json.Unmarshal(document, &doc))
	return doc.AppState
}

// open is a new application over state, before its first block.
func (w *world) open(state json.RawMessage, height int64, params *cmtproto.ConsensusParams) (*app.App, *abci.ResponseInitChain) {
	w.Helper()
	a, err := app.New(log.NewNopLogger(), dbm.NewMemDB(), chainID, app.Options{Prover: hashProver{}})
	w.must(err)
	w.Cleanup(func() { a.Close() })
	r, err := a.InitChain(&abci.RequestInitChain{ChainId: chainID, InitialHeight: height, Time: w.time, AppStateBytes: state, ConsensusParams: params})
	w.must(err)
	return a, r
}

func (w *world) start(state json.RawMessage, height int64) {
	a, r := w.open(state, height, &cmtproto.ConsensusParams{Block: &cmtproto.BlockParams{MaxBytes: 4 << 20, MaxGas: server.MaxBlockGas},
		Evidence: &cmtproto.EvidenceParams{MaxAgeNumBlocks: 1000, MaxAgeDuration: time.Hour, MaxBytes: 1 << 16}, Validator: &cmtproto.ValidatorParams{PubKeyTypes: []string{"ed25519"}}})
	w.app, w.height = a, height-1
	w.applyUpdates(r.Validators)
}

func (w *world) applyUpdates(updates []abci.ValidatorUpdate) {
	for _, u := range updates {
		address := string((&cosmosed25519.PubKey{Key: u.PubKey.GetEd25519()}).Address())
		if u.Power == 0 {
			delete(w.set, address)
		} else {
			w.set[address] = u.Power
		}
	}
}

// ctx reads the state of the last block.
func (w *world) ctx() sdk.Context {
	return w.app.NewContextLegacy(true, cmtproto.Header{ChainID: chainID, Height: w.height, Time: w.time})
}

// sign makes a transaction of one message.
func (w *world) sign(msg sdk.Msg, by person) []byte {
	w.Helper()
	account := w.app.Standard.Account.GetAccount(w.ctx(), by.Address())
	if account == nil {
		w.Fatalf("account %s is gone", by.address)
	}
	if _, known := w.sequences[by.address]; !known {
		w.sequences[by.address] = account.GetSequence()
	}
	b := w.app.Tx.NewTxBuilder()
	w.must(b.SetMsgs(msg))
	b.SetGasLimit(10_000_000)
	b.SetFeeAmount(sdk.NewCoins(sdk.NewInt64Coin(money.GrainDenom, 10_000)))
	w.must(w.app.Sign(context.Background(), b, encoding.Signer{Key: by.Key, ChainID: chainID, AccountNumber: account.GetAccountNumber(), Sequence: w.sequences[by.address]}))
	w.sequences[by.address]++
	raw, err := w.app.Tx.TxEncoder()(b.GetTx())
	w.must(err)
	return raw
}

// signer is who has to sign a message; somebody else when it names a stranger.
func (w *world) signer(msg sdk.Msg) person {
	signers, _, err := w.app.Codec.GetMsgV1Signers(msg)
	if err == nil && len(signers) == 1 {
		if p, ok := w.byAddress[sdk.AccAddress(signers[0]).String()]; ok {
			return p
		}
	}
	return w.people[0]
}

// request is the next block with these messages. Who is in the set signs the
// last one, but one in thirty is late.
func (w *world) request(msgs []sdk.Msg) (*abci.RequestFinalizeBlock, block) {
	w.Helper()
	b := block{signers: map[string]bool{}}
	clear(w.sequences)
	r := &abci.RequestFinalizeBlock{Height: w.height + 1, Time: w.time}
	for _, m := range msgs {
		by := w.signer(m)
		b.signers[by.address] = true
		b.txs = append(b.txs, sent{msg: m})
		r.Txs = append(r.Txs, w.sign(m, by))
	}
	for i, v := range w.validators {
		power, in := w.set[string(v.cons)]
		if !in {
			continue
		}
		flag := cmtproto.BlockIDFlagCommit
		if (w.height+int64(i)*7)%30 == 0 {
			flag = cmtproto.BlockIDFlagAbsent
		}
		r.DecidedLastCommit.Votes = append(r.DecidedLastCommit.Votes, abci.VoteInfo{Validator: abci.Validator{Address: v.cons, Power: power}, BlockIdFlag: flag})
		if r.ProposerAddress == nil || w.height%validators == int64(i) {
			r.ProposerAddress = v.cons
		}
	}
	if w.height+1 == 1 {
		r.DecidedLastCommit = abci.CommitInfo{}
	}
	return r, b
}

// play runs a block on an application.
func (w *world) play(a *app.App, r *abci.RequestFinalizeBlock) *abci.ResponseFinalizeBlock {
	w.Helper()
	result, err := a.FinalizeBlock(r)
	w.must(err)
	_, err = a.Commit()
	w.must(err)
	return result
}

// step runs the next block, some seconds later.
func (w *world) step(msgs []sdk.Msg) {
	w.Helper()
	r, b := w.request(msgs)
	b.result = w.play(w.app, r)
	w.finish(b)
}

func (w *world) finish(b block) {
	for i := range b.txs {
		b.txs[i].result = b.result.TxResults[i]
		w.count(b.txs[i])
	}
	w.height++
	w.last = b
	// Updates of block H are the set of block H+2, whose signatures block H+3 brings.
	w.applyUpdates(w.pending)
	w.pending = b.result.ValidatorUpdates
	w.memory.learn(w, b)
}

func (w *world) count(s sent) {
	name := sdk.MsgTypeURL(s.msg)
	c := w.counts[name]
	if s.result.Code == 0 {
		c[0]++
	} else {
		c[1]++
	}
	w.counts[name] = c
}

// wait lets time pass until the next block.
func (w *world) wait() { w.time = w.time.Add(time.Duration(3+w.rng.IntN(15)) * time.Second) }

// reborn exports the chain, imports it elsewhere, checks that both agree on the
// next block and what they export after it, and goes on with the import.
func (w *world) reborn(msgs []sdk.Msg) {
	w.Helper()
	exported, err := w.app.Export()
	w.must(err)
	params := exported.ConsensusParams
	fresh, _ := w.open(exported.AppState, exported.Height, &params)
	r, b := w.request(msgs)
	b.result = w.play(w.app, r)
	again := w.play(fresh, r)
	for i, tx := range b.result.TxResults {
		if other := again.TxResults[i]; tx.Code != other.Code || !bytes.Equal(tx.Data, other.Data) {
			w.Fatalf("%T gives %d (%s) here and %d (%s) where the state was imported", b.txs[i].msg, tx.Code, tx.Log, other.Code, other.Log)
		}
	}
	first, err := w.app.Export()
	w.must(err)
	second, err := fresh.Export()
	w.must(err)
	here, there := countless.ReplaceAll(first.AppState, nil), countless.ReplaceAll(second.AppState, nil)
	if !bytes.Equal(here, there) {
		w.Fatalf("after one more block the import exports something else: %s", difference(here, there))
	}
	w.app = fresh
	w.finish(b)
}

// countless matches the numbers of unbondings: the SDK's staking module does not
// export their counter, so an import starts it anew. Only chains that hold others'
// unbondings back use them, which this one does not.
var countless = regexp.MustCompile(`(?s)"unbonding_ids?": ("\d+"|\[.*?\]),?`)

// difference shows the lines around the first byte in which two exports differ.
func difference(a, b []byte) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	cut := func(s []byte) string { return string(s[max(n-300, 0):min(n+200, len(s))]) }
	return fmt.Sprintf("\n--- here\n%s\n--- imported\n%s", cut(a), cut(b))
}

// pick is one of a list; ok is false when it is empty.
func pick[T any](w *world, from []T) (v T, ok bool) {
	if len(from) == 0 {
		return v, false
	}
	return from[w.rng.IntN(len(from))], true
}

func (w *world) chance(percent int) bool { return w.rng.IntN(100) < percent }

func (w *world) someone() person { return w.people[w.rng.IntN(len(w.people))] }

func (w *world) unitOf(id []byte) (unit, bool) {
	i := slices.IndexFunc(w.units, func(u unit) bool { return bytes.Equal(u.id[:], id) })
	if i < 0 {
		return unit{}, false
	}
	return w.units[i], true
}

func (w *world) laneKey(public []byte) (ed25519.PrivateKey, bool) {
	i := slices.IndexFunc(w.lanes, func(k ed25519.PrivateKey) bool { return bytes.Equal(k.Public().(ed25519.PublicKey), public) })
	if i < 0 {
		return nil, false
	}
	return w.lanes[i], true
}

func (w *world) summary() string {
	var lines []string
	for name, c := range w.counts {
		lines = append(lines, fmt.Sprintf("%-40s %5d accepted %5d refused", name, c[0], c[1]))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
