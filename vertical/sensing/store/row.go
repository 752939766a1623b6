package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical/sensing"
)

// Resolutions of H3.
const (
	ParentResolution = 3  // of the cell that a file is of, about 12,000 km²
	MovingResolution = 11 // to which the place of a device that moves is kept, about 2,000 m²
)

// Row is one reading.
type Row struct {
	Device   [32]byte `parquet:"device,dict"`
	Counter  uint64   `parquet:"counter,delta"`        // of the batch
	Time     int64    `parquet:"time,timestamp,delta"` // Unix milliseconds
	Cell     uint64   `parquet:"cell,dict"`
	Lat      float64  `parquet:"lat,dict"` // degrees
	Lon      float64  `parquet:"lon,dict"`
	Alt      float64  `parquet:"alt,dict"` // metres; NaN: not known
	Variable string   `parquet:"variable,dict"`
	Value    float64  `parquet:"value,dict"`
	Unit     string   `parquet:"unit,dict"`
	QC       uint32   `parquet:"qc,dict"`    // bits, see OutOfBounds
	Batch    [32]byte `parquet:"batch,dict"` // its hash
}

// ID is the row's device.
func (r *Row) ID() device.ID { return r.Device }

// Hash is the row's batch.
func (r *Row) Hash() sensing.Hash { return r.Batch }

// place orders cells of all resolutions so that what lies in a cell is together.
func (r *Row) place() int64 { return h3.Cell(r.Cell).Place() }

// compare is the order of rows in a file.
func compare(a, b *Row) int {
	return cmp.Or(
		cmp.Compare(a.place(), b.place()), cmp.Compare(a.Cell, b.Cell), cmp.Compare(a.Variable, b.Variable), cmp.Compare(a.Time, b.Time),
		bytes.Compare(a.Device[:], b.Device[:]), cmp.Compare(a.Counter, b.Counter),
	)
}

// Files is how rows of a kind of observation become a segment.
func Files(kind string) segment.Kind[Row] {
	return segment.Kind[Row]{Name: "obs-" + kind, Leaf: leaf}
}

// leaf is what a file's root commits to: device 32 ‖ batch 32 ‖ counter u64 ‖ time
// i64 ‖ cell u64 ‖ lat, lon, alt, value as IEEE 754 ‖ qc u32 ‖ variable and unit,
// each behind its length in one byte; big endian.
func leaf(b []byte, r *Row) []byte {
	b = append(append(b, r.Device[:]...), r.Batch[:]...)
	b = binary.BigEndian.AppendUint64(b, r.Counter)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Time))
	b = binary.BigEndian.AppendUint64(b, r.Cell)
	for _, f := range [...]float64{r.Lat, r.Lon, r.Alt, r.Value} {
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(f))
	}
	b = binary.BigEndian.AppendUint32(b, r.QC)
	for _, s := range [...]string{r.Variable, r.Unit} {
		b = append(append(b, byte(len(s))), s...)
	}
	return b
}
