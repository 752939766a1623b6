package encoding

import (
	"context"
	"fmt"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"

	"github.com/grange-network/grange/ledger/key"
)

// Signer says who signs and in what place of the chain.
type Signer struct {
	Key           key.Key
	ChainID       string
	AccountNumber uint64
	// Sequence is 0 for an unordered transaction.
	Sequence uint64
}

// Sign puts the signer's SIGN_MODE_DIRECT signature on the transaction, the
// only one on it.
func (c Config) Sign(ctx context.Context, b client.TxBuilder, s Signer) error {
	public := s.Key.Public()
	signature := signing.SignatureV2{
		PubKey:   public,
		Data:     &signing.SingleSignatureData{SignMode: signing.SignMode_SIGN_MODE_DIRECT},
		Sequence: s.Sequence,
	}
	// The signer's key is part of what is signed, so it goes in first.
	if err := b.SetSignatures(signature); err != nil {
		return fmt.Errorf("set signer %s: %w", s.Key, err)
	}
	data := authsigning.SignerData{
		Address:       s.Key.Address().String(),
		ChainID:       s.ChainID,
		AccountNumber: s.AccountNumber,
		Sequence:      s.Sequence,
		PubKey:        public,
	}
	bytes, err := authsigning.GetSignBytesAdapter(ctx, c.Tx.SignModeHandler(), signing.SignMode_SIGN_MODE_DIRECT, data, b.GetTx())
	if err != nil {
		return fmt.Errorf("encode sign bytes for %s: %w", s.Key, err)
	}
	raw, err := s.Key.Private().Sign(bytes)
	if err != nil {
		return fmt.Errorf("sign as %s: %w", s.Key, err)
	}
	signature.Data = &signing.SingleSignatureData{SignMode: signing.SignMode_SIGN_MODE_DIRECT, Signature: raw}
	return b.SetSignatures(signature)
}
