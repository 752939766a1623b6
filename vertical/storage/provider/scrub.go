package provider

import (
	"context"
	"time"
)

// idleScrub is how often an empty store is looked at again.
const idleScrub = time.Minute

// scrubSlowly reads every piece once per Config.ScrubEvery until ctx ends, one
// after the other with equal pauses, so that the disk is left to the readers.
// What is damaged becomes a problem of the provider.
func (p *Provider) scrubSlowly(ctx context.Context) {
	if p.conf.ScrubEvery <= 0 {
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	pause := func(d time.Duration) bool {
		timer.Reset(d)
		select {
		case <-timer.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for {
		began, read := time.Now(), 0
		for root := range p.store.Pieces() {
			left := max(p.store.Usage().Pieces-read, 1)
			if !pause(max(p.conf.ScrubEvery-time.Since(began), 0) / time.Duration(left)) {
				return
			}
			_, _ = p.checkPiece(root) // what is wrong has become a problem
			read++
		}
		if read == 0 && !pause(min(idleScrub, p.conf.ScrubEvery)) {
			return
		}
	}
}
