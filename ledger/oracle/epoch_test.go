package oracle

import (
	"context"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/beacon"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

func TestClockStartsWithTheFirstBlock(t *testing.T) {
	w := newWorld(t)
	if n, err := w.CurrentEpoch(w.ctx); err != nil || n != 0 {
		t.Fatalf("before the first block: epoch %d (%v)", n, err)
	}
	w.block(1000)
	if e := w.epoch(); e.Number != 1 || e.StartTime != w.ctx.BlockTime().UnixNano() || e.StartHeight != w.ctx.BlockHeight() || e.Status != oraclepb.EPOCH_STATUS_REVEALING {
		t.Fatalf("first epoch: %+v", e)
	}
}

func TestEpochEndsWhenItsTimeHasPassed(t *testing.T) {
	w := newWorld(t)
	w.block(1)
	for range 9 {
		w.block(10)
	}
	if n := w.epoch().Number; n != 1 {
		t.Fatalf("after 90 of 100 s: epoch %d", n)
	}
	w.block(10)
	if n := w.epoch().Number; n != 2 || !slices.Equal(w.journal.ended, []uint64{1}) {
		t.Fatalf("after 100 s: epoch %d, told of %v", n, w.journal.ended)
	}
}

// A ledger that stood still for an hour does not take the time to prove away.
func TestStandstillStretchesTheEpoch(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.decide()
	w.block(10)
	elapsed := w.epoch().Elapsed
	w.block(3600)
	e := w.epoch()
	if e.Number != 2 || time.Duration(e.Elapsed-elapsed) != 20*time.Second {
		t.Fatalf("an hour counted %v of epoch %d, want the longest gap of 20 s of epoch 2", time.Duration(e.Elapsed-elapsed), e.Number)
	}
}

func TestNobodyLeftOutOfTimeByAStandstillBeforeTheDeadline(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.must(w.reveal("big"))
	w.must(w.reveal("mid"))
	for w.epoch().Status == oraclepb.EPOCH_STATUS_REVEALING {
		w.block(3600)
	}
	decided := w.ctx.BlockHeight()
	for w.epoch().Number == 2 {
		w.block(3600)
	}
	if left := w.ctx.BlockHeight() - decided; left < 2 {
		t.Fatalf("%d blocks between the seed and the end of the epoch", left)
	}
}

func TestTimeRunningBackwardsCountsNothing(t *testing.T) {
	w := newWorld(t)
	w.block(1)
	w.block(10)
	before := w.epoch().Elapsed
	w.ctx = w.ctx.WithBlockTime(w.ctx.BlockTime().Add(-time.Hour))
	w.must(w.BeginBlock(w.ctx))
	if got := w.epoch().Elapsed; got != before {
		t.Fatalf("elapsed %d, want %d", got, before)
	}
}

func TestSeedIsDecidedByAllAtOnce(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.must(w.reveal("small"))
	w.must(w.reveal("big"))
	if s := w.epoch().Status; s != oraclepb.EPOCH_STATUS_REVEALING {
		t.Fatalf("with 70 of 100: %s", s)
	}
	w.must(w.reveal("mid"))
	before, err := w.Epochs.Get(w.ctx, 1)
	w.must(err)
	if before.Status != oraclepb.EPOCH_STATUS_NEUTRAL || beacon.Seed(before.Seed) != beacon.Neutral(beacon.Genesis(testChain), 1) {
		t.Fatalf("epoch 1, in which nobody could reveal: %+v", before)
	}
	want, err := beacon.Next(beacon.Seed(before.Seed), 2, []beacon.Signature{
		secret("big").Sign(testChain, 2), secret("mid").Sign(testChain, 2), secret("small").Sign(testChain, 2),
	})
	w.must(err)
	e := w.epoch()
	if e.Status != oraclepb.EPOCH_STATUS_DECIDED || beacon.Seed(e.Seed) != want || e.RevealedPower != 100 || e.TotalPower != 100 {
		t.Fatalf("decided epoch: %+v, want seed %s", e, want)
	}
}

func TestDeadlineDecidesWithMoreThanTwoThirds(t *testing.T) {
	for _, c := range []struct {
		name     string
		powers   []int64 // big, mid, small
		revealed []string
		want     oraclepb.EpochStatus
	}{
		{"nobody", []int64{50, 30, 20}, nil, oraclepb.EPOCH_STATUS_NEUTRAL},
		{"half", []int64{50, 30, 20}, []string{"big"}, oraclepb.EPOCH_STATUS_NEUTRAL},
		{"exactly two thirds", []int64{40, 40, 40}, []string{"big", "mid"}, oraclepb.EPOCH_STATUS_NEUTRAL},
		{"just more", []int64{41, 40, 40}, []string{"big", "mid"}, oraclepb.EPOCH_STATUS_DECIDED},
		{"eighty", []int64{50, 30, 20}, []string{"big", "mid"}, oraclepb.EPOCH_STATUS_DECIDED},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			for i, name := range []string{"big", "mid", "small"} {
				w.set[string(operator(name))] = c.powers[i]
			}
			w.start()
			for _, name := range c.revealed {
				w.must(w.reveal(name))
			}
			for range 3 {
				w.block(10)
			}
			if s := w.epoch().Status; s != oraclepb.EPOCH_STATUS_REVEALING {
				t.Fatalf("before the deadline: %s", s)
			}
			w.block(10)
			if e := w.epoch(); e.Status != c.want || len(e.Seed) != 32 {
				t.Fatalf("at the deadline: %+v, want %s", e, c.want)
			}
			w.refused(w.reveal("small"), ErrTooLate, "the seed of epoch 2 is")
		})
	}
}

// Power that left the set between its reveal and the deadline does not count.
func TestPowerCountsAtTheDeadline(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.must(w.reveal("big"))
	w.must(w.reveal("mid"))
	w.set[string(operator("big"))] = 0
	w.set[string(operator("late"))] = 50
	for range 4 {
		w.block(10)
	}
	if e := w.epoch(); e.Status != oraclepb.EPOCH_STATUS_NEUTRAL || e.RevealedPower != 30 {
		t.Fatalf("%+v, want neutral with 30", e)
	}
}

func TestConductCountsRevealsAndMisses(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.must(w.reveal("big"))
	w.must(w.reveal("mid"))
	w.nextEpoch()
	r, err := w.asks.Conducts(w.ctx, &oraclepb.QueryConductsRequest{})
	w.must(err)
	got := map[string][2]uint64{}
	for _, c := range r.Conducts {
		got[c.Validator] = [2]uint64{c.Revealed, c.Missed}
	}
	for name, want := range map[string][2]uint64{"big": {1, 0}, "mid": {1, 0}, "small": {0, 1}} {
		if got[valoper(name)] != want {
			t.Errorf("%s: revealed and missed %v, want %v", name, got[valoper(name)], want)
		}
	}
}

func TestRegisterKeyRules(t *testing.T) {
	w := newWorld(t)
	w.block(1)
	key := secret("big")
	public := key.Public()
	good, err := key.Prove(testChain, operator("big"))
	w.must(err)
	other, err := key.Prove("other-chain", operator("big"))
	w.must(err)
	send := func(m oraclepb.MsgRegisterKey) error {
		return w.try(func(ctx context.Context) error { _, err := w.msgs.RegisterKey(ctx, &m); return err })
	}
	for _, c := range []struct {
		name  string
		msg   oraclepb.MsgRegisterKey
		want  error
		words string
	}{
		{"no address", oraclepb.MsgRegisterKey{}, ErrInvalid, "validator address"},
		{"account address", oraclepb.MsgRegisterKey{Validator: account("big")}, ErrInvalid, "validator address"},
		{"not bonded", oraclepb.MsgRegisterKey{Validator: valoper("nobody")}, ErrNotBonded, ""},
		{"no key", oraclepb.MsgRegisterKey{Validator: valoper("big")}, ErrInvalid, "public key of 0 bytes"},
		{"no point", oraclepb.MsgRegisterKey{Validator: valoper("big"), PublicKey: make([]byte, 96)}, ErrInvalid, "compressed"},
		{"no proof", oraclepb.MsgRegisterKey{Validator: valoper("big"), PublicKey: public[:]}, ErrSignature, "0 bytes"},
		{"proof of another chain", oraclepb.MsgRegisterKey{Validator: valoper("big"), PublicKey: public[:], Possession: other[:]}, ErrSignature, "does not match"},
		{"another's key and proof", oraclepb.MsgRegisterKey{Validator: valoper("mid"), PublicKey: public[:], Possession: good[:]}, ErrSignature, "does not match"},
		{"good", oraclepb.MsgRegisterKey{Validator: valoper("big"), PublicKey: public[:], Possession: good[:]}, nil, ""},
		{"the same again", oraclepb.MsgRegisterKey{Validator: valoper("big"), PublicKey: public[:], Possession: good[:]}, ErrKey, "registered before"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := send(c.msg)
			if c.want == nil {
				w.must(err)
				return
			}
			w.refused(err, c.want, c.words)
		})
	}
}

// A key counts from the next epoch on, so that nobody picks one after seeing
// what the others revealed; until then the old one signs.
func TestNewKeyWaitsForTheNextEpoch(t *testing.T) {
	w := newWorld(t)
	w.block(1)
	w.must(w.register("big"))
	w.refused(w.reveal("big"), ErrTooEarly, "signs from epoch 2 on")
	w.refused(w.reveal("mid"), ErrKey, "register one first")
	w.nextEpoch()
	rotated := secret("rotated")
	public := rotated.Public()
	proof, err := rotated.Prove(testChain, operator("big"))
	w.must(err)
	w.must(w.try(func(ctx context.Context) error {
		_, err := w.msgs.RegisterKey(ctx, &oraclepb.MsgRegisterKey{Validator: valoper("big"), PublicKey: public[:], Possession: proof[:]})
		return err
	}))
	signed := func(key string) error {
		e := w.epoch().Number
		s := secret(key).Sign(testChain, e)
		return w.try(func(ctx context.Context) error {
			_, err := w.msgs.Reveal(ctx, &oraclepb.MsgReveal{Validator: valoper("big"), Epoch: e, Signature: s[:]})
			return err
		})
	}
	w.refused(signed("rotated"), ErrSignature, "")
	w.must(signed("big"))
	w.nextEpoch()
	w.refused(signed("big"), ErrSignature, "")
	w.must(signed("rotated"))
}

// Registering again and again within an epoch leaves one next key, frees the
// others, and never touches the one that signs now.
func TestRepeatedRotationKeepsTheSigningKey(t *testing.T) {
	w := newWorld(t)
	w.start()
	for _, name := range []string{"a", "b", "c"} {
		k := secret(name)
		public := k.Public()
		proof, err := k.Prove(testChain, operator("big"))
		w.must(err)
		_, err = w.msgs.RegisterKey(w.ctx, &oraclepb.MsgRegisterKey{Validator: valoper("big"), PublicKey: public[:], Possession: proof[:]})
		w.must(err)
	}
	w.must(w.reveal("big"))
	owners := 0
	w.must(w.KeyOwners.Walk(w.ctx, nil, func([]byte, []byte) (bool, error) { owners++; return false, nil }))
	if owners != 4 { // mid, small, big's signing key and its next one
		t.Fatalf("%d keys are taken, want 4", owners)
	}
}

func TestRevealRules(t *testing.T) {
	w := newWorld(t)
	w.start()
	good := secret("big").Sign(testChain, 2)
	foreign := secret("mid").Sign(testChain, 2)
	early := secret("big").Sign(testChain, 3)
	for _, c := range []struct {
		name  string
		msg   oraclepb.MsgReveal
		want  error
		words string
	}{
		{"no address", oraclepb.MsgReveal{Epoch: 2}, ErrInvalid, ""},
		{"not bonded", oraclepb.MsgReveal{Validator: valoper("nobody"), Epoch: 2, Signature: good[:]}, ErrNotBonded, ""},
		{"last epoch", oraclepb.MsgReveal{Validator: valoper("big"), Epoch: 1, Signature: good[:]}, ErrTooLate, "epoch 1 in epoch 2"},
		{"next epoch", oraclepb.MsgReveal{Validator: valoper("big"), Epoch: 3, Signature: early[:]}, ErrTooEarly, "epoch 3 in epoch 2"},
		{"no signature", oraclepb.MsgReveal{Validator: valoper("big"), Epoch: 2}, ErrSignature, "0 bytes"},
		{"another's signature", oraclepb.MsgReveal{Validator: valoper("big"), Epoch: 2, Signature: foreign[:]}, ErrSignature, "does not match"},
		{"signature of another epoch", oraclepb.MsgReveal{Validator: valoper("big"), Epoch: 2, Signature: early[:]}, ErrSignature, "does not match"},
		{"good", oraclepb.MsgReveal{Validator: valoper("big"), Epoch: 2, Signature: good[:]}, nil, ""},
		{"twice", oraclepb.MsgReveal{Validator: valoper("big"), Epoch: 2, Signature: good[:]}, ErrDone, "has revealed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := w.try(func(ctx context.Context) error { _, err := w.msgs.Reveal(ctx, &c.msg); return err })
			if c.want == nil {
				w.must(err)
				return
			}
			w.refused(err, c.want, c.words)
		})
	}
}

// Whatever blocks arrive when, epochs count up by one, each has a seed when it
// is over, and each lasts at least its time.
func TestClockNeverSkips(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		w.block(1)
		last := w.epoch()
		for range rapid.IntRange(1, 60).Draw(rt, "blocks") {
			w.block(rapid.IntRange(0, 200).Draw(rt, "seconds"))
			e := w.epoch()
			if e.Number == last.Number {
				continue
			}
			if e.Number != last.Number+1 {
				rt.Fatalf("epoch %d follows %d", e.Number, last.Number)
			}
			ended, err := w.Epochs.Get(w.ctx, last.Number)
			if err != nil || len(ended.Seed) != 32 || ended.Elapsed < int64(100*time.Second) || ended.SeenTime-ended.StartTime < int64(100*time.Second) {
				rt.Fatalf("ended epoch %+v (%v)", ended, err)
			}
			last = e
		}
		for i, n := range w.journal.ended {
			if n != uint64(i+1) {
				rt.Fatalf("hooks saw %v", w.journal.ended)
			}
		}
	})
}
