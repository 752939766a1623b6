package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/h3"
)

// What the explorer says of its gateway.
const (
	gatewayNone = "none" // it was told of none
	gatewayOpen = "open"
)

// regionResolution is that of the largest cell that the gateway answers for.
const regionResolution = 3

// observed is a list that the gateway gave.
type observed[T any] struct {
	Gateway string `json:"gateway"`
	page[T]
}

// station is a fixed device that observes. Its place is no finer than that of a
// device of the index.
type station struct {
	Device    string    `json:"device"`
	Cell      string    `json:"cell"`
	Region    string    `json:"region"`
	Latitude  float64   `json:"latitude"`
	Longitude float64   `json:"longitude"`
	Kinds     []string  `json:"kinds"`
	Variables []string  `json:"variables"`
	Last      time.Time `json:"last"`
}

// variable is what so many stations measure.
type variable struct {
	Name     string    `json:"name"`
	Kind     string    `json:"kind"`
	Unit     string    `json:"unit"`
	Stations int       `json:"stations"`
	Last     time.Time `json:"last"`
}

type stationsAnswer struct {
	observed[station]
	Variables []variable `json:"variables"`
	Complete  bool       `json:"complete"`
}

type soldProduct struct {
	Kind       string    `json:"kind"`
	Name       string    `json:"name"`
	About      string    `json:"about"`
	Of         *string   `json:"of"`
	Values     []measure `json:"values"`
	Resolution int       `json:"resolution"`
	Step       int64     `json:"step_seconds"`
	Owners     int       `json:"owners"`
	Told       time.Time `json:"told"`
	Object     *string   `json:"object_ucredit"`
}

type measure struct {
	Name string `json:"name"`
	Unit string `json:"unit"`
}

type bounty struct {
	ID         string    `json:"id"`
	Product    string    `json:"product"`
	Area       string    `json:"area"`
	Resolution int       `json:"resolution"`
	Latitude   float64   `json:"latitude"`
	Longitude  float64   `json:"longitude"`
	Geometry   geometry  `json:"geometry"`
	Pays       string    `json:"pays_ucredit"`
	Left       int       `json:"left"`
	Every      *int64    `json:"every_seconds"`
	Placed     time.Time `json:"placed"`
	Until      time.Time `json:"until"`
}

// given wraps what the gateway gave.
func given[T any](s *Server, items []T) observed[T] {
	state := gatewayOpen
	if s.data == nil {
		state = gatewayNone
	}
	return observed[T]{state, all(items, s.Index.Height())}
}

func (s *Server) observedStations(r *request) (any, error) {
	out := stationsAnswer{Variables: []variable{}, Complete: true}
	if s.data == nil {
		out.observed = given[station](s, nil)
		return out, nil
	}
	list, err := s.data.stations.get(r.Context(), s.data, (*gateway).readStations)
	if err != nil {
		return nil, err
	}
	out.observed, out.Variables, out.Complete = given(s, list.stations), list.variables, list.complete
	return out, nil
}

func (s *Server) observedProducts(r *request) (any, error) {
	if s.data == nil {
		return given[soldProduct](s, nil), nil
	}
	list, err := s.data.products.get(r.Context(), s.data, (*gateway).readProducts)
	return given(s, list), err
}

func (s *Server) observedBounties(r *request) (any, error) {
	if s.data == nil {
		return given[bounty](s, nil), nil
	}
	list, err := s.data.bounties.get(r.Context(), s.data, (*gateway).readBounties)
	return given(s, list), err
}

// kept is an answer of the gateway, or its failure, that is told again for a while.
type kept[T any] struct {
	mu    sync.Mutex
	value T
	err   error
	until time.Time
}

// get reads anew when what is kept is old. Whoever asks meanwhile waits for it,
// for as long as the gateway has time.
func (k *kept[T]) get(ctx context.Context, g *gateway, read func(*gateway, context.Context) (T, error)) (T, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Now().Before(k.until) {
		return k.value, k.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.timeout) // others want it too
	defer cancel()
	k.value, k.err = read(g, ctx)
	if k.err != nil {
		g.log.Warn("data gateway failed", "gateway", g.base, "error", k.err)
		k.err = &problem{http.StatusServiceUnavailable, "unavailable", "the network's data gateway " + k.err.Error(), "ask again in a moment; of a network on your own machine grange status says how its roles are"}
	}
	k.until = time.Now().Add(g.fresh)
	return k.value, k.err
}

type stationList struct {
	stations  []station
	variables []variable
	complete  bool
}

// readStations reads as many pages of stations as the explorer shows. Those whose
// device or cell is none are left out.
func (g *gateway) readStations(ctx context.Context) (out stationList, err error) {
	sums := map[variable]variable{}
	after := uint32(0)
	for range stationPages {
		var p stationPage
		if err := g.read(ctx, "/v1/stations?after="+strconv.FormatUint(uint64(after), 10), &p); err != nil {
			return stationList{}, err
		}
		for i := range p.Stations {
			x := &p.Stations[i]
			after = max(after, x.Number)
			if st, ok := x.station(); ok {
				out.stations = append(out.stations, st)
				x.sum(sums)
			}
		}
		if out.complete = p.Next == "" || len(p.Stations) == 0; out.complete {
			break
		}
	}
	out.variables = make([]variable, 0, len(sums))
	for _, v := range sums {
		out.variables = append(out.variables, v)
	}
	slices.SortFunc(out.variables, func(a, b variable) int {
		return cmp.Or(cmp.Compare(b.Stations, a.Stations), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name), strings.Compare(a.Unit, b.Unit))
	})
	return out, nil
}

// station is what the explorer shows of a gateway's.
func (x *gatewayStation) station() (station, bool) {
	c, err := h3.Parse(x.Cell)
	id, bad := device.ParseID(x.Device)
	if err != nil || bad != nil || c.Resolution() < regionResolution {
		return station{}, false
	}
	c = c.Parent(min(c.Resolution(), h3.PublishedResolution))
	lat, lng := c.Centre()
	st := station{Device: id.String(), Cell: c.String(), Region: c.Parent(regionResolution).String(), Latitude: round(lat), Longitude: round(lng), Kinds: []string{}, Variables: []string{}}
	for _, v := range x.Variables {
		if !slices.Contains(st.Kinds, v.Kind) {
			st.Kinds = append(st.Kinds, v.Kind)
		}
		st.Variables = append(st.Variables, v.Name)
		if v.Last.After(st.Last) {
			st.Last = v.Last
		}
	}
	return st, true
}

// sum counts what a station measures.
func (x *gatewayStation) sum(sums map[variable]variable) {
	for _, v := range x.Variables {
		key := variable{Name: v.Name, Kind: v.Kind, Unit: v.Unit}
		total, ok := sums[key]
		if !ok {
			total = key
		}
		total.Stations++
		if v.Last.After(total.Last) {
			total.Last = v.Last
		}
		sums[key] = total
	}
}

func (g *gateway) readProducts(ctx context.Context) ([]soldProduct, error) {
	var listed struct {
		Products []gatewayProduct `json:"products"`
	}
	if err := g.read(ctx, "/v1/products", &listed); err != nil {
		return nil, err
	}
	out := make([]soldProduct, 0, len(listed.Products))
	for _, x := range listed.Products {
		p := soldProduct{Kind: x.Kind, Name: x.Name, About: x.About, Of: orNull(x.Of), Values: append([]measure{}, x.Values...), Resolution: x.Resolution, Owners: max(1, x.Owners), Told: x.Told}
		if step, err := time.ParseDuration(x.Step); err == nil {
			p.Step = int64(step / time.Second)
		}
		if x.Object > 0 {
			price := strconv.FormatUint(x.Object, 10)
			p.Object = &price
		}
		out = append(out, p)
	}
	return out, nil
}

// readBounties reads what is wanted, newest first. Those whose area is no cell are
// left out.
func (g *gateway) readBounties(ctx context.Context) ([]bounty, error) {
	var listed struct {
		Bounties []gatewayBounty `json:"bounties"`
	}
	if err := g.read(ctx, "/v1/bounties", &listed); err != nil {
		return nil, err
	}
	outline := "exact"
	if len(listed.Bounties) > maxExact {
		outline = "hexagon"
	}
	out := make([]bounty, 0, min(len(listed.Bounties), maxBounties))
	for _, x := range listed.Bounties[:min(len(listed.Bounties), maxBounties)] {
		c, err := h3.Parse(x.Area)
		if err != nil || c.Resolution() > h3.MaxResolution-3 { // an outline is drawn from cells three finer
			continue
		}
		lat, lng := c.Centre()
		b := bounty{ID: x.ID, Product: x.Product, Area: c.String(), Resolution: c.Resolution(), Latitude: round(lat), Longitude: round(lng), Geometry: shape(c, outline),
			Pays: strconv.FormatUint(x.Units, 10), Left: x.Most, Placed: x.Placed, Until: x.Until}
		if every, err := time.ParseDuration(x.Every); err == nil {
			seconds := int64(every / time.Second)
			b.Every = &seconds
		}
		out = append(out, b)
	}
	return out, nil
}
