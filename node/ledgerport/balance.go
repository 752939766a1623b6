package ledgerport

import (
	"context"
	"fmt"

	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/grange-network/grange/ledger/chain"
)

// Credits returns the account's ucredit.
func (p *Port) Credits(ctx context.Context) (uint64, error) {
	r, err := p.c.Bank.Balance(ctx, &banktypes.QueryBalanceRequest{Address: p.Address(), Denom: chain.Credit})
	if err != nil {
		return 0, fmt.Errorf("read balance of %s: %w", p.Address(), err)
	}
	if r.Balance == nil || !r.Balance.Amount.IsUint64() {
		return 0, nil
	}
	return r.Balance.Amount.Uint64(), nil
}
