package oracle

import (
	"context"

	"github.com/grange-network/grange/ledger/api/oraclepb"
)

type msgServer struct{ *Keeper }

var _ oraclepb.MsgServer = msgServer{}

// NewMsgServer answers the module's messages.
func NewMsgServer(k *Keeper) oraclepb.MsgServer { return msgServer{k} }

// UpdateParams replaces all parameters.
func (m msgServer) UpdateParams(ctx context.Context, msg *oraclepb.MsgUpdateParams) (*oraclepb.MsgUpdateParamsResponse, error) {
	if msg.Authority != m.authority {
		return nil, ErrAuthority.Wrapf("parameters are changed by %s, not %s", m.authority, msg.Authority)
	}
	if err := ValidateParams(msg.Params); err != nil {
		return nil, ErrInvalid.Wrap(err.Error())
	}
	return &oraclepb.MsgUpdateParamsResponse{}, m.Params.Set(ctx, msg.Params)
}
