package kinds

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/parquet-go/parquet-go"
	"github.com/paulmach/orb/encoding/mvt"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/mqttx"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/beijing"
	"github.com/grange-network/grange/vertical/sensing/ingest"
	"github.com/grange-network/grange/vertical/sensing/query"
	"github.com/grange-network/grange/vertical/sensing/query/querytest"
	"github.com/grange-network/grange/vertical/sensing/senml"
	"github.com/grange-network/grange/vertical/sensing/sensingtest"
	"github.com/grange-network/grange/vertical/sensing/store"
)

const chainID = "replay-1"

// day is the first of the replay.
var day = time.Date(2026, 8, 17, 0, 0, 0, 0, time.UTC)

// station is a device that replays a series.
type station struct {
	*beijing.Station
	signer sensingtest.Signer
	cell   h3.Cell
	client paho.Client
	last   sensing.Hash
	count  uint64
}

// registry knows the stations.
type registry map[device.ID]*station

func (r registry) Key(_ context.Context, id device.ID) (device.PublicKey, error) {
	if s := r[id]; s != nil {
		return s.signer.PublicKey(), nil
	}
	return device.PublicKey{}, ingest.ErrUnknown
}

func (r registry) Cell(_ context.Context, id device.ID) (h3.Cell, error) { return r[id].cell, nil }

// replay is the twelve stations before a gateway whose clock is theirs.
type replay struct {
	*testing.T
	now      atomic.Int64
	stations []*station
	registry registry
	log      *ingest.Server
	store    *store.Store
	web      *httptest.Server
}

func newReplay(t *testing.T) *replay {
	r := &replay{T: t, registry: registry{}}
	all, err := beijing.Stations()
	r.must(err)
	for i, s := range all {
		x := &station{Station: s, signer: sensingtest.NewSigner(byte(i + 1)), cell: h3.At(s.Lat, s.Lon, 8)}
		r.stations, r.registry[x.signer.PublicKey().ID()] = append(r.stations, x), x
	}
	r.log, err = ingest.Open(ingest.Config{
		Dir: t.TempDir(), ChainID: chainID, Registry: r.registry, Kinds: All(), Now: func() time.Time { return time.Unix(r.now.Load(), 0) },
	})
	r.must(err)
	t.Cleanup(func() { r.must(r.log.Close()) })
	r.store, err = store.Open(t.Context(), store.Config{Dir: t.TempDir(), ChainID: chainID, Registry: r.registry, Kinds: All()})
	r.must(err)
	t.Cleanup(func() { r.must(r.store.Close(context.Background())) })
	r.web = httptest.NewServer(query.Handler(query.Config{
		Store: r.store, Till: querytest.NewTill(1 << 40), Now: func() time.Time { return time.Unix(r.now.Load(), 0) },
	}))
	t.Cleanup(r.web.Close)
	r.connect()
	return r
}

func (r *replay) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// connect signs every station in to the broker.
func (r *replay) connect() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err)
	secret := []byte("the secret of this replay, 32 byte")
	b, err := mqttx.New(r.Context(), l, &ingest.Doors{Server: r.log, Secret: secret}, mqttx.Limits{}, slog.New(slog.DiscardHandler))
	r.must(err)
	r.Cleanup(func() { _ = b.Close() })
	for _, s := range r.stations {
		id := s.signer.PublicKey().ID()
		s.client = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + l.Addr().String()).SetClientID(s.Name).
			SetUsername(id.String()).SetPassword(ingest.Token(secret, id)).SetAutoReconnect(false).SetProtocolVersion(4))
		token := s.client.Connect()
		token.Wait()
		r.must(token.Error())
		r.Cleanup(func() { s.client.Disconnect(0) })
	}
}

// send publishes half a day of a station.
func (r *replay) send(s *station, from, to int) paho.Token {
	var records []senml.Record
	for h := from; h < to; h++ {
		for _, v := range s.Hours[h] {
			records = append(records, senml.Record{Name: v.Name, Unit: v.Unit, Time: day.Add(time.Duration(h) * time.Hour), Value: v.Value})
		}
	}
	b, err := sensing.Seal(s.signer, chainID, s.count+1, s.last, records)
	r.must(err)
	s.count, s.last = b.Counter, b.Hash
	return s.client.Publish("v1/obs/"+b.Device.String(), 1, false, b.Raw)
}

// weighed is what each station's weather and air weigh at the end of a day.
func (r *replay) weighed(end time.Time) map[string][]uint64 {
	var all []sensing.Station
	for _, s := range r.stations {
		id := s.signer.PublicKey().ID()
		all = append(all, sensing.Station{Device: vertical.Device{ID: id, Owner: s.Name, Class: vertical.PRN, Cell: uint64(s.cell)}})
	}
	signed := make([][]*sensing.Batch, len(all))
	for e, err := range r.log.Entries(0) {
		r.must(err)
		b, err := sensing.Read(e.Raw, chainID)
		r.must(err)
		for i := range all {
			if all[i].ID == e.Device {
				signed[i] = append(signed[i], b)
			}
		}
	}
	for i := range all {
		all[i].Batches = slices.Values(signed[i])
	}
	out := map[string][]uint64{}
	for _, k := range All() {
		name := k.Info().Name
		if name != "weather" && name != "air" {
			continue
		}
		parts, err := k.Weigh(r.Context(), sensing.Window{Began: end.Add(-k.Info().Span), Ended: end}, all)
		r.must(err)
		for _, p := range parts {
			w, err := vertical.Line{Parts: p}.Weight()
			r.must(err)
			out[name] = append(out[name], w)
		}
	}
	return out
}

// ask asks the data door.
func (r *replay) ask(path string) []byte {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, r.web.URL+path, nil)
	r.must(err)
	req.Header.Set("Authorization", "Bearer "+querytest.Token)
	resp, err := http.DefaultClient.Do(req)
	r.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		r.Fatalf("%s: %s, %v: %.300s", path, resp.Status, err, body)
	}
	return body
}

// Thirty days of twelve real stations go in over MQTT and come out as weights, map
// tiles, Parquet and GeoJSON.
func TestThirtyDaysOfBeijing(t *testing.T) {
	r := newReplay(t)
	days := beijing.Hours / 24
	if testing.Short() {
		days = 3
	}
	weights := map[string]uint64{}
	for half := range 2 * days {
		r.now.Store(day.Add(time.Duration(half+1) * 12 * time.Hour).Unix())
		var tokens []paho.Token
		for _, s := range r.stations {
			tokens = append(tokens, r.send(s, 12*half, 12*half+12))
		}
		for _, token := range tokens {
			token.Wait()
			r.must(token.Error())
		}
		if half%2 == 1 && half > 1 {
			for kind, all := range r.weighed(day.Add(time.Duration(half+1) * 12 * time.Hour)) {
				for _, w := range all {
					weights[kind] += w
				}
			}
		}
	}
	if got := r.log.Counts(); got.Accepted != uint64(2*days*len(r.stations)) {
		t.Fatalf("counts %+v, want %d accepted", got, 2*days*len(r.stations))
	}
	for kind, sum := range weights {
		t.Logf("%s: a station-day weighs %d", kind, sum/uint64((days-1)*len(r.stations)))
	}
	if weights["weather"] == 0 || weights["air"] == 0 {
		t.Errorf("weights %v", weights)
	}
	r.must(r.store.Catch(t.Context(), r.log))
	r.must(r.store.Flush(t.Context()))
	r.read(days)
}

// read asks for the same days in every form.
func (r *replay) read(days int) {
	cell := r.stations[0].cell
	from, to := day.Format(time.RFC3339), day.Add(time.Duration(days)*24*time.Hour).Format(time.RFC3339)
	span := fmt.Sprintf("?var=temperature&from=%s&to=%s", from, to)
	geojson := r.ask("/v1/cells/" + cell.String() + "/obs" + span + "&format=geojson")
	var collection struct{ Features []json.RawMessage }
	r.must(json.Unmarshal(geojson, &collection))
	if n := len(collection.Features); n < 24*days*9/10 {
		r.Errorf("%d features of %d hours", n, 24*days)
	}
	r.ogrinfo(geojson, len(collection.Features))
	columns := r.ask("/v1/cells/" + cell.String() + "/obs" + span + "&format=parquet")
	if dir := os.Getenv("GRANGE_ANSWERS"); dir != "" { // for other readers: see scripts/clients
		r.must(os.WriteFile(filepath.Join(dir, "month.parquet"), columns, 0o600))
		r.must(os.WriteFile(filepath.Join(dir, "month.json"), r.ask("/v1/cells/"+cell.String()+"/obs"+span), 0o600))
	}
	file, err := parquet.OpenFile(bytes.NewReader(columns), int64(len(columns)))
	r.must(err)
	if file.NumRows() != int64(len(collection.Features)) {
		r.Errorf("%d rows of Parquet, %d features", file.NumRows(), len(collection.Features))
	}
	// The tile of zoom 8 that holds Beijing.
	tile := r.ask("/v1/tiles/weather/8/210/96.mvt")
	layers, err := mvt.Unmarshal(tile)
	r.must(err)
	features := 0
	for _, l := range layers {
		features += len(l.Features)
	}
	if features == 0 {
		r.Error("the tile of Beijing is empty")
	}
}

// ogrinfo reads GeoJSON as a person with GDAL would.
func (r *replay) ogrinfo(raw []byte, features int) {
	program, err := exec.LookPath("ogrinfo")
	if err != nil {
		r.Log("ogrinfo is not installed (Debian package gdal-bin): GeoJSON is read by Go alone")
		return
	}
	path := filepath.Join(r.TempDir(), "readings.geojson")
	r.must(os.WriteFile(path, raw, 0o600))
	out, err := exec.CommandContext(r.Context(), program, "-so", "-al", path).CombinedOutput()
	if want := fmt.Sprintf("Feature Count: %d", features); err != nil || !strings.Contains(string(out), want) {
		r.Errorf("ogrinfo: %v, want %q in\n%s", err, want, out)
	}
}
