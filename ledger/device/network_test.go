package device_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"
	"github.com/cosmos/cosmos-sdk/x/feegrant"

	coredevice "github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/device"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/ledger/server"
)

const london = 0x87194ad14ffffff // H3, resolution 7

func grain(n int64) sdk.Coins { return sdk.NewCoins(sdk.NewInt64Coin(chain.Grain, n)) }

// world is a chain of one validator in this process, and accounts on it.
type world struct {
	*testing.T
	ctx     context.Context
	c       *client.Client
	rest    string
	sponsor key.Key
}

func newWorld(t *testing.T) world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	sponsor, home := key.New(), t.TempDir()
	_, err := server.InitHome(ctx, home, server.LocalGenesis{
		Balances: []server.Balance{{Address: sponsor.Address(), Coins: grain(1_000_000_000)}},
		Modules:  map[string]json.RawMessage{"device": json.RawMessage(`{"params":{"max_devices_per_owner":"3"}}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err := server.Start(context.Background(), server.Config{Home: home, CommitTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Error("stop:", err)
		}
	})
	c, err := client.Dial(ctx, client.Endpoints{GRPC: n.Endpoints().GRPC, RPC: n.Endpoints().RPC})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return world{t, ctx, c, "http://" + n.Endpoints().REST, sponsor}
}

// owner returns an account without money whose fees the sponsor pays.
func (w world) owner() *client.Signer {
	w.Helper()
	k := key.New()
	grant, err := feegrant.NewMsgGrantAllowance(&feegrant.BasicAllowance{SpendLimit: grain(10_000_000)}, w.sponsor.Address(), k.Address())
	if err != nil {
		w.Fatal(err)
	}
	w.send(w.c.Signer(w.sponsor, nil), grant)
	return w.c.Signer(k, w.sponsor.Address())
}

func (w world) send(s *client.Signer, msgs ...sdk.Msg) client.Result {
	w.Helper()
	r, err := s.Send(w.ctx, msgs...)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// unit is a device with its private key.
type unit struct {
	private ed25519.PrivateKey
	key     coredevice.PublicKey
}

func newUnit(t *testing.T) unit {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	k, err := coredevice.NewPublicKey(coredevice.Ed25519, public)
	if err != nil {
		t.Fatal(err)
	}
	return unit{private, k}
}

func (u unit) id() string { return u.key.ID().String() }

func (w world) register(u unit, owner sdk.AccAddress, nonce uint64) *devicepb.MsgRegister {
	w.Helper()
	message, err := coredevice.RegisterBytes(w.c.ChainID(), owner, nonce)
	if err != nil {
		w.Fatal(err)
	}
	return &devicepb.MsgRegister{
		Owner: owner.String(), KeyType: devicepb.KEY_TYPE_ED25519, PublicKey: u.key.Bytes(), Nonce: nonce,
		Signature: ed25519.Sign(u.private, message),
		Profile: devicepb.Profile{
			Class: devicepb.CLASS_DRN, Endpoint: "127.0.0.1:7000", Capabilities: []string{"storage-node"},
		},
	}
}

func (w world) transfer(u unit, from, to sdk.AccAddress, nonce uint64) *devicepb.MsgUpdate {
	w.Helper()
	message, err := coredevice.TransferBytes(w.c.ChainID(), u.key.ID(), to, nonce)
	if err != nil {
		w.Fatal(err)
	}
	return &devicepb.MsgUpdate{Owner: from.String(), Device: u.id(), Transfer: &devicepb.Transfer{
		NewOwner: to.String(), Nonce: nonce, Signature: ed25519.Sign(u.private, message),
	}}
}

func (w world) show(id string) devicepb.Device {
	w.Helper()
	r, err := w.c.Device.Device(w.ctx, &devicepb.QueryDeviceRequest{Id: id})
	if err != nil {
		w.Fatal(err)
	}
	return r.Device
}

func (w world) get(path string) (status int, body map[string]any) {
	w.Helper()
	resp, err := http.Get(w.rest + path)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		w.Fatalf("%v in %s", err, raw)
	}
	return resp.StatusCode, body
}

func (w world) refused(err, want error) {
	w.Helper()
	var refusal *client.TxError
	if !errors.As(err, &refusal) || !errors.Is(err, want) {
		w.Errorf("error is %v, want a refusal with %v", err, want)
	}
}

func TestRegistryOnANetwork(t *testing.T) {
	w := newWorld(t)
	owner, u := w.owner(), newUnit(t)

	result := w.send(owner, w.register(u, owner.Address(), 1))
	var response devicepb.MsgRegisterResponse
	if err := result.Response(0, &response); err != nil {
		t.Fatal(err)
	}
	if response.Id != u.id() {
		t.Fatalf("registered %s, want %s", response.Id, u.id())
	}

	t.Run("gRPC", func(t *testing.T) {
		d := w.show(u.id())
		if d.Owner != owner.Address().String() || d.Did != u.key.DID() || d.Profile.Status != devicepb.STATUS_ACTIVE {
			t.Fatalf("device is %+v", d)
		}
	})
	t.Run("REST", func(t *testing.T) {
		status, body := w.get("/grange/device/v1/devices/" + u.id())
		d, _ := body["device"].(map[string]any)
		if status != 200 || d["did"] != u.key.DID() {
			t.Fatalf("%d %v", status, body)
		}
		if status, body = w.get("/grange/device/v1/devices/" + newUnit(t).id()); status != 404 {
			t.Fatalf("unknown device: %d %v", status, body)
		}
		if status, body = w.get("/grange/device/v1/devices/xyz"); status != 400 {
			t.Fatalf("bad id: %d %v", status, body)
		}
		if status, body = w.get("/grange/device/v1/params"); status != 200 {
			t.Fatalf("params: %d %v", status, body)
		}
	})
	t.Run("DID document", func(t *testing.T) {
		for _, path := range []string{"/1.0/identifiers/" + u.key.DID(), "/grange/device/v1/devices/" + u.id() + "/did"} {
			status, d := w.get(path)
			methods, _ := d["verificationMethod"].([]any)
			services, _ := d["service"].([]any)
			if status != 200 || d["id"] != u.key.DID() || len(methods) != 1 || len(services) != 1 {
				t.Errorf("%s: %d %v", path, status, d)
			}
			owner := fmt.Sprintf("[did:pkh:cosmos:%s:%s]", w.c.ChainID(), owner.Address())
			if got := fmt.Sprint(d["controller"]); got != owner {
				t.Errorf("%s: controller %s, want %s", path, got, owner)
			}
		}
		for path, want := range map[string]int{
			"/1.0/identifiers/" + newUnit(t).key.DID():                   404,
			"/1.0/identifiers/did:web:example.com":                       400,
			"/grange/device/v1/devices/" + newUnit(t).id() + "/did":      404,
			"/grange/device/v1/attestations/xyz":                         400,
			"/grange/device/v1/attestations/" + u.id():                   200,
			"/grange/device/v1/attestations/" + owner.Address().String(): 200,
			"/grange/device/v1/issuers":                                  200,
		} {
			if status, body := w.get(path); status != want {
				t.Errorf("%s: %d %v, want %d", path, status, body, want)
			}
		}
	})
	t.Run("unknown device is not found", func(t *testing.T) {
		_, err := w.c.Device.Device(w.ctx, &devicepb.QueryDeviceRequest{Id: newUnit(t).id()})
		if !errors.Is(err, client.ErrNotFound) {
			t.Fatalf("error is %v", err)
		}
	})
	t.Run("list by owner, in pages", func(t *testing.T) {
		w.send(owner, w.register(newUnit(t), owner.Address(), 1), w.register(newUnit(t), owner.Address(), 1))
		seen := map[string]bool{}
		page := &query.PageRequest{Limit: 2}
		for page != nil {
			r, err := w.c.Device.Devices(w.ctx, &devicepb.QueryDevicesRequest{Owner: owner.Address().String(), Pagination: page})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range r.Devices {
				seen[d.Id] = true
			}
			page = nil
			if r.Pagination.NextKey != nil {
				page = &query.PageRequest{Limit: 2, Key: r.Pagination.NextKey}
			}
		}
		if len(seen) != 3 || !seen[u.id()] {
			t.Fatalf("devices %v", seen)
		}
		_, err := owner.Send(w.ctx, w.register(newUnit(t), owner.Address(), 1))
		w.refused(err, device.ErrTooMany)
	})
}

func TestMalformedRegistrations(t *testing.T) {
	w := newWorld(t)
	owner := w.owner()
	taken := newUnit(t)
	w.send(owner, w.register(taken, owner.Address(), 1))

	for _, c := range []struct {
		name   string
		change func(m *devicepb.MsgRegister)
		want   error
	}{
		{"signature of another nonce", func(m *devicepb.MsgRegister) { m.Nonce++ }, device.ErrSignature},
		{"no signature", func(m *devicepb.MsgRegister) { m.Signature = nil }, device.ErrSignature},
		{"nonce 0", func(m *devicepb.MsgRegister) { m.Nonce = 0 }, device.ErrNonce},
		{"unknown key type", func(m *devicepb.MsgRegister) { m.KeyType = 77 }, device.ErrKey},
		{"key type beyond a byte", func(m *devicepb.MsgRegister) { m.KeyType = 257 }, device.ErrKey},
		{"key of wrong size", func(m *devicepb.MsgRegister) { m.PublicKey = m.PublicKey[1:] }, device.ErrKey},
		{"key taken", func(m *devicepb.MsgRegister) { *m = *w.register(taken, owner.Address(), 2) }, device.ErrExists},
		{"no class", func(m *devicepb.MsgRegister) { m.Profile.Class = 0 }, device.ErrInvalid},
		{"place matters but is missing", func(m *devicepb.MsgRegister) { m.Profile.Class = devicepb.CLASS_PRN }, device.ErrCell},
		{"cell is not H3", func(m *devicepb.MsgRegister) { m.Profile.Cell = 42 }, device.ErrCell},
		{"unknown status", func(m *devicepb.MsgRegister) { m.Profile.Status = 9 }, device.ErrInvalid},
		{"capabilities unsorted", func(m *devicepb.MsgRegister) { m.Profile.Capabilities = []string{"b", "a"} }, device.ErrInvalid},
		{"capability with a space", func(m *devicepb.MsgRegister) { m.Profile.Capabilities = []string{"a b"} }, device.ErrInvalid},
		{"endpoint with a control", func(m *devicepb.MsgRegister) { m.Profile.Endpoint = "\x00" }, device.ErrInvalid},
		{"metadata too long", func(m *devicepb.MsgRegister) { m.Profile.Metadata = string(make([]byte, 2000)) }, device.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := w.register(newUnit(t), owner.Address(), 1)
			c.change(m)
			w := w
			w.T = t
			_, err := owner.Send(w.ctx, m)
			w.refused(err, c.want)
		})
	}
	t.Run("somebody else's owner field", func(t *testing.T) {
		_, err := owner.Send(w.ctx, w.register(newUnit(t), w.sponsor.Address(), 1))
		if err == nil {
			t.Fatal("accepted")
		}
		var refusal *client.TxError
		if !errors.As(err, &refusal) {
			t.Fatalf("error is %v", err)
		}
	})
}

func TestUpdate(t *testing.T) {
	w := newWorld(t)
	owner, other, u := w.owner(), w.owner(), newUnit(t)
	bank := w.c.Signer(w.sponsor, nil)
	w.send(owner, w.register(u, owner.Address(), 5))
	update := func(m devicepb.MsgUpdate) *devicepb.MsgUpdate {
		m.Owner, m.Device = owner.Address().String(), u.id()
		return &m
	}

	t.Run("profile", func(t *testing.T) {
		p := devicepb.Profile{Class: devicepb.CLASS_PRN, Cell: london, Endpoint: "h:1", Status: devicepb.STATUS_PAUSED}
		w.send(owner, update(devicepb.MsgUpdate{Profile: &p}))
		if got := w.show(u.id()); got.Profile.Cell != london || got.Profile.Status != devicepb.STATUS_PAUSED || got.CellChangedAt == 0 {
			t.Fatalf("device is %+v", got)
		}
		p.Cell = 0x872830828ffffff
		_, err := owner.Send(w.ctx, update(devicepb.MsgUpdate{Profile: &p}))
		w.refused(err, device.ErrCooldown)
	})
	t.Run("nothing", func(t *testing.T) {
		_, err := owner.Send(w.ctx, update(devicepb.MsgUpdate{}))
		w.refused(err, device.ErrInvalid)
	})
	t.Run("somebody else's device", func(t *testing.T) {
		_, err := other.Send(w.ctx, &devicepb.MsgUpdate{Owner: other.Address().String(), Device: u.id(), Payouts: &devicepb.Payouts{}})
		w.refused(err, device.ErrNotYours)
	})
	t.Run("a lien outlives the owner's wishes and a change of owner", func(t *testing.T) {
		lien := devicepb.PayoutSplit{To: bank.Address().String(), Bps: 5000, Denom: chain.Credit, Cap: 1000, Lien: true}
		share := devicepb.PayoutSplit{To: other.Address().String(), Bps: 1000}
		w.send(owner, update(devicepb.MsgUpdate{Payouts: &devicepb.Payouts{Splits: []devicepb.PayoutSplit{lien, share}}}))
		w.send(owner, update(devicepb.MsgUpdate{Payouts: &devicepb.Payouts{}}))
		if got := w.show(u.id()).Payouts; len(got) != 1 || got[0] != lien {
			t.Fatalf("splits are %v, want the lien", got)
		}
		_, err := owner.Send(w.ctx, w.transfer(u, owner.Address(), other.Address(), 5))
		w.refused(err, device.ErrNonce)
		w.send(owner, w.transfer(u, owner.Address(), other.Address(), 6))
		d := w.show(u.id())
		if d.Owner != other.Address().String() || len(d.Payouts) != 1 || d.Nonce != 6 {
			t.Fatalf("device is %+v", d)
		}
		_, err = other.Send(w.ctx, &devicepb.MsgReleaseLien{Beneficiary: other.Address().String(), Device: u.id()})
		w.refused(err, device.ErrNotYours)
		w.send(bank, &devicepb.MsgReleaseLien{Beneficiary: bank.Address().String(), Device: u.id()})
		if got := w.show(u.id()).Payouts; len(got) != 0 {
			t.Fatalf("splits are %v", got)
		}
	})
	t.Run("the old owner has lost it", func(t *testing.T) {
		_, err := owner.Send(w.ctx, update(devicepb.MsgUpdate{Payouts: &devicepb.Payouts{}}))
		w.refused(err, device.ErrNotYours)
	})
	t.Run("parameters only by governance", func(t *testing.T) {
		_, err := owner.Send(w.ctx, &devicepb.MsgUpdateParams{Authority: owner.Address().String(), Params: device.DefaultParams()})
		w.refused(err, device.ErrNotYours)
	})
}
