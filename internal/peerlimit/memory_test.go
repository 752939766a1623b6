package peerlimit

import (
	"fmt"
	"testing"
)

func TestMemoryIsBounded(t *testing.T) {
	l := New(Rate{PerSecond: 1, Burst: 5})
	for i := range 4 * maxPeers {
		l.Allow(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255))
	}
	if len(l.peers) > maxPeers {
		t.Fatalf("%d addresses remembered, want at most %d", len(l.peers), maxPeers)
	}
}
