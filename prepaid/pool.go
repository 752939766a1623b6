package prepaid

import (
	"errors"
	"fmt"
	"sync"

	"github.com/grange-network/grange/core/receipt"
)

// ErrNobody is returned by a pool without payers.
var ErrNobody = errors.New("nobody to buy from: no lease is open")

// Pool pays those who sell the same in turn. It is safe for concurrent use; one
// purchase is made at a time.
type Pool struct {
	Payers []Payer

	mu   sync.Mutex
	next int
}

// Buy pays the next one for units more and asks it; if that fails it goes on with
// those after it. What was paid to one that failed is lost, at most one price each.
func (p *Pool) Buy(epoch, units uint64, evidence [32]byte, ask func(payer int, paid receipt.Receipt) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := ErrNobody
	for range p.Payers {
		p.next = (p.next + 1) % len(p.Payers)
		var paid receipt.Receipt
		if paid, err = p.Payers[p.next].Pay(epoch, units, evidence); err != nil {
			continue
		}
		if err = ask(p.next, paid); err == nil {
			return nil
		}
	}
	return fmt.Errorf("buy %d units: %w", units, err)
}
