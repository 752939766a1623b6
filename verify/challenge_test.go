package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// court is an honest verifier whose epoch 1 was accepted and paid, and which has
// computed epoch 2. What the others make of epoch 2 is accept's.
type court struct {
	*testing.T
	*books
	v      *verifier
	others string // home of a verifier of the others
	height int64
}

func newCourt(t *testing.T) *court {
	t.Helper()
	b := newBooks()
	for n := range byte(5) {
		b.usage[1] = append(b.usage[1], use(1, n+1, 100*uint64(n+1)))
		b.usage[2] = append(b.usage[2], use(2, n+1, 50))
	}
	c := &court{T: t, books: b, others: t.TempDir()}
	c.v = b.verifier(t, t.TempDir())
	c.v.Others = []string{c.others}
	c.must(c.v.report(t.Context(), b.at(2, oraclepb.EPOCH_STATUS_DECIDED, 0)))
	for _, l := range c.ours(1).Leaves {
		b.claimed[l.Device] = l.Lifetime
	}
	b.refuse = func(m sdk.Msg) error {
		if _, votes := m.(*oraclepb.MsgReport); votes {
			return fmt.Errorf("the others have voted")
		}
		return nil
	}
	_ = c.v.report(t.Context(), b.at(3, oraclepb.EPOCH_STATUS_DECIDED, 0))
	b.refuse = nil
	took[sdk.Msg](b)
	return c
}

func (c *court) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *court) ours(epoch uint64) Published {
	c.Helper()
	p, err := shelfOf(c.v.Home, "storage").get(epoch)
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
	c.must(shelfOf(c.others, "storage").put(p))
	reported, err := contentOfPublished(p)
	c.must(err)
	if content != nil {
		content(&reported)
	}
	defer c.lock()()
	c.reports = append([]oraclepb.Report{{Epoch: 2, Vertical: "storage", Content: reported, PayableEpoch: 4}}, c.reports...)
}

// look lets the verifier look at the ledger through as many blocks.
func (c *court) look(blocks int) (challenges []*oraclepb.MsgChallenge, err error) {
	for range blocks {
		now := c.at(3, oraclepb.EPOCH_STATUS_DECIDED, 0)
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
