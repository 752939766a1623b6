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

// quality scores days of stations that sample every 16 s and every 180 s.
func quality(_ context.Context, set benchtable.Settings, _ string) (rows []benchtable.Row, err error) {
	for _, st := range []*qod.Station{&qod.WS1000, &qod.WS2000} {
		day := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
		samples := samplesOf(st, day)
		days := set.Of(2000)
		began, before := time.Now(), processor()
		var wg sync.WaitGroup
		for w := range runtime.NumCPU() {
			wg.Go(func() {
				for i := w; i < days; i += runtime.NumCPU() {
					if _, e := qod.Check(st, day, samples); e != nil {
						panic(e) // the samples are ours
					}
				}
			})
		}
		wg.Wait()
		each := time.Since(began).Seconds() / float64(days)
		rows = append(rows, benchtable.Row{
			What: "quality of a day of " + st.Name, Unit: "CPU-ms", Ours: 1000 * (processor() - before) / float64(days), Target: 1, Less: true,
		}, benchtable.Row{What: "10,000 station-days of " + st.Name + " on all cores", Unit: "s", Ours: 10_000 * each, Target: 10, Less: true})
	}
	return rows, nil
}

func samplesOf(st *qod.Station, day time.Time) (out []qod.Sample) {
	for at := day.Add(-qod.RunUp); at.Before(day.Add(24 * time.Hour)); at = at.Add(st.Step) {
		h := at.Sub(day).Hours()
		sun := math.Max(0, math.Sin((h-6)*math.Pi/12))
		wave := math.Sin(float64(at.Unix()%997) / 997 * 2 * math.Pi)
		s := qod.Sample{Time: at}
		s.Value = [qod.Variables]float64{
			math.Round(10*(15+8*math.Sin((h-9)*math.Pi/12)+0.2*wave)) / 10, math.Round(60 - 20*math.Sin((h-9)*math.Pi/12)),
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
