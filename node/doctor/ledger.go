package doctor

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/node/ledgerview"
	"github.com/grange-network/grange/tunnel"
)

// dialWithin is how long the ledger may take to answer.
const dialWithin = 10 * time.Second

// ledger checks the ledger and, with its help, everything that is on it.
func (d *doctor) ledger(ctx context.Context) {
	rpc, grpc := d.addresses()
	if rpc == "" {
		d.add("ledger", "", Fail, "start the node", "its address is not known: the node has not been ready")
		return
	}
	dctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	c, err := client.Dial(dctx, client.Endpoints{GRPC: grpc, RPC: rpc})
	if err != nil {
		d.add("ledger", "", Fail, "start the node; if it runs, see its log", "it does not answer: %v", err)
		return
	}
	defer c.Close()
	if !d.blocks(ctx, c) {
		return
	}
	qctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	d.price(qctx, c)
	d.validators(qctx, c)
	v, err := ledgerview.Dial(grpc)
	if err != nil {
		d.add("ledger", "", Fail, "", "%v", err)
		return
	}
	defer v.Close()
	d.escrow(qctx, v)
	d.providers(qctx, c, v)
}

// addresses are where the ledger's RPC and gRPC are, as host:port.
func (d *doctor) addresses() (rpc, grpc string) {
	if d.plan != nil {
		for _, p := range d.doors() {
			switch p.what {
			case "rpc":
				rpc = p.addr
			case "grpc":
				grpc = p.addr
			}
		}
		return rpc, grpc
	}
	var e struct{ RPC, GRPC string }
	if readJSON(filepath.Join(d.Home, "endpoints.json"), &e) != nil {
		return "", ""
	}
	return hostOf(e.RPC), hostOf(e.GRPC)
}

// Bounds of how far this machine's clock may be from the ledger's.
const (
	skewWarn = 5 * time.Second
	skewFail = 30 * time.Second
)

// blocks waits for the next block: the ledger is not stalled, and its time is
// this machine's.
func (d *doctor) blocks(ctx context.Context, c *client.Client) bool {
	before, at := c.Head()
	ctx, cancel := context.WithTimeout(ctx, d.o.BlockWithin)
	defer cancel()
	if err := c.WaitHeight(ctx, before+1); err != nil {
		d.add("ledger", "", Fail, "more than a third of the voting power may be away (grange query comet-validator-set), or this program is another version than theirs (wrong AppHash in the log)",
			"stalled: block %d of %s is the newest, none came within %s", before, at.Format(time.TimeOnly), d.o.BlockWithin)
		return false
	}
	height, at := c.Head()
	skew := time.Since(at)
	d.add("ledger", "", Pass, "", "chain %s makes blocks, the newest is %d", c.ChainID(), height)
	state := Pass
	switch abs := max(skew, -skew); {
	case abs > skewFail:
		state = Fail
	case abs > skewWarn:
		state = Warn
	}
	d.add("clock", "", state, "set this machine's clock: timedatectl set-ntp true", "%s apart from the newest block's time", skew.Round(time.Millisecond))
	return true
}

func (d *doctor) price(ctx context.Context, c *client.Client) {
	r, err := c.Credit.Price(ctx, &creditpb.QueryPriceRequest{})
	switch {
	case err != nil:
		d.add("price", "", Fail, "", "%v", err)
	case r.Stale:
		d.add("price", "", Fail, "validators vote it: grange start --price, or the verifier's log",
			"the price of GRAIN is %s old: nobody can buy or redeem credits; leases go on", time.Duration(r.AgeSeconds)*time.Second)
	default:
		d.add("price", "", Pass, "", "%s for a GRAIN, %s old, %d votes in the open round", cliout.Credits(r.Price.Last), time.Duration(r.AgeSeconds)*time.Second, len(r.Votes))
	}
}

// validators checks this home's own validators.
func (d *doctor) validators(ctx context.Context, c *client.Client) {
	switch {
	case d.plan != nil:
		d.validator(ctx, c, "validator", d.plan.Validator.Address)
	case d.many != nil:
		for _, v := range d.many.Validators {
			d.validator(ctx, c, v.Name, v.Operator)
		}
	default:
		var card struct{ Operator string }
		_ = readJSON(filepath.Join(d.Home, "card.json"), &card) // its absence is said below
		d.validator(ctx, c, d.host.Name, card.Operator)
	}
}

func (d *doctor) validator(ctx context.Context, c *client.Client, name, operator string) {
	addr, err := sdk.AccAddressFromBech32(operator)
	if err != nil {
		d.add("validator", name, Fail, "", "its operator is not known: %v", err)
		return
	}
	r, err := c.Staking.Validator(ctx, &stakingtypes.QueryValidatorRequest{ValidatorAddr: sdk.ValAddress(addr).String()})
	switch {
	case errors.Is(err, client.ErrNotFound):
		d.add("validator", name, Pass, "", "this machine is none; grange validator create makes it one")
	case err != nil:
		d.add("validator", name, Fail, "", "%v", err)
	case r.Validator.Jailed:
		d.add("validator", name, Fail, "once the cause is gone: grange tx slashing unjail --from operator --yes --home "+d.Home, "it is jailed: it earns nothing and does not vote")
	case r.Validator.Status != stakingtypes.Bonded:
		d.add("validator", name, Warn, "stake more with it", "it is not among those that vote (%s)", r.Validator.Status)
	default:
		d.add("validator", name, Pass, "", "bonded with %s", cliout.Grains(r.Validator.Tokens.Uint64()))
	}
}

// lowEpochs is from how few paid epochs on an escrow is low.
const lowEpochs = 4

// escrow checks for how long the leases that this home pays for are paid.
func (d *doctor) escrow(ctx context.Context, v *ledgerview.View) {
	if d.plan == nil {
		return
	}
	leases, err := v.Leases(ctx, "", d.plan.Buyer.Address)
	if err != nil {
		d.add("escrow", "gateway", Fail, "", "%v", err)
		return
	}
	epoch := time.Duration(d.plan.EpochSeconds) * time.Second
	alive, least, which := 0, -1.0, ""
	for _, l := range leases {
		switch l.State {
		case "grace":
			d.add("escrow", "gateway", Fail, "grange lease fund "+cliout.Short(l.ID)+" CREDITS --home "+d.Home,
				"lease %s has run dry: it is read-only and ends in epoch %d", cliout.Short(l.ID), l.Until)
		case "open":
			alive++
			if per := float64(l.Held()) * float64(l.Hold.Credits) / float64(max(l.Hold.Per, 1)); per > 0 {
				if n := float64(l.HoldBudget-l.HoldPaid) / per; least < 0 || n < least {
					least, which = n, l.ID
				}
			}
		}
	}
	if least < 0 {
		d.add("escrow", "gateway", Pass, "", "%d leases open, nothing is held yet", alive)
		return
	}
	state := Pass
	if least < lowEpochs {
		state = Warn
	}
	d.add("escrow", "gateway", state, "grange lease fund "+cliout.Short(which)+" CREDITS --home "+d.Home, "%d leases open, the shortest (%s) is paid for %.1f epochs more, %.2f days",
		alive, cliout.Short(which), least, time.Duration(least*float64(epoch)).Hours()/24)
}

// lookBack is over how many decided epochs proofs are counted.
const lookBack = 10

// providers checks each provider of this home: its announced endpoint, as
// anybody would reach it, and its proofs.
func (d *doctor) providers(ctx context.Context, c *client.Client, v *ledgerview.View) {
	if d.plan == nil {
		return
	}
	now, err := v.Chain(ctx)
	if err != nil {
		d.add("proofs", "", Fail, "", "%v", err)
		return
	}
	var wg sync.WaitGroup
	findings := make([][]Finding, len(d.plan.Providers))
	for i, pr := range d.plan.Providers {
		wg.Go(func() {
			sub := &doctor{Report: Report{Home: d.Home}, plan: d.plan}
			if !d.down[pr.Name] {
				sub.reach(ctx, c, pr.Name, pr.Device)
			}
			sub.proofs(ctx, v, pr.Name, pr.Device, now.Epoch.Number)
			findings[i] = sub.Findings
		})
	}
	wg.Wait()
	for _, f := range findings {
		d.Findings = append(d.Findings, f...)
	}
}

// reach dials a provider through the endpoint that the ledger shows, with a key
// nobody knows.
func (d *doctor) reach(ctx context.Context, c *client.Client, name, device string) {
	endpoint, err := func() (string, error) {
		id, err := hex.DecodeString(device)
		if err != nil {
			return "", err
		}
		r, err := c.Device.Device(ctx, &devicepb.QueryDeviceRequest{Id: hex.EncodeToString(id)})
		if err != nil {
			return "", err
		}
		return r.Device.Profile.Endpoint, knock(ctx, r.Device.Profile.Endpoint, r.Device.PublicKey)
	}()
	if err != nil {
		d.add("reachable", name, Fail, "grange local start "+name+" --home "+d.Home+"; behind NAT announce a router instead of a port", "through its announced endpoint %s: %v", endpoint, err)
		return
	}
	d.add("reachable", name, Pass, "", "through its announced endpoint %s", endpoint)
}

// knock asks the provider at an endpoint for its status.
func knock(ctx context.Context, endpoint string, pub []byte) error {
	at, err := tunnel.ParseEndpoint(endpoint)
	if err != nil {
		return err
	}
	if len(pub) != ed25519.PublicKeySize {
		return fmt.Errorf("its key has %d bytes, the tunnel takes ed25519", len(pub))
	}
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	dialer, err := tunnel.NewDialer(k, tunnel.Options{})
	if err != nil {
		return err
	}
	defer dialer.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tr := &http.Transport{DialContext: dialer.DialContext(tunnel.Target{Endpoint: at, Peer: tunnel.PublicKey(pub)})}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://provider/v1/status", nil)
	if err != nil {
		return err
	}
	res, err := tr.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("it answered %s", res.Status)
	}
	return nil
}

func (d *doctor) proofs(ctx context.Context, v *ledgerview.View, name, device string, epoch uint64) {
	leases, err := v.Leases(ctx, device, "")
	if err != nil {
		d.add("proofs", name, Fail, "", "%v", err)
		return
	}
	held := uint64(0)
	for _, l := range leases {
		if l.State == "open" || l.State == "grace" {
			held += l.Held()
		}
	}
	if held == 0 {
		d.add("proofs", name, Pass, "", "it holds nothing yet, so nothing is to be proven")
		return
	}
	proven, faulted := 0, []string{}
	for e := epoch - min(epoch-1, lookBack); e < epoch; e++ {
		o, err := v.Outcome(ctx, device, e)
		switch {
		case err != nil:
		case o.Outcome == "proven":
			proven++
		case o.Outcome == "faulted" && proven > 0: // before the first there was nothing to prove
			faulted = append(faulted, fmt.Sprint(e))
		}
	}
	if n := len(faulted); n > 0 {
		state := Warn
		if n >= 3 {
			state = Fail
		}
		d.add("proofs", name, state, "grange reward explain "+cliout.Short(device)+" "+faulted[n-1]+" --home "+d.Home,
			"%d proven, %d faulted of the last %d epochs: %s", proven, n, lookBack, strings.Join(faulted, ", "))
		return
	}
	d.add("proofs", name, Pass, "", "%d of the last %d epochs proven, none faulted", proven, lookBack)
}
