package oracle

import (
	"testing"
	"time"

	"github.com/grange-network/grange/ledger/api/oraclepb"
)

func (w *world) setParams(change func(*oraclepb.Params)) {
	w.t.Helper()
	p, err := w.Params.Get(w.ctx)
	w.must(err)
	change(&p)
	w.must(ValidateParams(p))
	w.must(w.Params.Set(w.ctx, p))
}

func (w *world) of(name string) oraclepb.Conduct {
	w.t.Helper()
	c, err := w.Conducts.Get(w.ctx, operator(name))
	w.must(err)
	return c
}

func (w *world) jailed(name string) bool {
	_, in := w.stakes.until[string(operator(name))]
	return in
}

// epochOf runs a whole epoch in which some reveal.
func (w *world) epochOf(names ...string) {
	w.t.Helper()
	for _, n := range names {
		w.must(w.reveal(n))
	}
	w.nextEpoch()
}

func TestWithheldRevealsAreJailed(t *testing.T) {
	for _, c := range []struct {
		name   string
		misses []bool // of small, by epoch
		want   bool
	}{
		{"never missed", []bool{false, false, false, false}, false},
		{"less often than the limit", []bool{true, false, true, false, false}, false},
		{"as often as the limit", []bool{true, false, true, true}, true},
		{"as often, but not within the window", []bool{true, true, false, false, false, true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.setParams(func(p *oraclepb.Params) { p.MissWindow, p.MissLimit, p.MissJailEpochs = 5, 3, 2 })
			w.start()
			for _, missed := range c.misses {
				names := []string{"big", "mid", "small"}
				if missed {
					names = names[:2]
				}
				w.epochOf(names...)
			}
			if got := w.jailed("small"); got != c.want || w.jailed("big") || w.jailed("mid") {
				t.Fatalf("jailed %v, want small only: %t", w.stakes.until, c.want)
			}
			if !c.want {
				return
			}
			if until := w.stakes.until[string(operator("small"))]; !until.Equal(w.ctx.BlockTime().Add(200 * time.Second)) {
				t.Errorf("jailed until %s, now is %s", until, w.ctx.BlockTime())
			}
			if got := w.of("small"); got.Jailed != 1 || len(got.RecentlyMissed) != 0 || got.Missed != 3 {
				t.Errorf("conduct %+v", got)
			}
		})
	}
}

// When a third withholds, nobody can tell who is at fault: the epoch is neutral,
// the misses count, and the first decided epoch that one misses again jails.
func TestNobodyIsJailedWithoutASeed(t *testing.T) {
	w := newWorld(t)
	w.setParams(func(p *oraclepb.Params) { p.MissWindow, p.MissLimit, p.MissJailEpochs = 5, 2, 1 })
	w.start()
	for range 4 {
		w.epochOf("big")
	}
	if len(w.stakes.until) != 0 {
		t.Fatalf("jailed in neutral epochs: %v", w.stakes.until)
	}
	w.epochOf("big", "mid")
	if !w.jailed("small") || w.jailed("mid") || w.jailed("big") {
		t.Fatalf("jailed %v, want small", w.stakes.until)
	}
}

func TestNoLimitNeverJails(t *testing.T) {
	w := newWorld(t)
	w.setParams(func(p *oraclepb.Params) { p.MissWindow, p.MissLimit = 0, 0 })
	w.start()
	for range 8 {
		w.epochOf("big", "mid")
	}
	if len(w.stakes.until) != 0 || w.of("small").Missed != 8 {
		t.Fatalf("jailed %v, conduct %+v", w.stakes.until, w.of("small"))
	}
}

func TestDissentIsFined(t *testing.T) {
	w := newWorld(t)
	w.setParams(func(p *oraclepb.Params) { p.DissentBps = 100 })
	w.start()
	right, wrong := contentOf(leavesOf(t, 300)), contentOf(leavesOf(t, 301))
	_, err := w.vote("small", 1, wrong)
	w.must(err)
	if w.stakes.burned != 0 {
		t.Fatal("fined before anything was accepted")
	}
	w.accept(1, right)
	w.set[string(operator("late"))] = 10
	w.stakes.left[string(operator("late"))] = 10_000_000
	_, err = w.vote("late", 1, wrong)
	w.must(err)
	for name, want := range map[string]uint64{"big": 0, "mid": 0, "small": 200_000, "late": 100_000} {
		if got := w.of(name); got.Fined != want || got.Jailed != 0 {
			t.Errorf("%s: %+v, want a fine of %d", name, got, want)
		}
	}
	if w.stakes.burned != 300_000 {
		t.Errorf("burned %d", w.stakes.burned)
	}
}

func TestEquivocationIsFinedAndJailedOnce(t *testing.T) {
	w := newWorld(t)
	w.start()
	for _, n := range []uint64{300, 301} {
		_, err := w.vote("mid", 1, contentOf(leavesOf(t, n)))
		w.must(err)
	}
	want := uint64(30_000_000 * 5 / 100)
	if got := w.of("mid"); got.Fined != want || got.Jailed != 1 || w.stakes.burned != want {
		t.Fatalf("conduct %+v, burned %d, want %d", got, w.stakes.burned, want)
	}
	_, err := w.vote("mid", 1, contentOf(leavesOf(t, 302)))
	w.refused(err, ErrDone, "on record")
	if w.stakes.burned != want {
		t.Fatalf("a third vote burned %d more", w.stakes.burned-want)
	}
}

// Whatever keeps a fine or a jailing from being carried out, reports are accepted
// and epochs end.
func TestPenaltiesThatFailStopNothing(t *testing.T) {
	w := newWorld(t)
	w.setParams(func(p *oraclepb.Params) { p.MissWindow, p.MissLimit, p.DissentBps = 2, 1, 100 })
	w.stakes.broken = true
	w.start()
	_, err := w.vote("small", 1, contentOf(leavesOf(t, 301)))
	w.must(err)
	w.accept(1, contentOf(leavesOf(t, 300)))
	w.epochOf("big", "mid")
	if got := w.of("small"); got.Dissented != 1 || got.Missed != 1 || got.Fined != 0 || got.Jailed != 0 {
		t.Fatalf("conduct %+v", got)
	}
}
