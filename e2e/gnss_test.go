package e2e

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/e2e/network"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/gnss"
	"github.com/grange-network/grange/vertical/sensing/gnss/gnsstest"
	"github.com/grange-network/grange/vertical/sensing/gnss/orbit"
	"github.com/grange-network/grange/vertical/sensing/ntrip"
	"github.com/grange-network/grange/vertical/sensing/rtcm"
	"github.com/grange-network/grange/vertical/sensing/sidecar"
)

// doors are those of endpoints.json that GNSS needs.
type doors struct {
	ChainID string `json:"chain_id"`
	Data    string
	NTRIP   struct {
		URL, Mount    string
		BasePassword  string `json:"base_password"`
		RoverUser     string `json:"rover_user"`
		RoverPassword string `json:"rover_password"`
	}
}

func (d doors) caster() string { return strings.TrimPrefix(d.NTRIP.URL, "ntrip://") }

// base is a made-up receiver with a sidecar of its own.
type base struct {
	gnsstest.Receiver
	mount, owner, dir string
	lat, lon          float64
}

func newBase(t *testing.T, id int, mount, owner string, lat, lon float64) *base {
	return &base{
		gnsstest.Receiver{ID: id, Place: orbit.ECEF(lat, lon, 500), Noise: 0.3, Kind: 7}, mount, owner, t.TempDir(), lat, lon,
	}
}

func (b *base) rng() *rand.Rand { return rand.New(rand.NewPCG(uint64(b.ID), 1)) }

// epoch is what the receiver sends in a second: its coordinates and observations.
func (b *base) epoch(at time.Time, rng *rand.Rand) [][]byte {
	return append([][]byte{gnsstest.Station(b.ID, b.Place)}, b.Observe(at, rng)...)
}

// send writes an epoch each second until ctx ends, and reports each frame first.
func (b *base) send(ctx context.Context, w io.Writer, sent func(frame []byte)) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	frames := append(gnsstest.Orbits(time.Now()), b.epoch(time.Now().Truncate(time.Second), b.rng())...)
	for rng := b.rng(); ; frames = b.epoch(time.Now().Truncate(time.Second), rng) {
		for _, f := range frames {
			sent(f)
		}
		if _, err := w.Write(slices.Concat(frames...)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// live runs grange sensing base on what the receiver observes now until ctx ends:
// it registers the device, pushes the stream and signs the minute.
func (b *base) live(ctx context.Context, t *testing.T, n *network.Network, d doors, sent func([]byte)) error {
	in, out, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(t.Context(), network.Binary(t), "sensing", "base", "--home", n.Home, "--source", "-", "--lat", fmt.Sprint(b.lat), "--lon", fmt.Sprint(b.lon),
		"--mount", b.mount, "--caster", d.caster(), "--gateway", d.Data, "--dir", b.dir, "--owner", b.owner, "--bond", "0")
	var said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &said, &said
	if err := cmd.Start(); err != nil {
		return err
	}
	_ = in.Close()
	err = errors.Join(b.send(ctx, out, sent), out.Close())
	if err = errors.Join(err, cmd.Wait()); err != nil {
		return fmt.Errorf("base %s: %w\n%s", b.mount, err, said.Bytes())
	}
	return nil
}

// key is the device key that grange sensing base made.
type key struct{ ed25519.PrivateKey }

func (k key) PublicKey() device.PublicKey {
	p, err := device.NewPublicKey(device.Ed25519, k.Public().(ed25519.PublicKey))
	if err != nil {
		panic(err) // an ed25519 key has the right size
	}
	return p
}

func (k key) Sign(p []byte) ([]byte, error) { return ed25519.Sign(k.PrivateKey, p), nil }

func (b *base) key() (key, error) {
	raw, err := os.ReadFile(filepath.Join(b.dir, "device.pem"))
	if err != nil {
		return key{}, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return key{}, fmt.Errorf("no key in the file of base %s", b.mount)
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return key{}, err
	}
	return key{private.(ed25519.PrivateKey)}, nil
}

func (b *base) id(t *testing.T) string {
	t.Helper()
	k, err := b.key()
	if err != nil {
		t.Fatal(err)
	}
	return k.PublicKey().ID().String()
}

// past signs the hours that ended then behind what the sidecar signed, and hands
// them over, as a base does whose line was down. One epoch of a minute is made, the
// other seconds are counted.
func (b *base) past(ctx context.Context, d doors, end time.Time, hours int) error {
	k, err := b.key()
	if err != nil {
		return err
	}
	s, err := sidecar.Open(sidecar.Config{Dir: filepath.Join(b.dir, "minutes"), ChainID: d.ChainID, Signer: k, Gateway: d.Data})
	if err != nil {
		return err
	}
	rng, began := b.rng(), end.Add(-time.Duration(hours)*time.Hour)
	for at := began; at.Before(end); at = at.Add(time.Minute) {
		m := gnss.Minute{Start: at.Unix(), Mount: b.mount, Frames: 300, Bytes: 90_000, Chain: make([]byte, 32), Seconds: 1<<60 - 1, Age: 300, Gap: 1000}
		m.Sample = append(m.Sample, gnsstest.Station(b.ID, b.Place))
		if at.Equal(began) || at.Add(-time.Minute).Truncate(2*time.Hour) != at.Truncate(2*time.Hour) {
			m.Sample = append(m.Sample, gnsstest.Orbits(at)...)
		}
		m.Sample = append(m.Sample, b.Observe(at, rng)...)
		p, err := m.Encode()
		if err == nil {
			_, err = s.ReportPayload(ctx, gnss.Content, p)
		}
		if err != nil {
			return errors.Join(err, s.Close())
		}
	}
	return errors.Join(s.Flush(ctx), s.Close())
}

var _ sensing.Signer = key{}

// pulled is a rover that sends its position and takes what comes through NEAR until
// it has enough frames of observations. Each must be one that a base sent.
func pulled(ctx context.Context, d doors, fix string, enough int) (frames [][]byte, err error) {
	in, err := ntrip.Pull(ctx, ntrip.Target{Addr: d.caster(), Mount: ntrip.Near, Name: d.NTRIP.RoverUser, Password: d.NTRIP.RoverPassword, Fix: fix})
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	defer context.AfterFunc(ctx, func() { _ = in.Close() })()
	for scan := rtcm.NewScanner(in); len(frames) < enough; {
		f, err := scan.Next()
		if err != nil {
			return frames, fmt.Errorf("rover has %d frames of observations, wants %d: %w", len(frames), enough, err)
		}
		if _, _, ok := rtcm.MSMOf(f.Type); ok {
			frames = append(frames, bytes.Clone(f.Raw))
		}
	}
	return frames, nil
}

// judged is what grange reward explain says of a device's evidence.
type judged struct {
	weight
	Parts []struct {
		Name  string
		Terms []struct {
			Name  string
			Value uint64 `json:",string"`
			Of    uint64 `json:",string"`
		}
	}
	claimed uint64 // ugrain that the ledger has paid for all epochs
}

func explained(n *network.Network, id string, epoch uint64) (j judged) {
	var x struct {
		Evidence []judged
		Bonus    struct {
			Claimed uint64 `json:"claimed_ugrain"`
		}
	}
	n.JSON(&x, "reward", "explain", id, fmt.Sprint(epoch))
	for _, j = range x.Evidence {
	}
	j.claimed = x.Bonus.Claimed
	return j
}

// term returns one of the terms of the part gnss.
func (j judged) term(name string) (value, of uint64, ok bool) {
	for _, p := range j.Parts {
		for _, x := range p.Terms {
			if p.Name == "gnss" && x.Name == name {
				return x.Value, x.Of, true
			}
		}
	}
	return 0, 0, false
}

// Two bases push what their receivers observe, a rover near one of them gets its
// stream, a caster signs for a third that cannot. The bases hand half a day over
// that they signed while nobody listened: they are weighed by each other's orbits,
// paid, and anybody recomputes it.
func TestGNSSBasesArePaid(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a network: not with -short")
	}
	n := network.Start(t, "--epoch", epoch, "--providers", "2")
	var d doors
	decode(t, filepath.Join(n.Home, "endpoints.json"), &d)
	bases := []*base{newBase(t, 1, "MUNICH", "buyer", 48.14, 11.57), newBase(t, 2, "NUREMBERG", "sponsor", 49.45, 11.08)}
	stream(t, n, d, bases)
	const hours = 13 // of 24; below a half a base is paid nothing
	end := time.Now().Add(-sensing.Settle).UTC().Truncate(time.Hour)
	both(t, bases, func(b *base) error { return b.past(t.Context(), d, end, hours) })
	at := scored(n, bases[0].id(t))
	n.Until(patience, "the ledger pays both bases", func() bool {
		return !slices.ContainsFunc(bases, func(b *base) bool { return explained(n, b.id(t), at).claimed == 0 })
	})
	for _, b := range bases {
		j := explained(n, b.id(t), at)
		t.Logf("%s\n%s", b.mount, n.Must("reward", "explain", b.id(t), fmt.Sprint(at)))
		if j.Granted == 0 {
			t.Errorf("%s weighs %d in epoch %d and gets nothing", b.mount, j.Weight, at)
		}
		if good, of, _ := j.term("hours its ranges meet at its coordinates"); good != of || of < hours-1 {
			t.Errorf("%s: its ranges meet at its coordinates in %d of %d hours, want %d by the other's orbits", b.mount, good, of, hours)
		}
	}
	witnessed, last := plannedBase(t, n), at
	n.Until(patience, "the caster's word for the base that cannot sign is judged", func() bool {
		_, _, ok := explained(n, witnessed, last).term("a caster signed for it")
		if !ok && last+1 < n.Status().Chain.Epoch.Number {
			last++
		}
		return ok
	})
	if out := n.Must("verify", "--vertical", "sensing", "--epoch", fmt.Sprint(at)); !strings.Contains(out, "equal") {
		t.Errorf("verify: %s", out)
	}
}

// both does the same with all bases at once.
func both(t *testing.T, bases []*base, f func(*base) error) {
	t.Helper()
	failed := make(chan error, len(bases))
	for _, b := range bases {
		go func() { failed <- f(b) }()
	}
	for range bases {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

// stream lets all bases push until the rover has what it wants.
func stream(t *testing.T, n *network.Network, d doors, bases []*base) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var mu sync.Mutex
	sent := map[string]string{} // frames, and the mount point of who sent them
	note := func(mount string) func([]byte) {
		return func(f []byte) {
			mu.Lock()
			defer mu.Unlock()
			sent[string(f)] = mount
		}
	}
	pushing, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, len(bases)+1)
	for _, b := range bases {
		go func() { ended <- b.live(pushing, t, n, d, note(b.mount)) }()
	}
	go func() { ended <- hardware(pushing, d) }()
	// 48 degrees 12 minutes north, 11 degrees 36 minutes east: 7 km from Munich.
	frames, err := pulled(ctx, d, "$GPGGA,120000.00,4812.000,N,01136.000,E,1,10,0.9,500.0,M,47.0,M,,", 12)
	stop()
	for range cap(ended) {
		err = errors.Join(err, <-ended)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range frames {
		if from := sent[string(f)]; from != "MUNICH" {
			t.Errorf("frame %d of what the rover got was sent by %q", i, from)
		}
	}
}

// hardware is a base that only knows a password, as its maker sells it, at the other
// end of the world.
func hardware(ctx context.Context, d doors) error {
	b := base{Receiver: gnsstest.Receiver{ID: 3, Place: orbit.ECEF(-33.9, 151.2, 50), Noise: 0.3, Kind: 7}}
	w, err := ntrip.Push(ctx, ntrip.Target{Addr: d.caster(), Mount: d.NTRIP.Mount, Password: d.NTRIP.BasePassword, Old: true})
	if err != nil {
		return err
	}
	return errors.Join(b.send(ctx, w, func([]byte) {}), w.Close())
}

// plannedBase is the device that a local network has for a base.
func plannedBase(t *testing.T, n *network.Network) string {
	t.Helper()
	var plan struct {
		Sensing struct{ Base struct{ Device string } }
	}
	decode(t, filepath.Join(n.Home, "network.json"), &plan)
	return plan.Sensing.Base.Device
}
