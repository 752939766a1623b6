package sensing

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/gnss"
	"github.com/grange-network/grange/vertical/sensing/ingest"
	"github.com/grange-network/grange/vertical/sensing/ntrip"
	"github.com/grange-network/grange/vertical/sensing/rtcm"
	"github.com/grange-network/grange/vertical/sensing/sidecar"
)

func deviceKey(t *testing.T, seed byte) Key {
	t.Helper()
	k, err := NewKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// town is a ledger's devices in memory, and its market.
type town map[device.ID]struct {
	key  device.PublicKey
	cell h3.Cell
}

func (w town) Key(_ context.Context, id device.ID) (device.PublicKey, error) {
	d, ok := w[id]
	if !ok {
		return d.key, ingest.ErrUnknown
	}
	return d.key, nil
}

func (w town) Cell(_ context.Context, id device.ID) (h3.Cell, error) {
	d, ok := w[id]
	if !ok {
		return 0, ingest.ErrUnknown
	}
	return d.cell, nil
}

// Offered implements market: everybody but the last sells.
func (w town) Offered(context.Context) (map[device.ID]bool, error) {
	return map[device.ID]bool{}, errors.New("nobody sells")
}

func (w town) add(k Key, lat, lon float64) device.ID {
	id := k.PublicKey().ID()
	w[id] = struct {
		key  device.PublicKey
		cell h3.Cell
	}{k.PublicKey(), h3.At(lat, lon, 8)}
	return id
}

var secret = bytes.Repeat([]byte{7}, 32)

// world is a caster over a till of one rover with so many seconds.
type world struct {
	town    town
	account *account
	till    *Till
	gate    *gate
	addr    string
	caster  *ntrip.Caster
	token   string
}

func newWorld(t *testing.T, seconds uint64, change func(*world, *ntrip.Config)) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{town: town{}, account: newAccount()}
	var err error
	w.till, err = OpenTill(t.Context(), filepath.Join(dir, "till"), []Buyer{{Name: "tractor", Account: w.account, Escrow: money.Credit(seconds * StreamPrice.Credits), Kind: StreamKind, Use: StreamPrice}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.till.Close() })
	if err := w.till.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.token, _ = w.till.Token("tractor")
	w.gate, err = newGate(dir, gateConfig{till: w.till, secret: secret, registry: w.town, chainID: "test", now: time.Now, log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.addr = l.Addr().String()
	cfg := ntrip.Config{Gate: w.gate, Sells: w.gate.sells}
	if change != nil {
		change(w, &cfg)
	}
	w.caster = ntrip.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.caster.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

func capture(t *testing.T) []byte {
	t.Helper()
	raw, err := os.ReadFile("../../vertical/sensing/rtcm/testdata/multi.rtcm3")
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestBaseSignsIn(t *testing.T) {
	w := newWorld(t, 1000, nil)
	roofKey, yardKey := deviceKey(t, 1), deviceKey(t, 2)
	roof, yard := w.town.add(roofKey, 48, 11), w.town.add(yardKey, 48, 12)
	stranger := deviceKey(t, 3).PublicKey().ID()
	signed, err := ingest.Password(roofKey, "test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, mount, name, password, want string
		signs                             bool
	}{
		{"a token", "ROOF", roof.String(), ingest.Token(secret, roof), "", false},
		{"a signature", "ROOF", roof.String(), signed, "", true},
		{"version 1", "ROOF", "", roof.String() + "." + ingest.Token(secret, roof), "", false},
		{"another's token", "ROOF", yard.String(), ingest.Token(secret, roof), "name or password is wrong", false},
		{"another's signature", "YARD", yard.String(), signed, "name or password is wrong", false},
		{"another's mount point", "ROOF", yard.String(), ingest.Token(secret, yard), "belongs to device " + roof.String(), false},
		{"no device of the ledger", "X", stranger.String(), ingest.Token(secret, stranger), "cannot push", false},
		{"no id", "X", "me", "x", "a base's name is its device's id", false},
	} {
		place, err := w.gate.Base(t.Context(), c.mount, c.name, c.password)
		if c.want == "" {
			if err != nil || place == nil || place.Lat < 47.9 || place.Lat > 48.1 {
				t.Errorf("%s: %+v, %v", c.what, place, err)
			}
			if _, _, seen := w.gate.witnessed(c.mount); seen == c.signs {
				t.Errorf("%s: witnessed is %v", c.what, seen)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
	// Mount points outlive the caster.
	again, err := newGate(filepath.Dir(w.gate.file), w.gate.gateConfig)
	if err != nil || again.mounts["ROOF"] != roof || len(again.mounts) != 1 {
		t.Errorf("mount points %v, %v", again.mounts, err)
	}
}

func TestSessionsArePaid(t *testing.T) {
	w := newWorld(t, 100, nil)
	roofKey := deviceKey(t, 1)
	roof := w.town.add(roofKey, 48, 11)
	if _, err := w.gate.Base(t.Context(), "ROOF", roof.String(), ingest.Token(secret, roof)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.gate.Rover(t.Context(), "ROOF", "tractor", "wrong"); !errors.Is(err, ntrip.ErrDenied) {
		t.Fatalf("a wrong token: %v", err)
	}
	s, err := w.gate.Rover(t.Context(), "ROOF", "tractor", w.token)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.gate.Rover(t.Context(), "ROOF", "tractor", w.token); err == nil || !strings.Contains(err.Error(), "one session for each lease") {
		t.Errorf("a second session: %v", err)
	}
	owed := func() uint64 { return w.till.book.of(w.account.lease.ID)[roof] }
	for range 55 {
		if err := s.Served(t.Context(), "ROOF", 1001*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if got := owed(); got != 0 {
		t.Errorf("%d seconds are owed before the minute is over", got)
	}
	for range 5 {
		if err := s.Served(t.Context(), "ROOF", time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if got := owed(); got != 60 {
		t.Errorf("%d seconds are owed after a minute", got)
	}
	s.Close()
	s, err = w.gate.Rover(t.Context(), "ROOF", "tractor", w.token)
	if err != nil {
		t.Fatal(err)
	}
	// The escrow's last second ends the session, not a later one.
	for n := 1; err == nil; n++ {
		if err = s.Served(t.Context(), "ROOF", time.Second); err != nil && n != 40 {
			t.Errorf("ended after %d seconds, want 40", n)
		}
	}
	if !errors.Is(err, ntrip.ErrUnpaid) || owed() != 100 {
		t.Errorf("the end: %v, %d owed", err, owed())
	}
	s.Close()
	if _, err := w.gate.Rover(t.Context(), "ROOF", "tractor", w.token); !errors.Is(err, ntrip.ErrUnpaid) {
		t.Errorf("with an empty escrow: %v", err)
	}
	if _, err := ntrip.Pull(t.Context(), ntrip.Target{Addr: w.addr, Mount: ntrip.Near, Name: "tractor", Password: w.token}); err == nil || !strings.Contains(err.Error(), "402 Payment Required") {
		t.Errorf("a client with an empty escrow: %v", err)
	}
	// The ledger pays the base.
	w.account.next()
	if err := w.till.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.account.paid[roof]; got.Units != 100 {
		t.Errorf("the ledger paid %+v, want 100 units", got)
	}
}

// gateway takes batches in, in memory of a directory.
func gatewayOf(t *testing.T, w town) (url string, s *ingest.Server) {
	t.Helper()
	s, err := ingest.Open(ingest.Config{Dir: t.TempDir(), ChainID: "test", Registry: w, Kinds: []sensing.Kind{gnss.Kind{}}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(func() { srv.Close(); _ = s.Close() })
	return srv.URL, s
}

// arrived waits for batches and returns them.
func arrived(t *testing.T, s *ingest.Server, n int) (out []gnss.Minute) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		out = out[:0]
		for e, err := range s.Entries(1) {
			if err != nil {
				t.Fatal(err)
			}
			b, err := sensing.Read(e.Raw, "test")
			if err != nil {
				t.Fatal(err)
			}
			m, err := gnss.Decode(b.Payload)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, m)
		}
		if len(out) >= n || time.Now().After(deadline) {
			return out
		}
	}
}

// A base's sidecar pushes a file to the caster and signs its minutes; a rover gets
// every frame. Then hardware that cannot sign pushes, and the caster does as a
// witness.
// A base that sends every five seconds serves a little beyond the escrow: what that
// covers is paid all the same, or the rover could come again for it for ever.
func TestLastSecondsArePaid(t *testing.T) {
	w := newWorld(t, 28, nil)
	roof := w.town.add(deviceKey(t, 1), 48, 11)
	if _, err := w.gate.Base(t.Context(), "ROOF", roof.String(), ingest.Token(secret, roof)); err != nil {
		t.Fatal(err)
	}
	served := 0
	for range 3 {
		s, err := w.gate.Rover(t.Context(), "ROOF", "tractor", w.token)
		for err == nil {
			served += 5
			err = s.Served(t.Context(), "ROOF", 5*time.Second)
		}
		if !errors.Is(err, ntrip.ErrUnpaid) {
			t.Fatal(err)
		}
		if s != nil {
			s.Close()
		}
	}
	if owed := w.till.book.of(w.account.lease.ID)[roof]; owed != 28 || served != 30 {
		t.Errorf("%d seconds were served and %d are owed, want 30 and 28", served, owed)
	}
}

func TestBaseAndWitness(t *testing.T) {
	for _, signs := range []bool{true, false} {
		t.Run(fmt.Sprint("base signs: ", signs), func(t *testing.T) {
			roofKey, casterKey := deviceKey(t, 1), deviceKey(t, 9)
			var url string
			var server *ingest.Server
			w := newWorld(t, 100, func(w *world, cfg *ntrip.Config) {
				w.town.add(casterKey, 48, 11)
				url, server = gatewayOf(t, w.town)
				s, err := sidecar.Open(sidecar.Config{Dir: t.TempDir(), ChainID: "test", Signer: casterKey, Gateway: url})
				if err != nil {
					t.Fatal(err)
				}
				x := newWitness(s, slog.New(slog.DiscardHandler))
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan error, 1)
				go func() { done <- together(ctx, []func(context.Context) error{s.Run, x.run}) }()
				t.Cleanup(func() { cancel(); <-done; _ = s.Close() })
				cfg.Watch = func(mount string) ntrip.Watcher { return x.watch(w.gate.witnessed(mount)) }
			})
			roof := w.town.add(roofKey, 48, 11)
			raw := capture(t)
			source, feed := io.Pipe()
			b := Base{
				Dir: t.TempDir(), Key: roofKey, ChainID: "test", Gateway: url, Caster: w.addr, Mount: "ROOF", Logger: slog.New(slog.DiscardHandler),
				Source: func(context.Context) (io.ReadCloser, error) { return source, nil },
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			var unsigned io.WriteCloser
			if signs {
				go func() { done <- b.Run(ctx) }()
				go func() { _, _ = feed.Write(raw[:2000]) }()
			} else {
				var err error
				unsigned, err = ntrip.Push(t.Context(), ntrip.Target{Addr: w.addr, Mount: "ROOF", Password: roof.String() + "." + ingest.Token(secret, roof), Old: true})
				if err != nil {
					t.Fatal(err)
				}
				_, _ = unsigned.Write(raw[:2000])
			}
			for len(w.caster.Bases()) == 0 {
				time.Sleep(time.Millisecond)
			}
			rover, err := ntrip.Pull(t.Context(), ntrip.Target{Addr: w.addr, Mount: "ROOF", Name: "tractor", Password: w.token})
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				if signs {
					_, _ = feed.Write(raw[2000:])
					_ = feed.Close()
				} else {
					_, _ = unsigned.Write(raw[2000:])
					_ = unsigned.Close()
				}
			}()
			scan := rtcm.NewScanner(rover)
			frames := 0
			for {
				if _, err := scan.Next(); err != nil {
					break
				}
				frames++
			}
			if frames == 0 { // all comes at once, and a rover that does not keep up misses some
				t.Errorf("the rover got %d frames", frames)
			}
			got := arrived(t, server, 1)
			if signs {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			if len(got) == 0 || got[0].Mount != "ROOF" || (len(got[0].Base) == 0) != signs {
				t.Fatalf("minutes %+v", got)
			}
			if !signs && device.ID(got[0].Base) != roof {
				t.Errorf("the witness saw %x, want %s", got[0].Base, roof)
			}
		})
	}
}

func TestNearServesWhoSells(t *testing.T) {
	w := newWorld(t, 10, nil)
	id := w.town.add(deviceKey(t, 1), 48, 11)
	if _, err := w.gate.Base(t.Context(), "ROOF", id.String(), ingest.Token(secret, id)); err != nil {
		t.Fatal(err)
	}
	if w.gate.sells("ROOF") {
		t.Error("it sells without an offer")
	}
	w.gate.offers[id] = true
	if !w.gate.sells("ROOF") || w.gate.sells("YARD") {
		t.Error("an offer does not count, or one that is not there does")
	}
}

func TestParseSource(t *testing.T) {
	for text, ok := range map[string]bool{
		"-": true, "stream.rtcm3": true, "/dev/ttyACM0": true, "tcp://127.0.0.1:9000": true, "ntrip://u:p@127.0.0.1:2101/M": true,
		"": false, "tcp://nowhere": false, "http://x:1/y": false,
	} {
		if _, err := ParseSource(text, strings.NewReader("")); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
