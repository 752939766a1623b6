package verify

import (
	"strings"
	"testing"

	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

func usageOf(device byte, burned uint64) marketpb.Usage {
	id := [32]byte{device}
	return marketpb.Usage{Epoch: 7, Device: id[:], Kind: "storage", Burned: burned}
}

func TestExplainBonus(t *testing.T) {
	record := creditpb.EpochRecord{
		Epoch: 7, Quote: creditpb.Quote{Low: 900_000, Mid: 950_000, High: 1_000_000}, DemandPool: 50, RebateBps: 8000,
	}
	device := "01" + strings.Repeat("00", 31)
	for _, c := range []struct {
		name           string
		used           []marketpb.Usage
		burned, all    uint64
		cap, pro, want uint64
	}{
		{"nobody burned", nil, 0, 0, 0, 0, 0},
		{"only others burned", []marketpb.Usage{usageOf(2, 10)}, 0, 0, 0, 0, 0},
		{"bound by the rebate", []marketpb.Usage{usageOf(1, 10)}, 10, 10, 8, 50, 8},
		{"bound by the pool", []marketpb.Usage{usageOf(1, 100), usageOf(2, 100)}, 100, 200, 80, 25, 25},
	} {
		b, err := ExplainBonus(record, c.used, device)
		if err != nil {
			t.Fatal(err)
		}
		if b.Burned != c.burned || b.BurnedAll != c.all || b.Cap != c.cap || b.ProRata != c.pro || b.Bonus != c.want {
			t.Errorf("%s: %+v", c.name, b)
		}
	}
	record.Quote = creditpb.Quote{}
	if b, err := ExplainBonus(record, []marketpb.Usage{usageOf(1, 10)}, device); err != nil || b.Bonus != 0 {
		t.Errorf("without a price: %+v, %v", b, err)
	}
}
