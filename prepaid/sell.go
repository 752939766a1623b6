package prepaid

import (
	"context"
	"fmt"

	"github.com/grange-network/grange/core/receipt"
)

// Split parts a request into the receipt that pays for it and what is asked, of
// so many bytes.
func Split(raw []byte, size int) (r receipt.Receipt, asked []byte, err error) {
	if len(raw) != receipt.Size+size {
		return r, nil, fmt.Errorf("read paid request of %d bytes: want a receipt of %d and %d", len(raw), receipt.Size, size)
	}
	r, err = receipt.Decode(raw[:receipt.Size])
	return r, raw[receipt.Size:], err
}

// Sell answers a request, a receipt and what is asked of so many bytes, with the
// countersigned receipt and what give makes of it. give is called once for each
// payment of units.
func (p *Payee) Sell(ctx context.Context, request []byte, size int, epoch, units uint64, give func(asked []byte) []byte) ([]byte, error) {
	r, asked, err := Split(request, size)
	if err == nil {
		r, err = p.Take(ctx, r, epoch, units)
	}
	if err != nil {
		return nil, err
	}
	return append(r.Encode(), give(asked)...), nil
}
