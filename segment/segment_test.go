package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/merkle"
)

var update = flag.Bool("update", false, "rewrite the vectors")

// reading is a row with every type and encoding that segments are meant for.
type reading struct {
	Device  [32]byte `parquet:"device,dict"`
	Counter uint64   `parquet:"counter,delta"`
	Time    int64    `parquet:"time,delta,timestamp(millisecond)"`
	Cell    uint64   `parquet:"cell,dict"`
	Var     string   `parquet:"variable,dict"`
	Value   float64  `parquet:"value"`
	QC      uint32   `parquet:"qc"`
	Indoor  bool     `parquet:"indoor"`
	Note    string   `parquet:"note"`
}

func leafOf(b []byte, r *reading) []byte {
	b = append(b, r.Device[:]...)
	for _, v := range []uint64{r.Counter, uint64(r.Time), r.Cell, math.Float64bits(r.Value), uint64(r.QC)} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	if r.Indoor {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	for _, s := range []string{r.Var, r.Note} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
	}
	return b
}

var (
	weather = Kind[reading]{Name: "weather", Leaf: leafOf}
	place   = Name{Parent: 0x832830fffffffff, Day: 20000}
)

func someRows(n int, seed uint64) []reading {
	r := rand.New(rand.NewPCG(seed, 1))
	rows := make([]reading, n)
	for i := range rows {
		rows[i] = reading{
			Device: [32]byte{byte(i % 7)}, Counter: uint64(i), Time: 1728000000000 + int64(i)*16000, Cell: 0x8928308280fffff + uint64(i%3)<<10,
			Var: []string{"temperature", "humidity", "pressure"}[i%3], Value: math.Round(r.Float64()*1000) / 10, QC: r.Uint32N(4), Indoor: i%5 == 0,
			Note: strings.Repeat("x", int(r.Uint32N(4))),
		}
	}
	return rows
}

func write(t testing.TB, name Name, batches ...[]reading) ([]byte, Summary) {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, weather, name)
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range batches {
		if _, err := w.Append(rows...); err != nil {
			t.Fatal(err)
		}
	}
	s, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if s.Bytes != int64(b.Len()) {
		t.Fatalf("summary says %d bytes, there are %d", s.Bytes, b.Len())
	}
	return b.Bytes(), s
}

func verifyBytes(b []byte) (*Segment[reading], error) {
	return Verify(bytes.NewReader(b), int64(len(b)), weather)
}

func TestWriteAndRead(t *testing.T) {
	for _, n := range []int{0, 1, 2, 1023, 1024, 1025, 5000, groupRows + 1} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			rows := someRows(n, 1)
			b, sum := write(t, place, rows)
			s, err := verifyBytes(b)
			if err != nil {
				t.Fatal(err)
			}
			if s.Summary != sum || sum.Rows != uint64(n) || sum.Kind != "weather" {
				t.Fatalf("read %+v, wrote %+v", s.Summary, sum)
			}
			var leaves [][]byte
			i := 0
			for r, err := range s.Rows() {
				if err != nil || r != rows[i] {
					t.Fatalf("row %d: %+v, %v, want %+v", i, r, err, rows[i])
				}
				leaves = append(leaves, leafOf(nil, &r))
				i++
			}
			if i != n || merkle.Root(leaves) != sum.Root {
				t.Fatalf("%d rows with root %s, want %d with %s", i, merkle.Root(leaves), n, sum.Root)
			}
		})
	}
}

func TestSameRowsSameBytes(t *testing.T) {
	rows := someRows(3000, 2)
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(0, len(rows)).Draw(r, "rows")
		cut := rapid.IntRange(0, n).Draw(r, "cut")
		one, s1 := write(t, place, rows[:n])
		two, s2 := write(t, place, rows[:cut], rows[cut:n])
		if !bytes.Equal(one, two) || s1 != s2 {
			r.Fatalf("%d rows cut at %d make other bytes", n, cut)
		}
	})
}

func TestProve(t *testing.T) {
	rows := someRows(1500, 3)
	b, sum := write(t, place, rows)
	s, err := verifyBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []uint64{0, 1, 1023, 1024, 1499} {
		row, p, err := s.Prove(i)
		if err != nil || row != rows[i] {
			t.Fatalf("row %d: %+v, %v", i, row, err)
		}
		if err := p.Verify(sum.Root, leafOf(nil, &row)); err != nil {
			t.Fatal(err)
		}
		row.Value++
		if err := p.Verify(sum.Root, leafOf(nil, &row)); !errors.Is(err, merkle.ErrProof) {
			t.Fatalf("another row is proved: %v", err)
		}
	}
	if _, _, err := s.Prove(1500); err == nil {
		t.Fatal("a row past the end is proved")
	}
}

func TestLimits(t *testing.T) {
	w, err := NewWriter(new(bytes.Buffer), weather, place)
	if err != nil {
		t.Fatal(err)
	}
	long := reading{Note: strings.Repeat("n", MaxLeaf)}
	if _, err := w.Append(long); err == nil {
		t.Error("a row above the limit is taken")
	}
	long.Note = long.Note[:60<<10]
	n := 0
	for ; err == nil; n++ {
		binary.LittleEndian.PutUint64(long.Device[:], uint64(n))
		_, err = w.Append(long)
	}
	if !errors.Is(err, ErrFull) || n < 1000 {
		t.Fatalf("after %d rows: %v", n, err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	type nested struct{ A []int }
	if _, err := NewWriter(new(bytes.Buffer), Kind[nested]{"x", func(b []byte, _ *nested) []byte { return b }}, place); err == nil {
		t.Error("a repeated field is taken")
	}
	if _, err := NewWriter(new(bytes.Buffer), Kind[reading]{"No/Good", leafOf}, place); err == nil {
		t.Error("a kind with a slash is taken")
	}
}

// TestLongRows reads back rows as long as they may be.
func TestLongRows(t *testing.T) {
	rows := make([]reading, 300)
	for i := range rows {
		rows[i] = reading{Note: strings.Repeat(string(rune('a'+i%26)), 35000), Var: strings.Repeat("v", 30000-i)}
	}
	b, _ := write(t, place, rows)
	s, err := verifyBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for r, err := range s.Rows() {
		if err != nil || r != rows[i] {
			t.Fatalf("row %d: %v", i, err)
		}
		i++
	}
}

// TestEveryFlip changes each byte of a file: it is refused, or the rows are
// exactly those of the root.
func TestEveryFlip(t *testing.T) {
	b, sum := write(t, place, someRows(40, 4))
	same := 0
	for i := range b {
		spoilt := slices.Clone(b)
		spoilt[i] ^= 0x10
		s, err := verifyBytes(spoilt)
		switch {
		case err == nil && s.Root == sum.Root:
			same++ // an unused byte, or a name: that is for the caller to compare
		case err == nil:
			t.Fatalf("byte %d of %d: another root passes", i, len(b))
		case !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrRoot):
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	t.Logf("%d of %d flipped bytes change no row", same, len(b))
	for n := range b {
		if _, err := verifyBytes(b[:n]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
}

// TestVector holds the bytes of a segment still. A new version of the Parquet
// library may change them, never the root.
func TestVector(t *testing.T) {
	b, sum := write(t, place, someRows(100, 5))
	path := filepath.Join("testdata", "weather-100.parquet")
	if *update {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const root = "c339a137ca7db2c9f126512ca28d8e083a183305249996f8ee91f9b23ab5ba99"
	if sum.Root.String() != root {
		t.Errorf("root %s, want %s", sum.Root, root)
	}
	if p := sum.Path(sum.Root); p != "weather/832830fffffffff/2024-10-04/"+root+".parquet" {
		t.Errorf("path %s", p)
	}
	if !bytes.Equal(b, want) {
		t.Errorf("other bytes than the vector's")
	}
	if s, err := verifyBytes(want); err != nil || s.Root.String() != root {
		t.Errorf("the vector: %v", err)
	}
}

// TestOtherFiles refuses Parquet files that are no segments.
func TestOtherFiles(t *testing.T) {
	type other struct {
		A string `parquet:"a"`
	}
	for name, o := range map[string][]parquet.WriterOption{
		"snappy": {parquet.Compression(&parquet.Snappy)}, "plain": nil, "zstd": {parquet.Compression(&parquet.Zstd)},
	} {
		var b bytes.Buffer
		w := parquet.NewGenericWriter[other](&b, o...)
		if _, err := w.Write([]other{{"x"}}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := verifyBytes(b.Bytes()); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	lists := "PAR1" + "\x19\xfc\xff\xff\xff\xff\x07" // a list of 2^31 structs
	file := append([]byte(lists), binary.LittleEndian.AppendUint32(nil, 7)...)
	file = append(append([]byte("PAR1"), file...), "PAR1"...)
	if _, err := verifyBytes(file); !errors.Is(err, ErrMalformed) {
		t.Errorf("a footer that claims a long list: %v", err)
	}
}

// FuzzVerify feeds spoilt files. A panic fails by itself; memory is measured.
func FuzzVerify(f *testing.F) {
	for _, n := range []int{0, 3, 40} {
		b, _ := write(f, place, someRows(n, 6))
		f.Add(b)
	}
	f.Add([]byte("PAR1\x00\x00\x00\x00PAR1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := verifyBytes(b)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20+uint64(len(b))*1000 {
			t.Fatalf("%d bytes allocated for a file of %d: %v", used, len(b), err)
		}
		if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrRoot) {
			t.Fatal(err)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	rows := someRows(100_000, 7)
	var out int64
	for b.Loop() {
		data, _ := write(b, place, rows)
		out = int64(len(data))
	}
	b.ReportMetric(float64(len(rows))*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(out)/float64(len(rows)), "B/row")
}

func BenchmarkVerify(b *testing.B) {
	rows := someRows(100_000, 7)
	data, _ := write(b, place, rows)
	for b.Loop() {
		if _, err := verifyBytes(data); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(rows))*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
