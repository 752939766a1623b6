package host

import (
	"context"
	"log/slog"

	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/server"
)

// CreateValidator makes the machine of home a validator of the network it runs in,
// staking ugrain of its operator's account, which must own that and a fee. Start
// it with the role validator afterwards. It returns the block's height and the
// transaction's hash.
func CreateValidator(ctx context.Context, home string, at client.Endpoints, ugrain uint64) (height int64, hash string, err error) {
	p, err := ReadPlan(home)
	if err != nil {
		return 0, "", err
	}
	keys, err := server.InitNode(chainHome(home))
	if err != nil {
		return 0, "", err
	}
	msg, err := keys.CreateValidator(p.Name, ugrain)
	if err != nil {
		return 0, "", err
	}
	if at.Logger == nil {
		at.Logger = slog.New(slog.DiscardHandler)
	}
	c, err := client.Dial(ctx, at)
	if err != nil {
		return 0, "", err
	}
	defer c.Close()
	r, err := c.Signer(keys.Operator, nil).Send(ctx, msg)
	return r.Height, r.Hash, err
}
