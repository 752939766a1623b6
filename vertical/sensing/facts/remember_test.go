package facts

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing"
)

func remembering() *Keeper {
	return &Keeper{
		cfg: Config{Now: time.Now}, changes: map[region]uint64{}, pages: map[chapter]*page{}, makers: make(chan struct{}, together),
	}
}

// What is remembered is counted as it is, also when a page was forgotten while it was
// made and made again meanwhile.
func TestHeldIsWhatPagesHold(t *testing.T) {
	k := remembering()
	at := chapter{kind: "weather", began: 1}
	first := k.page(at)
	k.forget(first)
	second := k.page(at)
	k.keep(second, 40)
	k.keep(first, 50)
	if k.held != 50 || len(k.pages) != 1 {
		t.Errorf("%d facts of %d pages are held, want 50 of 1", k.held, len(k.pages))
	}
	k.forget(first)
	if k.held != 0 || len(k.pages) != 0 {
		t.Errorf("%d facts of %d pages are held, want nothing", k.held, len(k.pages))
	}
}

// Who asks for what cannot be made leaves nothing behind for ever.
func TestPagesOfWhatFailsAreForgotten(t *testing.T) {
	k := remembering()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range together { // all are busy
		k.makers <- struct{}{}
	}
	p := &Listed{Kind: "weather", Product: sensing.Product{Name: "x", Period: time.Hour}}
	for i := range 100 {
		began := time.Unix(int64(i)*3600, 0)
		if _, err := k.chapter(ctx, p, h3.Cell(i), sensing.Window{Began: began, Ended: began.Add(time.Hour)}); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if len(k.pages) != 0 || k.order.Len() != 0 || k.held != 0 {
		t.Errorf("%d pages are left, %d of them in order, that hold %d", len(k.pages), k.order.Len(), k.held)
	}
}

// Of many pages those stay that were asked for last.
func TestOldestPagesAreForgotten(t *testing.T) {
	k := remembering()
	of := func(n int64) *page { return k.page(chapter{kind: "weather", began: n}) }
	for n := range int64(5) {
		k.keep(of(n), maxFacts/4)
		of(0)
	}
	if k.held != 4*(maxFacts/4) || len(k.pages) != 4 || of(0).size == 1 || of(4).size == 1 || of(1).size != 1 {
		t.Errorf("%d facts of %d pages are held", k.held, len(k.pages))
	}
}
