package ledgerview

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/verify"
)

func TestPickByTheBeginningOfAnID(t *testing.T) {
	all := []string{"aa11", "aa22", "bb33"}
	self := func(s string) string { return s }
	for _, c := range []struct{ want, got, err string }{
		{"bb", "bb33", ""},
		{"BB", "bb33", ""},
		{"aa22", "aa22", ""},
		{"aa", "", "2 begin with it, first aa11 and aa22"},
		{"cc", "", "not found"},
		{"", "", "not found"},
	} {
		got, err := pick("thing", c.want, all, self)
		if got != c.got || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: got %q, %v", c.want, got, err)
		}
	}
	if _, err := pick("thing", "cc", all, self); !errors.Is(err, ErrNotFound) {
		t.Errorf("no match: %v", err)
	}
}

func TestParseID(t *testing.T) {
	good := strings.Repeat("aB", 32)
	if b, err := ParseID(good); err != nil || len(b) != 32 {
		t.Errorf("%q: %v", good, err)
	}
	for _, bad := range []string{"", "ab", strings.Repeat("zz", 32), good + "00"} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestErrorsAreTold(t *testing.T) {
	v := &View{addr: "host:1"}
	for _, c := range []struct {
		code codes.Code
		want error
		text string
	}{
		{codes.NotFound, ErrNotFound, "read x: not found on the ledger"},
		{codes.Unavailable, ErrUnavailable, "read x: ledger does not answer at host:1: why"},
		{codes.DeadlineExceeded, ErrUnavailable, "read x: ledger does not answer at host:1: why"},
		{codes.Internal, nil, "read x: why"},
	} {
		err := v.explain("read x", status.Error(c.code, "why"))
		if err.Error() != c.text || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%v: %v", c.code, err)
		}
	}
	if v.explain("read x", nil) != nil {
		t.Error("an error out of nothing")
	}
}

func TestLeaseAddsUp(t *testing.T) {
	l := leaseOf(&marketpb.Lease{
		State: marketpb.LEASE_STATE_GRACE, Deposited: 1000, Refunded: 50, HoldPaid: 100,
		Lanes:       []marketpb.Lane{{Id: 1, Paid: 20}, {Id: 2, Paid: 30}},
		Commitments: []marketpb.Commitment{{Units: 5}, {Units: 9}},
	})
	if l.State != "grace" || l.Paid != 150 || l.Left != 800 || l.Held() != 9 {
		t.Errorf("lease: %+v, held %d", l, l.Held())
	}
	if (Lease{}).Held() != 0 {
		t.Error("a lease without commitment holds something")
	}
}

func TestReasons(t *testing.T) {
	for _, c := range []struct {
		name string
		x    Explanation
		want string
	}{
		{"proven", Explanation{Outcome: Outcome{"proven", 4}}, "answered every challenge of epoch 4"},
		{"faulted", Explanation{Outcome: Outcome{"faulted", 4}, Slashed: 9}, "gets nothing for what it held"},
		{"slashed", Explanation{Outcome: Outcome{"faulted", 4}, Slashed: 9}, "cost 9 ugrain of the bond"},
		{"open", Explanation{Outcome: Outcome{"open", 0}}, "Nothing is decided yet"},
		{"idle", Explanation{}, "No lease of the device held anything"},
		{"running", Explanation{}, "has not ended"},
		{"burned nothing", Explanation{Ended: true}, "burned nothing"},
		{"bonus", Explanation{Ended: true, Settled: Settled{Burned: 10}, Bonus: BonusTerms{BonusTerms: verify.BonusTerms{Bonus: 8, RebateBPS: 8000}}}, "the bonus is 8 ugrain"},
		{"dry", Explanation{Leases: []LeaseTerms{{Lease: "ab", Accrued: true, HoldOwed: 5, HoldPaid: 3}}}, "owed 5 ucredit for what was held but had only 3"},
		{"waiting", Explanation{Leases: []LeaseTerms{{Lease: "ab", UnitsHeld: 5}}}, "has not settled that yet"},
	} {
		got := c.x.sentences()
		if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, c.want) }) {
			t.Errorf("%s: %q lacks %q", c.name, got, c.want)
		}
	}
}
