package conformance

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/score"
	"github.com/grange-network/grange/vertical"
)

// splits are the numbers of devices that the suite splits one into.
var splits = []int{2, 3, 7}

// Run runs the whole suite on a vertical.
func Run(t *testing.T, v vertical.Vertical, world Make, decoders ...Decoder) {
	t.Helper()
	s := &suite{v, world}
	t.Run("info", s.info)
	t.Run("order and repetition change nothing", s.order)
	t.Run("no evidence, no weight", s.nothing)
	t.Run("a split device never earns more", s.split)
	t.Run("rewards stay within their bounds", s.bounds)
	t.Run("weights are explained", s.explain)
	t.Run("junk raises nobody", s.junk)
	t.Run("nobody is registered", s.unregistered)
	for _, d := range decoders {
		t.Run("decoder "+d.Name, d.run)
	}
}

type suite struct {
	v    vertical.Vertical
	make Make
}

// hasEvidence says whether Score is called at all.
func (s *suite) hasEvidence() bool { return len(s.v.Info().Evidence) > 0 }

func (s *suite) score(t *testing.T, w World, o order) []vertical.Line {
	t.Helper()
	in, err := w.input(t.Context(), s.v.Info().Name, o, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	lines, err := s.v.Score(t.Context(), in)
	if err != nil {
		t.Fatalf("score: %v", err)
	}
	return lines
}

// terms are generous, so that neither the pool nor rounding hides a difference.
func (s *suite) terms(epoch uint64) score.Terms {
	return score.Terms{Vertical: s.v.Info().Name, Epoch: epoch, Pool: 1e12, Grant: 1e12, Rebate: 8000, Price: 1_000_000}
}

// reward is what lines and usage of a world come to.
func (s *suite) reward(t *testing.T, w World, lines []vertical.Line) ([]score.Bonus, merkle.SumRoot) {
	t.Helper()
	var usage []score.Usage
	for _, u := range w.Usage {
		usage = append(usage, score.Usage{Device: u.Device, Epoch: w.Epoch, Burned: u.Burned})
	}
	var weighed []score.Line
	for _, l := range lines {
		if _, registered := known(w.Devices).Device(l.Device); !registered {
			continue
		}
		weight, err := l.Weight()
		if err != nil {
			t.Fatal(err)
		}
		weighed = append(weighed, score.Line{Device: l.Device, Weight: weight, Penalty: l.Penalty})
	}
	_, report, bonuses, err := score.State{}.Next(s.terms(w.Epoch), usage, weighed...)
	if err != nil {
		t.Fatal(err)
	}
	return bonuses, report.Rewards
}

var name = regexp.MustCompile(`^[a-z][a-z0-9-]{1,31}$`)

func (s *suite) info(t *testing.T) {
	i := s.v.Info()
	if !name.MatchString(i.Name) {
		t.Errorf("name %q: want 2 to 32 of a-z, 0-9 and -", i.Name)
	}
	if i.Class != vertical.PRN && i.Class != vertical.DRN {
		t.Errorf("class %q", i.Class)
	}
	if len(i.Units) == 0 {
		t.Error("nothing can be sold: no units")
	}
	for _, u := range i.Units {
		if vertical.Of(u.Kind) != i.Name || u.Use == "" && u.Hold == "" {
			t.Errorf("unit %+v: want kind %s or %s/… and what is used or held", u, i.Name, i.Name)
		}
	}
	for _, kind := range i.Evidence {
		if !name.MatchString(kind) {
			t.Errorf("kind of evidence %q", kind)
		}
	}
	w := s.make(1)
	if w.Epoch == 0 || s.hasEvidence() && (len(w.Evidence) == 0 || len(w.Subject) != 1 || len(w.Devices) < 2) {
		t.Error("the world is too small to test with: want an epoch, evidence, one subject and another device")
	}
}

func (s *suite) order(t *testing.T) {
	w := s.make(1)
	_, want := s.reward(t, w, s.score(t, w, order{}))
	for i, o := range []order{
		{}, {twice: true}, {copies: 2},
		{rnd: rand.New(rand.NewPCG(1, 0))}, {rnd: rand.New(rand.NewPCG(2, 0)), twice: true}, {rnd: rand.New(rand.NewPCG(3, 0)), copies: 3},
	} {
		if _, got := s.reward(t, w, s.score(t, w, o)); got != want {
			t.Errorf("order %d: root %v, want %v", i, got, want)
		}
	}
}

func (s *suite) nothing(t *testing.T) {
	w := s.make(1)
	w.Evidence = nil
	for _, l := range s.score(t, w, order{}) {
		if weight, err := l.Weight(); err != nil || weight > 0 {
			t.Errorf("device %x has weight %d (%v)", l.Device, weight, err)
		}
	}
}

func (s *suite) split(t *testing.T) {
	whole := s.make(1)
	bonuses, _ := s.reward(t, whole, s.score(t, whole, order{}))
	one := earned(bonuses, whole.Subject)
	if s.hasEvidence() && one == 0 {
		t.Fatal("the subject earns nothing as it is: there is nothing to compare with")
	}
	for _, k := range splits {
		w := s.make(k)
		if s.hasEvidence() && len(w.Subject) != k {
			t.Fatalf("asked for %d devices, the world has %d", k, len(w.Subject))
		}
		bonuses, _ := s.reward(t, w, s.score(t, w, order{}))
		if got := earned(bonuses, w.Subject); got > one {
			t.Errorf("%d devices earn %d ugrain, one earns %d", k, got, one)
		}
	}
}

func earned(bonuses []score.Bonus, devices [][32]byte) (sum money.Grain) {
	for _, b := range bonuses {
		if slices.Contains(devices, b.Device) {
			sum += b.Amount
		}
	}
	return sum
}

func (s *suite) bounds(t *testing.T) {
	for _, k := range append([]int{1}, splits...) {
		w := s.make(k)
		terms := s.terms(w.Epoch)
		bonuses, _ := s.reward(t, w, s.score(t, w, order{}))
		var used, granted money.Grain
		for _, b := range bonuses {
			used, granted = used+b.Usage, granted+b.Granted
			if burned := money.Share(b.Burned, terms.Rebate); uint64(b.Usage) > uint64(burned) { // a GRAIN is a USD here
				t.Errorf("device %x: usage earns %d, %d of the burn come back at most", b.Device, b.Usage, burned)
			}
		}
		if used > terms.Pool || granted > terms.Grant {
			t.Errorf("usage earns %d of %d, evidence %d of %d", used, terms.Pool, granted, terms.Grant)
		}
	}
}

func (s *suite) explain(t *testing.T) {
	w := s.make(1)
	explained := false
	for _, l := range s.score(t, w, order{}) {
		weight, err := l.Weight()
		if err != nil {
			t.Fatal(err)
		}
		explained = explained || weight > 0 && slices.Contains(w.Subject, l.Device)
		for _, p := range l.Parts {
			if p.Name == "" || slices.ContainsFunc(p.Terms, func(x vertical.Term) bool { return x.Name == "" }) {
				t.Errorf("device %x: a part or a term has no name: %+v", l.Device, p)
			}
		}
	}
	if s.hasEvidence() && !explained {
		t.Error("the subject has no weight to explain")
	}
}

// weights of lines by device.
func weights(t *testing.T, lines []vertical.Line) map[[32]byte]uint64 {
	t.Helper()
	out := map[[32]byte]uint64{}
	for _, l := range lines {
		weight, err := l.Weight()
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := out[l.Device]; twice {
			t.Fatalf("device %x has two lines", l.Device)
		}
		out[l.Device] = weight
	}
	return out
}

func (s *suite) junk(t *testing.T) {
	w := s.make(1)
	honest := weights(t, s.score(t, w, order{}))
	for seed := range uint64(10) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		spoiled := w
		spoiled.Evidence = nil
		for _, rows := range w.Evidence {
			spoiled.Evidence = append(spoiled.Evidence, rows.spoil(rnd, 50))
		}
		for device, weight := range weights(t, s.score(t, spoiled, order{rnd: rnd})) {
			if weight > honest[device] {
				t.Errorf("seed %d: junk raised device %x from %d to %d", seed, device, honest[device], weight)
			}
		}
	}
}

func (s *suite) unregistered(t *testing.T) {
	w := s.make(1)
	w.Devices = nil
	lines := s.score(t, w, order{})
	w.Usage = nil
	if bonuses, _ := s.reward(t, w, lines); len(bonuses) > 0 {
		t.Errorf("%d devices that nobody registered are paid", len(bonuses))
	}
}

func (d Decoder) run(t *testing.T) {
	if err := d.Decode(bytes.Clone(d.Valid)); err != nil {
		t.Fatalf("refused what is valid: %v", err)
	}
	rnd := rand.New(rand.NewPCG(5, 5))
	try := func(what string, raw []byte) {
		defer func() {
			if p := recover(); p != nil {
				t.Errorf("%s: panic: %v\n%x", what, p, raw)
			}
		}()
		_ = d.Decode(raw)
	}
	for n := range len(d.Valid) {
		try(fmt.Sprintf("cut after %d bytes", n), bytes.Clone(d.Valid[:n]))
	}
	for range 2000 {
		raw := bytes.Clone(d.Valid)
		for range 1 + rnd.IntN(4) {
			if len(raw) > 0 {
				raw[rnd.IntN(len(raw))] = byte(rnd.Uint32())
			}
		}
		try("changed bytes", raw)
		try("any bytes", junk(rnd))
	}
}
