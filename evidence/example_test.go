package evidence_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"

	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/wal"
)

// rain is one reading: what a row of a kind looks like.
type rain struct {
	Station uint64 `parquet:"station,dict"`
	Time    int64  `parquet:"time,delta"`
	Micro   int64  `parquet:"micrometres"`
}

var rains = segment.Kind[rain]{Name: "rain", Leaf: func(b []byte, r *rain) []byte {
	b = binary.BigEndian.AppendUint64(b, r.Station)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Time))
	return binary.BigEndian.AppendUint64(b, uint64(r.Micro))
}}

// The whole way of a reading: acknowledged once it is in the log, cut into
// segments when the epoch ends, published, fetched by root, scored.
func Example() {
	ctx := context.Background()
	home, err := os.MkdirTemp("", "evidence-")
	check(err)
	defer os.RemoveAll(home)

	log, err := wal.Open(home+"/log", wal.Options{})
	check(err)
	defer log.Close()
	for i := range 6 {
		r := rain{Station: uint64(i % 2), Time: 1_728_000_000 + int64(i), Micro: 200}
		_, err := log.Append(ctx, rains.Leaf(nil, &r)) // durable from here on
		check(err)
	}

	cutter := &evidence.Cutter[rain]{Dir: home, Kind: rains}
	end := log.Next()
	for record, err := range log.Records(0) {
		check(err)
		u := binary.BigEndian.Uint64
		r := rain{u(record.Data), int64(u(record.Data[8:])), int64(u(record.Data[16:]))}
		check(cutter.Add(segment.Name{Parent: 0x832830fffffffff, Day: segment.Day(r.Time / 86400)}, r))
	}
	cuts, err := cutter.Finish()
	check(err)

	store, err := evidence.NewDir(home + "/store")
	check(err)
	archive := evidence.New(store)
	m, err := archive.Publish(ctx, "weather", 17, cuts)
	check(err)
	check(log.TruncateBefore(end)) // published: the log may forget

	inputs, err := archive.Fetch(ctx, m.ID, home+"/fetched")
	check(err)
	var total int64
	for r, err := range evidence.Rows(inputs, rains) {
		check(err)
		total += r.Micro
	}
	fmt.Println(m.Segments[0].Name, m.Segments[0].Rows, "rows:", total, "micrometres")
	// Output: rain/832830fffffffff/2024-10-04 6 rows: 1200 micrometres
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
