package main

import (
	"context"
	"math"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/grange-network/grange/internal/benchtable"
	"github.com/grange-network/grange/vertical/sensing/weather/qod"
)

// stationDays is how many days are judged; the target is for all of them.
const stationDays = 10_000

// quality judges days of stations that sample every 16 s and every 180 s.
func quality(_ context.Context, set benchtable.Settings, _ string) (rows []benchtable.Row, err error) {
	begins := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	for _, st := range []*qod.Station{&qod.WS1000, &qod.WS2000} {
		var stations [16][]qod.Sample // more than the processor's caches hold of WS1000
		for i := range stations {
			stations[i] = samplesOf(st, begins, i)
		}
		days := set.Of(stationDays)
		began, before := time.Now(), processor()
		var wg sync.WaitGroup
		for w := range runtime.NumCPU() {
			wg.Go(func() {
				for i := w; i < days; i += runtime.NumCPU() {
					if _, e := qod.Check(st, begins, stations[i%len(stations)]); e != nil {
						panic(e) // the samples are ours
					}
				}
			})
		}
		wg.Wait()
		share := float64(days) / stationDays
		rows = append(rows, benchtable.Row{
			What: "quality of a day of " + st.Name, Unit: "CPU-ms", Ours: 1000 * (processor() - before) / float64(days), Target: 1, Less: true,
		}, benchtable.Row{What: "10,000 station-days of " + st.Name + " on all cores", Unit: "s", Ours: time.Since(began).Seconds() / share, Target: 10, Less: true})
	}
	return rows, nil
}

// samplesOf is a plausible day, of one station a little warmer than of another.
func samplesOf(st *qod.Station, day time.Time, station int) (out []qod.Sample) {
	for at := day.Add(-qod.RunUp); at.Before(day.Add(24 * time.Hour)); at = at.Add(st.Step) {
		h := at.Sub(day).Hours()
		sun := math.Max(0, math.Sin((h-6)*math.Pi/12))
		wave := math.Sin(float64(at.Unix()%997)/997*2*math.Pi + float64(station))
		s := qod.Sample{Time: at}
		s.Value = [qod.Variables]float64{
			math.Round(10*(15+8*math.Sin((h-9)*math.Pi/12)+0.2*wave+float64(station)/4)) / 10, math.Round(60 - 20*math.Sin((h-9)*math.Pi/12)),
			math.Round(10*(3+wave)) / 10, math.Round(180 + 90*wave), math.Round(10*(1010+wave/2)) / 10, math.Round(sun * 90_000), 12.7,
		}
		out = append(out, s)
	}
	return out
}

// processor is the time that all threads have used, in seconds.
func processor() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // the arguments are constants
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}
