package ledgerport

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/trace"
)

// refusing is a ledger that refuses every transaction.
type refusing struct{ err error }

func (r refusing) Address() sdk.AccAddress { return nil }

func (r refusing) Send(context.Context, ...sdk.Msg) (client.Result, error) {
	return client.Result{}, r.err
}

func TestRefusedClaimExplainsItself(t *testing.T) {
	root := t.TempDir()
	r, err := trace.Open(t.Context(), trace.Config{Dir: filepath.Join(root, "verifier"), PerSecond: 1})
	if err != nil {
		t.Fatal(err)
	}
	refused := &client.TxError{Codespace: "oracle", Code: 15, Log: "claim 5 ugrain of device ab: 3 of 4 paid in this window: claim breaker is at its limit", Height: 9}
	s := TraceSender(refusing{refused}, r.Tracer("verifier"))
	for range 3 { // the verifier tries again
		if _, err := s.Send(t.Context(), &oraclepb.MsgClaim{Vertical: "storage", Epoch: 3}); err == nil {
			t.Fatal("no error")
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	all, err := trace.List(root, 20, true)
	if err != nil || len(all) != 1 || all[0].Count != 3 || !strings.Contains(all[0].Why, "refused in block 9 (oracle 15)") {
		t.Fatalf("listed %+v, error %v", all, err)
	}
	tree, err := trace.Load(root, all[0].Trace)
	if err != nil {
		t.Fatal(err)
	}
	tx := tree.Roots[0].Children[0]
	if tx.Name != "transaction" || tx.Attrs["grange.message"] != "/grange.oracle.v1.MsgClaim" || !strings.Contains(tree.Why, "breaker is at its limit") {
		t.Fatalf("transaction %+v, why %q", tx.Span, tree.Why)
	}
}
