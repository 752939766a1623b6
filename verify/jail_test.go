package verify

import (
	"errors"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"

	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/oracle"
)

// Who is jailed asks once an epoch to come back, and reveals again when it is.
func TestJailedValidatorAsksToComeBack(t *testing.T) {
	b := newBooks()
	v := b.verifier(t, t.TempDir())
	if err := v.reveal(t.Context(), b.at(1, oraclepb.EPOCH_STATUS_REVEALING, 0)); err != nil { // registers
		t.Fatal(err)
	}
	jailed := true
	b.refuse = func(m sdk.Msg) error {
		_, reveals := m.(*oraclepb.MsgReveal)
		_, asks := m.(*slashingtypes.MsgUnjail)
		switch {
		case reveals && jailed:
			return oracle.ErrNotBonded
		case asks && b.epoch.Epoch.Number < 4:
			return slashingtypes.ErrValidatorJailed // not yet
		case asks:
			jailed = false
		}
		return nil
	}
	for epoch := uint64(2); epoch <= 4; epoch++ {
		at := b.at(epoch, oraclepb.EPOCH_STATUS_REVEALING, 0)
		err := v.reveal(t.Context(), at)
		if early := epoch < 4; early != errors.Is(err, slashingtypes.ErrValidatorJailed) || !early && err != nil {
			t.Fatalf("epoch %d: %v", epoch, err)
		}
		if err := v.reveal(t.Context(), at); err != nil { // once an epoch
			t.Fatalf("epoch %d again: %v", epoch, err)
		}
	}
	if got := len(took[*slashingtypes.MsgUnjail](b)); got != 1 {
		t.Fatalf("asked with success %d times", got)
	}
	if err := v.reveal(t.Context(), b.at(5, oraclepb.EPOCH_STATUS_REVEALING, 0)); err != nil || len(took[*oraclepb.MsgReveal](b)) != 1 {
		t.Fatalf("does not reveal again (%v)", err)
	}
}
