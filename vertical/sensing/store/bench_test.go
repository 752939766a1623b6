package store

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical/sensing/store/storetest"
)

// BenchmarkCellDay asks for a day of a station's cell in a store of station-years:
// hourly readings of seven variables, 100 stations in each place. STATION_YEARS
// says how many, 50 without it.
func BenchmarkCellDay(b *testing.B) {
	years, _ := strconv.Atoi(os.Getenv("STATION_YEARS"))
	if years == 0 {
		years = 50
	}
	s := open(b, b.TempDir(), storetest.NewLog())
	cells, rows, size := s.fillYears(b, years)
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		q := Query{Cell: cells[i*7919%len(cells)], From: start.AddDate(0, 0, i*31%365).Truncate(24 * time.Hour)}
		q.To = q.From.Add(24 * time.Hour)
		began := time.Now()
		n := 0
		for _, err := range s.Scan(b.Context(), q) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		took = append(took, time.Since(began))
		if n == 0 || n%168 != 0 {
			b.Fatalf("%d rows of a day", n)
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(size)/float64(rows), "bytes/row")
	b.ReportMetric(float64(rows), "rows")
}

// fillYears writes station-years to files, as flushes would in the end.
func (s *Store) fillYears(b *testing.B, stations int) (cells []h3.Cell, rows, size int64) {
	b.Helper()
	names := []string{"humidity", "illuminance", "precipitation_accumulated", "pressure", "temperature", "wind_direction", "wind_speed"}
	for first := 0; first < stations; first += 100 {
		middle := h3.At(20+float64(first)/50, 10, ParentResolution)
		lat, lon := middle.Centre()
		byDay := make([][]Row, 365)
		for i := range min(100, stations-first) {
			cell := h3.At(lat+float64(i%10)/50, lon+float64(i/10)/50, h3.PublishedResolution)
			cells = append(cells, cell)
			cla, clo := cell.Centre()
			id := storetest.NewStation(b, first+i).ID()
			for d := range byDay {
				at := start.AddDate(0, 0, d).Truncate(24 * time.Hour)
				for h := range 24 {
					var batch [32]byte
					copy(batch[:], fmt.Appendf(nil, "%x %d %d", id[:8], d, h))
					for v, name := range names {
						byDay[d] = append(byDay[d], Row{
							Device: id, Counter: uint64(d*24 + h), Time: at.Add(time.Duration(h)*time.Hour + time.Duration(i)*time.Second).UnixMilli(), Cell: uint64(cell), Lat: cla, Lon: clo, Alt: math.NaN(),
							Variable: name, Value: math.Round(10*(float64(100*v)+10*math.Sin(float64(h+i)/4)+float64((i*h+d*v)%17)/5)) / 10, Unit: "Cel", Batch: batch,
						})
					}
				}
			}
		}
		for d, of := range byDay {
			k := key{"weather", h3.Cell(of[0].Cell).Parent(ParentResolution), segment.DayOf(start) + segment.Day(d)}
			made, err := s.cut(b.Context(), k, of)
			if err != nil {
				b.Fatal(err)
			}
			for _, f := range made {
				rows, size = rows+int64(f.Rows), size+f.Bytes
			}
			s.files[k] = append(s.files[k], made...)
		}
	}
	return cells, rows, size
}
