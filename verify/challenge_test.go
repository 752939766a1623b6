package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/oracle"
)

// court is an honest verifier whose epoch 1 was accepted and paid, and which has
// computed epoch 2. What the others make of epoch 2 is accept's.
type court struct {
	*testing.T
	*books
	name   string // vertical
	v      *verifier
	others string // home of a verifier of the others
	epoch  uint64 // current
	height int64
}

func newCourt(t *testing.T) *court {
	t.Helper()
	b := newBooks()
	for n := range byte(5) {
		b.usage[1] = append(b.usage[1], use(1, n+1, 100*uint64(n+1)))
		b.usage[2] = append(b.usage[2], use(2, n+1, 50))
	}
	c := &court{T: t, books: b, name: "storage", v: b.verifier(t, t.TempDir()), epoch: 2}
	c.convene()
	return c
}

// convene computes both epochs, one epoch apart from now on.
func (c *court) convene() {
	c.Helper()
	c.others = c.TempDir()
	c.v.Others = []string{c.others}
	c.must(c.report())
	for _, l := range c.ours(1).Leaves {
		c.claimed[l.Device] = l.Lifetime
	}
	c.refuse = func(sdk.Msg) error { return oracle.ErrDone } // the others have voted
	c.epoch++
	c.must(c.report())
	c.refuse = nil
	took[sdk.Msg](c.books)
}

func (c *court) report() error {
	return c.v.report(c.Context(), c.at(c.epoch, oraclepb.EPOCH_STATUS_DECIDED, 0))
}

func (c *court) must(err error) {
	c.Helper()
	must(c.T, err)
}

func (c *court) ours(epoch uint64) Published {
	c.Helper()
	p, err := shelfOf(c.v.Home, c.name).get(epoch)
	c.must(err)
	return p
}

// published is our epoch 2 after a change, with the root that its leaves make as
// they are.
func (c *court) published(change func(*Published)) Published {
	c.Helper()
	p := c.ours(2)
	p.Leaves = slices.Clone(p.Leaves)
	change(&p)
	var leaves []merkle.SumLeaf
	for _, l := range p.Leaves {
		device, err := deviceOf(l.Device)
		c.must(err)
		leaves = append(leaves, merkle.SumLeaf{Key: device, Amount: l.Lifetime})
	}
	root := merkle.GivenSumTree(leaves).Root()
	p.RewardRoot, p.Total = root.Hash.String(), root.Total
	return p
}

// accept makes the ledger accept what was published as epoch 2.
func (c *court) accept(p Published, content func(*oraclepb.Content)) {
	c.Helper()
	c.must(shelfOf(c.others, c.name).put(p))
	reported, err := contentOfPublished(p)
	c.must(err)
	if content != nil {
		content(&reported)
	}
	defer c.lock()()
	c.reports = append([]oraclepb.Report{{Epoch: 2, Vertical: c.name, Content: reported, PayableEpoch: c.epoch + 2}}, c.reports...)
}

// look lets the verifier look at the ledger through as many blocks.
func (c *court) look(blocks int) (challenges []*oraclepb.MsgChallenge, err error) {
	for range blocks {
		now := c.at(c.epoch, oraclepb.EPOCH_STATUS_DECIDED, 0)
		c.height++
		now.block.Height = c.height
		err = errors.Join(err, c.v.challenge(c.Context(), now))
	}
	return took[*oraclepb.MsgChallenge](c.books), err
}

func (c *court) found() Disagreement {
	c.Helper()
	all, err := Disagreements(c.v.Home)
	c.must(err)
	if len(all) != 1 {
		c.Fatalf("%d disagreements, want 1: %+v", len(all), all)
	}
	return all[0]
}

func TestFraudsAreChallengedAndRefuted(t *testing.T) {
	for _, f := range []struct {
		name    string
		change  func(*Published)
		content func(*oraclepb.Content)
		want    oraclepb.Fraud
		words   string
	}{
		{"a device twice", func(p *Published) { p.Leaves = slices.Insert(p.Leaves, 2, p.Leaves[1]) }, nil, oraclepb.FRAUD_ORDER, "leaf 1 is of device"},
		{"devices out of order", func(p *Published) { p.Leaves[3], p.Leaves[4] = p.Leaves[4], p.Leaves[3] }, nil, oraclepb.FRAUD_ORDER, "leaf 4 of"},
		{"another total reported", nil, func(x *oraclepb.Content) { x.Total += 7 }, oraclepb.FRAUD_SUM, "reported are 5"},
		{"another count reported", nil, func(x *oraclepb.Content) { x.Leaves++ }, oraclepb.FRAUD_SUM, "reported are 6"},
		{"sums that wrap", func(p *Published) { p.Leaves[2].Lifetime, p.Leaves[3].Lifetime = 1<<63, 1<<63 }, nil, oraclepb.FRAUD_SUM, "states 0 for"},
		{"a falling lifetime", func(p *Published) { p.Leaves[2].Lifetime = 1 }, nil, oraclepb.FRAUD_FALLING, "has 1 and was paid"},
		{"the first device left out", func(p *Published) { p.Leaves = p.Leaves[1:] }, nil, oraclepb.FRAUD_MISSING, "has 0 and was paid"},
		{"a device left out", func(p *Published) { p.Leaves = slices.Delete(p.Leaves, 2, 3) }, nil, oraclepb.FRAUD_MISSING, "has 0 and was paid"},
		{"the last device left out", func(p *Published) { p.Leaves = p.Leaves[:4] }, nil, oraclepb.FRAUD_MISSING, "has 0 and was paid"},
	} {
		t.Run(f.name, func(t *testing.T) {
			c := newCourt(t)
			if f.change == nil {
				f.change = func(*Published) {}
			}
			c.accept(c.published(f.change), f.content)
			sent, err := c.look(5)
			c.must(err)
			if len(sent) != 1 || sent[0].Fraud != f.want || sent[0].Challenger != c.me.String() {
				t.Fatalf("sent %+v", sent)
			}
			if len(c.reports) != 1 || len(c.refuted) != 1 || !strings.Contains(c.refuted[0], f.words) {
				t.Fatalf("%d reports are left; refuted: %q", len(c.reports), c.refuted)
			}
			if d := c.found(); d.Outcome != Proven || d.Fraud != f.want.String() || !strings.Contains(d.Reason, f.words) {
				t.Fatalf("on record: %+v", d)
			}
		})
	}
}

// lacking is a device less than what everybody was paid for.
func lacking(p *Published) { p.Leaves = slices.Delete(p.Leaves, 1, 2) }

func TestNobodyIsChallengedWithoutCause(t *testing.T) {
	for _, f := range []struct {
		name   string
		change func(*court, *Published)
		after  func(*court)
		want   Outcome // none: no disagreement
		words  string
	}{
		{"nothing differs", nil, nil, "", ""},
		{"a device got too much", func(_ *court, p *Published) { p.Leaves[1].Lifetime++ }, nil, NoFraud, "could not see a fraud"},
		{"what fell was not paid yet", func(c *court, p *Published) {
			p.Leaves[1].Lifetime = 1
			c.claimed[p.Leaves[1].Device] = 1
		}, nil, NoFraud, "could not see a fraud"},
		{"no leaves at all", func(_ *court, p *Published) { p.Leaves = []PublishedTip{} }, nil, NoFraud, "could not see a fraud"},
		{"the file is withheld", func(_ *court, p *Published) { lacking(p) }, func(c *court) {
			c.must(os.RemoveAll(c.others))
		}, Unavailable, "no such file"},
		{"another file is shown", func(_ *court, p *Published) { lacking(p) }, func(c *court) {
			c.must(shelfOf(c.others, c.name).put(c.ours(2)))
		}, Unavailable, "published leaves of storage, epoch 2 make root"},
		{"no others are known", func(_ *court, p *Published) { lacking(p) }, func(c *court) { c.v.Others = nil }, Unavailable, "no other verifiers"},
		{"a watcher has no account", func(_ *court, p *Published) { lacking(p) }, func(c *court) { c.v.Sender = nil }, Unsent, "no account"},
		{"the report is payable already", func(_ *court, p *Published) { lacking(p) }, func(c *court) {
			c.v.Others = nil
			_, err := c.look(1)
			c.must(err)
			c.epoch += 2
		}, Over, "no other verifiers"},
	} {
		t.Run(f.name, func(t *testing.T) {
			c := newCourt(t)
			c.accept(c.published(func(p *Published) {
				if f.change != nil {
					f.change(c, p)
				}
			}), nil)
			if f.after != nil {
				f.after(c)
			}
			var log bytes.Buffer
			c.v.log = slog.New(slog.NewTextHandler(&log, nil))
			sent, err := c.look(4 * longestPause)
			c.must(err)
			if len(sent) != 0 {
				t.Fatalf("sent %+v", sent)
			}
			if f.want == "" {
				if all, err := Disagreements(c.v.Home); err != nil || len(all) != 0 || log.Len() != 0 {
					t.Fatalf("disagreements %+v (%v), log %s", all, err, &log)
				}
				return
			}
			d := c.found()
			for f.want == Unavailable && d.Outcome == Open && c.height < 20*longestPause {
				_, err := c.look(longestPause)
				c.must(err)
				d = c.found()
			}
			if d.Outcome != f.want || !strings.Contains(d.Reason, f.words) || d.Tries > maxTries {
				t.Fatalf("on record: %+v", d)
			}
			if n := strings.Count(log.String(), "outcome="+string(f.want)); n != 1 || !strings.Contains(log.String(), d.Ours) || !strings.Contains(log.String(), d.Accepted) {
				t.Fatalf("said %d times, want once and with both roots:\n%s", n, &log)
			}
		})
	}
}

// A verifier that may not have seen all evidence keeps quiet; once it has, it
// comes to its own result again and shows the fraud.
func TestIncompleteEvidenceAccusesNobody(t *testing.T) {
	b := newBooks()
	archive, _, put := publisher(t)
	rows := []ticking{{device(1), 1}, {device(2), 2}, {device(3), 3}}
	put(1, rows...)
	put(2, rows...)
	c := &court{T: t, books: b, name: "beacon", v: b.scorer(t, archive), epoch: 3}
	c.convene()
	c.accept(c.published(lacking), nil)
	put(2, ticking{device(4), 4}) // late for us
	sent, err := c.look(20)
	c.must(err)
	if d := c.found(); len(sent) != 0 || d.Outcome != Incomplete || d.Reason != "epoch 2 was scored from 1 manifests, 2 are published now" {
		t.Fatalf("sent %+v, on record: %+v", sent, d)
	}
	c.epoch++
	put(3, rows...)
	_ = c.report() // scores again from epoch 2 on, and does not vote on top of the accepted one
	sent, err = c.look(longestPause)
	c.must(err)
	if d := c.found(); len(sent) != 1 || d.Outcome != Proven || sent[0].Fraud != oraclepb.FRAUD_MISSING {
		t.Fatalf("sent %+v, on record: %+v", sent, d)
	}
}

// What the ledger does not take is sent a few times, restarts included.
func TestRefusedChallengesEnd(t *testing.T) {
	c := newCourt(t)
	c.accept(c.published(lacking), nil)
	tries := 0
	c.refuse = func(sdk.Msg) error {
		tries++
		return oracle.ErrDeposit
	}
	for range 2 * maxSent {
		if _, err := c.look(1); err != nil && !errors.Is(err, oracle.ErrDeposit) {
			t.Fatal(err)
		}
		c.v = c.verifier(t, c.v.Home)
		c.v.Others = []string{c.others}
	}
	if d := c.found(); tries != maxSent || d.Outcome != Unsent || d.Sent != maxSent || !strings.Contains(d.Reason, oracle.ErrDeposit.Error()) {
		t.Fatalf("%d tries, on record: %+v", tries, d)
	}
}

// The file comes over HTTP, and from the one of several that has it.
func TestFileOfAnotherVerifierIsFetched(t *testing.T) {
	c := newCourt(t)
	c.accept(c.published(lacking), nil)
	s := httptest.NewServer(Handler(c.others))
	defer s.Close()
	empty := httptest.NewServer(Handler(t.TempDir()))
	defer empty.Close()
	c.v.Others = []string{"http://127.0.0.1:1", empty.URL, s.URL + "/"}
	sent, err := c.look(1)
	c.must(err)
	if d := c.found(); len(sent) != 1 || d.Outcome != Proven {
		t.Fatalf("sent %+v, on record: %+v", sent, d)
	}
}

// While the ledger cannot be asked what was paid nothing is sent or given up.
func TestChallengeWaitsForTheLedger(t *testing.T) {
	c := newCourt(t)
	c.accept(c.published(lacking), nil)
	c.down = true
	if sent, err := c.look(3); !errors.Is(err, client.ErrUnavailable) || len(sent) != 0 {
		t.Fatalf("sent %+v (%v)", sent, err)
	}
	c.down = false
	sent, err := c.look(longestPause)
	c.must(err)
	if len(sent) != 1 || c.found().Outcome != Proven {
		t.Fatalf("sent %+v, on record: %+v", sent, c.found())
	}
}

// A challenge that the ledger finds wrong in spite of all is the last one.
func TestRejectedChallengeIsTheLast(t *testing.T) {
	c := newCourt(t)
	c.accept(c.published(lacking), nil)
	c.refuse = func(sdk.Msg) error { clear(c.claimed); return nil } // so that it sees nothing paid
	sent, err := c.look(1)
	c.must(err)
	if d := c.found(); len(sent) != 1 || len(c.lost) != 1 || d.Outcome != Rejected {
		t.Fatalf("sent %+v, lost %q, on record: %+v", sent, c.lost, d)
	}
	c.v = c.verifier(t, c.v.Home)
	c.v.Others = []string{c.others}
	if sent, err := c.look(longestPause); err != nil || len(sent) != 0 {
		t.Fatalf("sent again: %+v (%v)", sent, err)
	}
}

// Whatever somebody publishes, charges can be made of it and examined.
func FuzzHostileFile(f *testing.F) {
	f.Add([]byte(`{"leaves":[{"device":"`+strings.Repeat("ab", 32)+`","lifetime_ugrain":"5"}]}`), uint64(5), true)
	f.Add([]byte(`{"total_ugrain":"9","leaves":[{"device":"`+strings.Repeat("ab", 32)+`","lifetime_ugrain":"18446744073709551615"},{"device":"`+strings.Repeat("0b", 32)+`","lifetime_ugrain":"7"}]}`), uint64(9), false)
	f.Add([]byte(`{"leaves":[]}`), uint64(0), true)
	f.Fuzz(func(t *testing.T, raw []byte, total uint64, asSum bool) {
		var p Published
		if json.Unmarshal(raw, &p) != nil {
			return
		}
		var leaves []merkle.SumLeaf
		for _, l := range p.Leaves {
			device, err := deviceOf(l.Device)
			if err != nil {
				return
			}
			leaves = append(leaves, merkle.SumLeaf{Key: device, Amount: l.Lifetime})
		}
		root := merkle.GivenSumTree(leaves).Root()
		if asSum {
			total = root.Total
		}
		r := oraclepb.Report{Epoch: 1, Vertical: "storage", Content: oraclepb.Content{RewardRoot: root.Hash[:], InputsRoot: root.Hash[:], Total: total, Leaves: root.Size}}
		s, err := newSuspect(r, p)
		if err != nil {
			t.Fatal(err)
		}
		paid := func([32]byte) (uint64, error) { return 1, nil }
		for i, msg := range s.charges([]merkle.SumLeaf{{Key: device(1), Amount: 1}}) {
			_, err := oracle.Examine(r, msg, paid)
			if errors.Is(err, oracle.ErrInvalid) || i == 0 && total != root.Total && err != nil {
				t.Fatalf("charge %+v: %v", msg, err)
			}
		}
	})
}
