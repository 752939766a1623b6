package query_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/maptile"

	"github.com/paulmach/orb"

	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/query"
	"github.com/grange-network/grange/vertical/sensing/query/querytest"
	"github.com/grange-network/grange/vertical/sensing/senml"
	"github.com/grange-network/grange/vertical/sensing/store"
	"github.com/grange-network/grange/vertical/sensing/store/storetest"
	"github.com/grange-network/grange/vertical/sensing/weather"
)

var (
	start  = time.Date(2026, 3, 27, 22, 0, 0, 0, time.UTC)
	munich = h3.At(48.14, 11.57, h3.PublishedResolution)
)

// walkers is a kind whose devices move.
type walkers struct{ sensing.Kind }

func (walkers) Info() sensing.KindInfo {
	return sensing.KindInfo{Name: "noise", Variables: []string{"leq"}}
}

// world is a store with two weather stations of six hours and five walkers, and a
// server that sells it.
type world struct {
	t     *testing.T
	log   *storetest.Log
	store *store.Store
	till  *querytest.Till
	url   string
}

func newWorld(t *testing.T, units uint64) *world {
	t.Helper()
	w := &world{t: t, log: storetest.NewLog(), till: querytest.NewTill(units)}
	for i := range 2 {
		s := storetest.NewStation(t, i)
		for h := range 6 {
			at := start.Add(time.Duration(h) * time.Hour)
			w.log.Add(s, munich, s.Batch(t, storetest.Reading("temperature", at, float64(10+i)), storetest.Reading("pressure", at, 1000+float64(h)),
				senml.Record{Name: "wind_direction", Unit: "deg", Time: at, Value: float64(10 + 340*i)}))
		}
	}
	for i := range 5 {
		s := storetest.NewStation(t, 100+i)
		lat, lon := 48.14, 11.57
		if i == 4 {
			lat += 1 // alone
		}
		w.log.Add(s, 0, s.Batch(t, senml.Record{Name: "lat", Unit: "lat", Time: start, Value: lat}, senml.Record{Name: "lon", Unit: "lon", Time: start, Value: lon},
			senml.Record{Name: "leq", Unit: "dB", Time: start, Value: 60}))
	}
	w.serve(weather.Kind{}, walkers{})
	return w
}

// serve stores what is in the log, and sells it.
func (w *world) serve(kinds ...sensing.Kind) {
	t := w.t
	t.Helper()
	st, err := store.Open(t.Context(), store.Config{Dir: t.TempDir(), ChainID: storetest.Chain, Registry: w.log, Kinds: kinds})
	if err == nil {
		err = st.Catch(t.Context(), w.log)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close(context.Background()) })
	w.store = st
	server := httptest.NewServer(query.Public(query.Handler(query.Config{Store: st, Log: w.log, Till: w.till, Prover: w.published(), Now: func() time.Time { return start.Add(6 * time.Hour) }})))
	t.Cleanup(server.Close)
	w.url = server.URL
}

// published is the evidence of the batches but the last one.
func (w *world) published() query.Prover {
	w.t.Helper()
	dir := w.t.TempDir()
	files, err := evidence.NewDir(filepath.Join(dir, "archive"))
	if err != nil {
		w.t.Fatal(err)
	}
	a := evidence.New(files)
	rows := w.log.Rows()
	name := func(sensing.Row) segment.Name { return segment.Name{Day: segment.DayOf(start)} }
	if err := evidence.PublishRows(w.t.Context(), a, sensing.Name, 7, evidence.Cutter[sensing.Row]{Dir: dir, Kind: sensing.Batches}, name, rows[:len(rows)-1]); err != nil {
		w.t.Fatal(err)
	}
	return &query.Published{Archive: a, ChainID: storetest.Chain, Dir: filepath.Join(dir, "copies"), Newest: func(context.Context) (uint64, error) { return 8, nil }}
}

// reply is an answer, read to its end.
type reply struct {
	StatusCode int
	Status     string
	Header     http.Header
}

func (w *world) ask(path string, header ...string) (reply, []byte) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+querytest.Token)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Status, resp.Header}, body
}

func (w *world) get(path string, header ...string) []byte {
	w.t.Helper()
	resp, body := w.ask(path, header...)
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		w.t.Fatalf("GET %s: %s: %s", path, resp.Status, body)
	}
	return body
}

func (w *world) answer(path string) (a query.Answer) {
	w.t.Helper()
	if err := json.Unmarshal(w.get(path), &a); err != nil {
		w.t.Fatal(err)
	}
	return a
}

func obs(cell h3.Cell, more string) string {
	return "/v1/cells/" + cell.String() + "/obs?from=2026-03-27T22:00:00Z&to=2026-03-28T04:00:00Z" + more
}

func TestObservations(t *testing.T) {
	w := newWorld(t, 1_000_000)
	cases := map[string]struct {
		path string
		want int
	}{
		"all":          {obs(munich, ""), 36},
		"one variable": {obs(munich, "&var=pressure"), 12},
		"two":          {obs(munich.Parent(5), "&var=pressure,temperature"), 24},
		"two hours":    {"/v1/cells/" + munich.String() + "/obs?from=2026-03-27T23:00:00Z&to=2026-03-28T01:00:00Z", 12},
		"a kind":       {obs(munich, "&kind=weather&qc=good"), 36},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := len(w.answer(c.path).Observations); got != c.want {
				t.Errorf("%d observations, want %d", got, c.want)
			}
		})
	}
	first := w.answer(obs(munich, "&var=temperature")).Observations[0]
	if !first.Time.Equal(start) || first.Value < 10 || first.Unit != "Cel" || first.Kind != "weather" || len(first.Batch) != 64 {
		t.Errorf("first observation is %+v", first)
	}
}

func TestSums(t *testing.T) {
	w := newWorld(t, 1_000_000)
	sums := w.answer(obs(munich, "&var=temperature&agg=mean:6h")).Sums
	if len(sums) != 2 || sums[0].Value != 10.5 || sums[0].Devices != 2 || sums[0].Rows != 4 {
		t.Errorf("means of temperature: %+v", sums)
	}
	north := w.answer(obs(munich, "&var=wind_direction&agg=mean:1h")).Sums[0].Value
	if north > 0.001 && north < 359.999 {
		t.Errorf("between 10 and 350 degrees lies %v", north)
	}
	for _, s := range w.answer(obs(munich.Parent(3), "&agg=mean:1h")).Sums {
		if s.Kind == "noise" {
			t.Fatal("a sum of walkers' readings over a place of the asker's choice is told")
		}
	}
	for _, o := range w.answer(obs(munich.Parent(3), "")).Observations {
		if o.Kind == "noise" {
			t.Fatal("a single reading of a walker is told")
		}
	}
}

// Each answer is paid to the devices whose rows it holds.
func TestPayment(t *testing.T) {
	w := newWorld(t, 40)
	resp, _ := w.ask(obs(munich, ""))
	if resp.Header.Get("Grange-Units") != "36" || resp.Header.Get("Grange-Units-Left") != "4" {
		t.Errorf("bill is %v", resp.Header)
	}
	owed := w.till.Owed()
	for i := range 2 {
		if n := owed[storetest.NewStation(t, i).ID()]; n != 18 {
			t.Errorf("station %d is owed %d units, want 18", i, n)
		}
	}
	cases := map[string]struct{ path, token string }{
		"the escrow is empty": {obs(munich, ""), querytest.Token},
		"no token":            {obs(munich, ""), ""},
		"a wrong token":       {obs(munich, ""), "bad"},
		"a tile":              {"/v1/tiles/weather/10/544/355.mvt", "bad"},
		"a subscription":      {"/v1/subscribe?cell=" + munich.String(), "bad"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			resp, body := w.ask(c.path, "Authorization", "Bearer "+c.token)
			if resp.StatusCode != http.StatusPaymentRequired || !strings.Contains(string(body), "error") {
				t.Errorf("%s: %s", resp.Status, body)
			}
		})
	}
	if n := w.till.Owed().Total(); n != 36 {
		t.Errorf("%d units are owed for what was not given", n-36)
	}
}

func TestRefused(t *testing.T) {
	w := newWorld(t, 1000)
	cases := map[string]struct {
		path   string
		status int
		says   string
	}{
		"no cell":          {"/v1/cells/8x/obs", 400, "H3 cell"},
		"too fine":         {"/v1/cells/" + h3.At(48, 11, 13).String() + "/obs", 400, "resolution 13"},
		"too coarse":       {"/v1/cells/" + munich.Parent(1).String() + "/obs", 400, "resolution 1"},
		"too long":         {"/v1/cells/" + munich.String() + "/obs?from=2025-01-01&to=2026-01-01", 400, "31 days"},
		"backwards":        {"/v1/cells/" + munich.String() + "/obs?from=2026-01-02&to=2026-01-01", 400, "ends after it begins"},
		"a variable":       {obs(munich, "&var=temprature"), 400, "pressure, "},
		"a parameter":      {obs(munich, "&variable=temperature"), 400, "want var, kind"},
		"half escaped":     {obs(munich, "&var=%zz"), 400, "%zz"},
		"stations in CSV":  {"/v1/stations?format=csv", 400, "json or geojson"},
		"nothing there":    {"/v1/cells", 404, `"code":"not_found"`},
		"no time":          {"/v1/cells/" + munich.String() + "/obs?from=noon", 400, "noon"},
		"a kind unknown":   {obs(munich, "&kind=music"), 404, "music"},
		"a format unknown": {obs(munich, "&format=xls"), 400, "xls"},
		"an aggregate":     {obs(munich, "&agg=mode"), 400, "mode"},
		"who walks":        {obs(munich, "&kind=noise"), 403, "/v1/products"},
		"walks summed up":  {obs(munich, "&kind=noise&agg=mean:1h"), 403, "/v1/products"},
		"a map of walks":   {"/v1/tiles/noise/2/2/1.mvt", 403, "/v1/products"},
		"a walkers' file":  {"/v1/bulk/noise/2026-03-27/" + munich.Parent(3).String() + ".parquet", 403, "move"},
		"no file":          {"/v1/bulk/weather/2020-01-01/" + munich.Parent(3).String() + ".parquet", 404, "no file 0"},
		"a tile outside":   {"/v1/tiles/weather/3/9/0.mvt", 400, "tile"},
		"no station":       {"/v1/stations/" + strings.Repeat("ab", 32), 404, "has sent nothing"},
		"an event":         {"/v1/subscribe?cell=" + munich.String() + "&kind=noise", 403, "move"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			resp, body := w.ask(c.path)
			if resp.StatusCode != c.status || !strings.Contains(string(body), c.says) {
				t.Errorf("%d %s, want %d with %q", resp.StatusCode, body, c.status, c.says)
			}
		})
	}
}

func TestFormats(t *testing.T) {
	w := newWorld(t, 1_000_000)
	t.Run("CSV without formulas", func(t *testing.T) {
		s := storetest.NewStation(t, 9)
		w.log.Add(s, munich, s.Batch(t, senml.Record{Name: "pressure", Unit: "=HYPERLINK(1)", Time: start, Value: 1}))
		if err := w.store.Catch(t.Context(), w.log); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(bytes.NewReader(w.get(obs(munich, ""), "Accept", "text/csv"))).ReadAll()
		if err != nil || len(rows) != 38 {
			t.Fatalf("%d rows: %v", len(rows), err)
		}
		for _, row := range rows {
			for _, field := range row {
				if strings.HasPrefix(field, "=") {
					t.Errorf("field %s", field)
				}
			}
		}
	})
	t.Run("Parquet", func(t *testing.T) {
		raw := w.get(obs(munich, "&format=parquet&var=temperature"))
		f, err := parquet.OpenFile(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			t.Fatal(err)
		}
		if cell, _ := f.Lookup("grange.cell"); cell != munich.String() || f.Schema().Fields()[0].Name() != "kind" {
			t.Errorf("the file is of cell %q, its first column %s", cell, f.Schema().Fields()[0].Name())
		}
		r := parquet.NewGenericReader[store.Row](bytes.NewReader(raw))
		rows := make([]store.Row, 100)
		n, err := r.Read(rows)
		if n != 12 || err != nil && !errors.Is(err, io.EOF) || rows[0].Variable != "temperature" {
			t.Errorf("%d rows: %v", n, err)
		}
	})
	t.Run("sums as Parquet, CSV and GeoJSON", func(t *testing.T) {
		for _, f := range []string{"parquet", "csv", "geojson"} {
			if len(w.get(obs(munich, "&agg=max:1h&format="+f))) < 200 {
				t.Errorf("%s is short", f)
			}
		}
	})
	t.Run("GeoJSON that ogrinfo reads", func(t *testing.T) {
		tool, err := exec.LookPath("ogrinfo")
		if err != nil {
			t.Skip("ogrinfo is not installed")
		}
		for name, path := range map[string]string{"Point": obs(munich, "&format=geojson&var=pressure&kind=weather"), "Polygon": obs(munich, "&format=geojson&var=temperature&agg=mean:1h")} {
			file := filepath.Join(t.TempDir(), "obs.geojson")
			if err := os.WriteFile(file, w.get(path), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), tool, "-so", "-al", file).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "Geometry: "+name) && !strings.Contains(string(out), "Geometry: 3D "+name) || !strings.Contains(string(out), "value: ") {
				t.Errorf("ogrinfo: %v\n%s", err, out)
			}
		}
	})
}

func TestTiles(t *testing.T) {
	w := newWorld(t, 1_000_000)
	at := maptile.At(orb.Point{11.57, 48.14}, 10)
	path := fmt.Sprintf("/%d/%d/%d.mvt", at.Z, at.X, at.Y)
	resp, _ := w.ask("/v1/tiles/weather" + path)
	owed := w.till.Owed().Total()
	if again, _ := w.ask("/v1/tiles/weather"+path, "If-None-Match", resp.Header.Get("ETag")); again.StatusCode != http.StatusNotModified || w.till.Owed().Total() != owed {
		t.Errorf("a tile that is there already: %s, %d units", again.Status, w.till.Owed().Total()-owed)
	}
	layers, err := mvt.Unmarshal(w.get("/v1/tiles/weather" + path))
	if err != nil || len(layers) != 1 || layers[0].Version != 2 || layers[0].Name != "stations" || len(layers[0].Features) != 2 {
		t.Errorf("%+v: %v", layers, err)
	}
}

func TestStations(t *testing.T) {
	w := newWorld(t, 1_000_000)
	var list struct{ Stations []query.Station }
	if err := json.Unmarshal(w.get("/v1/stations?cell="+munich.Parent(4).String()), &list); err != nil || len(list.Stations) != 2 || len(list.Stations[0].Variables) != 3 {
		t.Fatalf("%+v: %v", list, err)
	}
	if list.Stations[0].Variables[0].Value != nil || w.till.Owed().Total() != 0 {
		t.Error("the list tells values")
	}
	var one query.Station
	if err := json.Unmarshal(w.get("/v1/stations/"+list.Stations[0].Device), &one); err != nil || *one.Variables[0].Value != 10 || w.till.Owed().Total() != 3 {
		t.Errorf("%+v: %v", one, err)
	}
}

// A subscription gets what comes, and what came while it was away.
func TestSubscribe(t *testing.T) {
	w := newWorld(t, 1_000_000)
	s := storetest.NewStation(t, 7)
	more := func(at time.Time, v float64) {
		w.log.Add(s, munich, s.Batch(t, storetest.Reading("pressure", at, v), storetest.Reading("temperature", at, 1)))
		if err := w.store.Catch(t.Context(), w.log); err != nil {
			t.Fatal(err)
		}
	}
	events, stop := w.subscribe("")
	more(start, 1001)
	first := <-events
	stop()
	more(start.Add(time.Hour), 1002)
	more(start.Add(2*time.Hour), 1003)
	events, stop = w.subscribe(first.id)
	defer stop()
	more(start.Add(3*time.Hour), 1004)
	for want := 1002.0; want <= 1004; want++ {
		if got := <-events; got.Value != want {
			t.Errorf("event %v, want %v", got.Value, want)
		}
	}

	w.log.Trim()
	events, stop = w.subscribe(first.id)
	defer stop()
	if got := <-events; got.name != "gap" {
		t.Errorf("behind what is no longer kept comes %+v", got)
	}
	more(start.Add(4*time.Hour), 1005)
	if got := <-events; got.Value != 1005 {
		t.Errorf("behind the gap comes %+v", got)
	}
}

type event struct {
	id, name string
	query.Observation
}

func (w *world) subscribe(last string) (<-chan event, func()) {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/v1/subscribe?var=pressure&cell="+munich.String()+"&token="+querytest.Token, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(r) //nolint:bodyclose // the goroutine below closes it
	if err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("subscribe: %v %v", resp, err)
	}
	out := make(chan event, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(out)
		defer resp.Body.Close()
		var e event
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				if json.Unmarshal([]byte(value), &e.Observation) == nil {
					out <- e
				}
			}
		}
	}()
	return out, func() { stop(); <-done }
}

// One buyer does not take all connections.
func TestManySubscriptions(t *testing.T) {
	w := newWorld(t, 1_000_000)
	ctx, stop := context.WithCancel(t.Context())
	var open []*http.Response
	ask := func() int {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/v1/subscribe?cell="+munich.String()+"&token="+querytest.Token, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r) //nolint:bodyclose // below
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, resp) //nolint:bodyclose // below
		return resp.StatusCode
	}
	for i := range 256 {
		if status := ask(); status != http.StatusOK {
			t.Fatalf("subscription %d: %d", i, status)
		}
	}
	if status := ask(); status != http.StatusTooManyRequests {
		t.Errorf("one more: %d", status)
	}
	stop()
	for _, resp := range open {
		_ = resp.Body.Close()
	}
	ctx, stop = context.WithCancel(t.Context())
	defer stop()
	for end := time.Now().Add(3 * time.Minute); ask() != http.StatusOK; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("those that ended count yet")
		}
	}
	stop()
	for _, resp := range open {
		_ = resp.Body.Close()
	}
}

func TestProofs(t *testing.T) {
	w := newWorld(t, 1_000_000)
	raw := w.get(obs(munich, "&var=pressure&proof=1"))
	report, err := query.CheckAnswer(bytes.NewReader(raw))
	if err != nil || report.Observations != 12 || len(report.Manifests) != 1 || report.Manifests[0].Epoch != 7 {
		t.Fatalf("%+v: %v", report, err)
	}
	bend := map[string]func(*query.Answer){
		"another value":  func(a *query.Answer) { a.Observations[0].Value++ },
		"another time":   func(a *query.Answer) { a.Observations[0].Time = start.Add(time.Minute) },
		"another device": func(a *query.Answer) { a.Observations[0].Device = a.Observations[1].Device },
		"another batch": func(a *query.Answer) {
			for _, p := range a.Proofs {
				p.Batch[len(p.Batch)-1] ^= 1
			}
		},
		"another root": func(a *query.Answer) {
			for _, p := range a.Proofs {
				p.Inputs = strings.Repeat("00", 32)
			}
		},
		"another path": func(a *query.Answer) {
			for _, p := range a.Proofs {
				p.Path[len(p.Path)-1] ^= 1
			}
		},
		"fewer rows": func(a *query.Answer) {
			for _, p := range a.Proofs {
				p.Segment.Rows--
			}
		},
		"none": func(a *query.Answer) { a.Proofs = nil },
	}
	for name, change := range bend {
		t.Run(name, func(t *testing.T) {
			var a query.Answer
			if err := json.Unmarshal(raw, &a); err != nil {
				t.Fatal(err)
			}
			change(&a)
			bent, err := json.Marshal(a)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := query.CheckAnswer(bytes.NewReader(bent)); !errors.Is(err, query.ErrProof) {
				t.Errorf("check says %v", err)
			}
		})
	}
}
