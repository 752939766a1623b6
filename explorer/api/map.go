package api

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/grange-network/grange/explorer/index"
	"github.com/grange-network/grange/h3"
)

// Outlines of this many cells at most are drawn exactly; more as hexagons.
const maxExact = 500

// minOwners of a cell before a data product names it.
const minOwners = 3

type cellsAnswer struct {
	Type       string    `json:"type"`
	Features   []feature `json:"features"`
	Total      int64     `json:"total"`
	Without    int64     `json:"without_cell"`
	Resolution int       `json:"resolution"`
	Outline    string    `json:"outline"`
	Height     int64     `json:"height"`
}

type feature struct {
	Type       string         `json:"type"`
	ID         string         `json:"id"`
	Geometry   geometry       `json:"geometry"`
	Properties cellProperties `json:"properties"`
}

type geometry struct {
	Type        string `json:"type"`
	Coordinates any    `json:"coordinates"`
}

type cellProperties struct {
	Cell      string       `json:"cell"`
	Devices   int64        `json:"devices"`
	Proven    int64        `json:"proven"`
	Owners    int64        `json:"owners"`
	Claimed   index.Amount `json:"claimed_units"`
	Units     index.Amount `json:"proven_units"`
	Latitude  float64      `json:"latitude"`
	Longitude float64      `json:"longitude"`
}

func (a cellsAnswer) table() ([]any, *string) {
	rows := make([]any, len(a.Features))
	for i := range a.Features {
		rows[i] = a.Features[i].Properties
	}
	return rows, nil
}

// cells counts devices by cell. Every device that the list shows is in one cell
// of the map or among those without.
func (s *Server) cells(r *request) (any, error) {
	f, err := deviceFilter(r)
	if err != nil {
		return nil, err
	}
	resolution, err := r.resolution()
	if err != nil {
		return nil, err
	}
	outline, err := r.oneOf("outline", "exact", "hexagon", "point")
	if err != nil {
		return nil, err
	}
	counts, without, err := s.Index.Cells(r.Context(), f, resolution)
	if err != nil {
		return nil, err
	}
	if outline == "" || outline == "exact" {
		outline = "exact"
		if len(counts) > maxExact {
			outline = "hexagon"
		}
	}
	a := cellsAnswer{Type: "FeatureCollection", Features: make([]feature, 0, len(counts)), Total: without, Without: without, Resolution: resolution, Outline: outline, Height: s.Index.Height()}
	for _, c := range counts {
		a.Total += c.Devices
		lat, lng := c.Cell.Centre()
		a.Features = append(a.Features, feature{"Feature", c.Cell.String(), shape(c.Cell, outline), cellProperties{
			c.Cell.String(), c.Devices, c.Proven, c.Owners, c.Claimed, c.ProvenUnits, round(lat), round(lng)}})
	}
	return a, nil
}

// outlines remembers exact outlines, which cost a few milliseconds each.
var outlines struct {
	sync.Mutex
	of map[h3.Cell][]h3.Point
}

// maxOutlines is how many are remembered: about 10 kB each.
const maxOutlines = 2000

func exact(c h3.Cell) []h3.Point {
	outlines.Lock()
	ring, ok := outlines.of[c]
	outlines.Unlock()
	if ok {
		return ring
	}
	ring = c.Outline()
	outlines.Lock()
	defer outlines.Unlock()
	if outlines.of == nil || len(outlines.of) >= maxOutlines {
		outlines.of = map[h3.Cell][]h3.Point{}
	}
	outlines.of[c] = ring
	return ring
}

func shape(c h3.Cell, outline string) geometry {
	if outline == "point" {
		lat, lng := c.Centre()
		return geometry{"Point", [2]float64{round(lng), round(lat)}}
	}
	ring := c.Boundary()
	if outline == "exact" {
		ring = exact(c)
	}
	points := make([][2]float64, 0, len(ring)+1)
	last := 0.0
	for i, p := range ring {
		lng := p.Longitude
		if i > 0 { // across the antimeridian go on counting
			for lng-last > 180 {
				lng -= 360
			}
			for lng-last < -180 {
				lng += 360
			}
		}
		last = lng
		points = append(points, [2]float64{round(lng), round(p.Latitude)})
	}
	if len(points) > 0 {
		points = append(points, points[0])
	}
	return geometry{"Polygon", [][][2]float64{points}}
}

// round to a hundred-thousandth of a degree: a metre.
func round(degrees float64) float64 { return float64(int64(degrees*1e5+sign(degrees)/2)) / 1e5 }

func sign(x float64) float64 {
	if x < 0 {
		return -1
	}
	return 1
}

type productCell struct {
	Cell    string `json:"cell"`
	Devices int    `json:"devices"`
	Owners  int    `json:"owners"`
}

type kindOffer struct {
	Kind              string        `json:"kind"`
	Devices           int64         `json:"devices"`
	Owners            int64         `json:"owners"`
	Offers            int64         `json:"offers"`
	Standing          int64         `json:"standing"`
	Use               *index.Price  `json:"use"`
	Hold              *index.Price  `json:"hold"`
	Capacity          index.Amount  `json:"capacity_units"`
	Sold              index.Amount  `json:"sold_units"`
	Free              index.Amount  `json:"free_units"`
	Paid              index.Amount  `json:"paid_ucredit"`
	Net               index.Amount  `json:"net_ucredit"`
	Without           int64         `json:"without_cell"`
	SuppressedCells   int           `json:"suppressed_cells"`
	SuppressedDevices int64         `json:"suppressed_devices"`
	Cells             []productCell `json:"cells"`
}

// kinds lists what is for sale, and where as far as that names nobody.
func (s *Server) kinds(r *request) (any, error) {
	resolution, err := r.resolution()
	if err != nil {
		return nil, err
	}
	found, err := once(s, fmt.Sprint("kinds ", resolution), func() ([]index.KindOffer, error) { return s.Index.ForSale(r.Context(), resolution) })
	if err != nil {
		return nil, err
	}
	out := make([]kindOffer, 0, len(found))
	for _, k := range found {
		o := kindOffer{
			Kind: k.Kind, Devices: k.Devices, Owners: k.Owners, Offers: k.Offers, Standing: k.Standing, Use: k.Use, Hold: k.Hold,
			Capacity: k.Capacity, Sold: k.Sold, Free: k.Free, Paid: k.Paid, Net: k.Net, Without: k.Nowhere, Cells: []productCell{},
		}
		for _, c := range k.Cells {
			if c.Owners < minOwners {
				o.SuppressedCells++
				o.SuppressedDevices += c.Devices
				continue
			}
			o.Cells = append(o.Cells, productCell{c.Cell.String(), int(c.Devices), int(c.Owners)})
		}
		out = append(out, o)
	}
	return all(out, s.Index.Height()), nil
}

// resolution of the cells of data products.
func (r *request) resolution() (int, error) {
	n, err := r.number("resolution", 5)
	if err == nil && n > h3.PublishedResolution {
		err = bad("resolution %d: devices are published at %d or coarser", n, h3.PublishedResolution)
	}
	return int(n), err
}

type product struct {
	Capability        string        `json:"capability"`
	Devices           int           `json:"devices"`
	Owners            int           `json:"owners"`
	Offers            int           `json:"offers"`
	Use               *index.Price  `json:"use"`
	SuppressedCells   int           `json:"suppressed_cells"`
	SuppressedDevices int           `json:"suppressed_devices"`
	Cells             []productCell `json:"cells"`
}

// products groups the devices for which location matters by what they measure.
// A cell with fewer than three owners would tell who measures there: it is left out.
func (s *Server) products(r *request) (any, error) {
	resolution, err := r.resolution()
	if err != nil {
		return nil, err
	}
	groups := map[string]*grouping{}
	for p := (index.Page{Limit: index.MaxLimit}); ; {
		l, err := s.Index.Devices(r.Context(), index.DeviceFilter{Class: "prn"}, p)
		if err != nil {
			return nil, err
		}
		for _, d := range l.Items {
			for _, c := range d.Capabilities {
				if groups[c] == nil {
					groups[c] = newGrouping()
				}
				groups[c].add(d, resolution)
			}
		}
		if l.Next == nil {
			break
		}
		p.After = *l.Next
	}
	if err := s.price(r, groups); err != nil {
		return nil, err
	}
	out := []product{}
	for name, g := range groups {
		out = append(out, g.product(name))
	}
	slices.SortFunc(out, func(a, b product) int { return strings.Compare(a.Capability, b.Capability) })
	return all(out, s.Index.Height()), nil
}

type grouping struct {
	devices map[string]bool
	owners  map[string]bool
	cells   map[string]map[string]int // devices by cell and owner
	offers  int
	use     *index.Price
}

func newGrouping() *grouping {
	return &grouping{devices: map[string]bool{}, owners: map[string]bool{}, cells: map[string]map[string]int{}}
}

func (g *grouping) add(d index.Device, resolution int) {
	g.devices[d.ID.String()], g.owners[d.Owner] = true, true
	if d.Cell == nil {
		return
	}
	c, err := h3.Parse(*d.Cell)
	if err != nil {
		return // the index publishes cells
	}
	at := c.Parent(resolution).String()
	if g.cells[at] == nil {
		g.cells[at] = map[string]int{}
	}
	g.cells[at][d.Owner]++
}

// price counts the open offers of each group and finds the cheapest use.
func (s *Server) price(r *request, groups map[string]*grouping) error {
	if len(groups) == 0 {
		return nil
	}
	for p := (index.Page{Limit: index.MaxLimit}); ; {
		l, err := s.Index.Offers(r.Context(), index.OfferFilter{Status: "open"}, p)
		if err != nil {
			return err
		}
		for _, o := range l.Items {
			for _, g := range groups {
				if g.devices[o.Device.String()] {
					g.offers++
					if o.Use != nil && compare(o.Use, g.use) < 0 {
						g.use = o.Use
					}
				}
			}
		}
		if l.Next == nil {
			return nil
		}
		p.After = *l.Next
	}
}

func (g *grouping) product(name string) product {
	p := product{Capability: name, Devices: len(g.devices), Owners: len(g.owners), Offers: g.offers, Use: g.use, Cells: []productCell{}}
	for c, owners := range g.cells {
		devices := 0
		for _, n := range owners {
			devices += n
		}
		if len(owners) < minOwners {
			p.SuppressedCells++
			p.SuppressedDevices += devices
			continue
		}
		p.Cells = append(p.Cells, productCell{c, devices, len(owners)})
	}
	slices.SortFunc(p.Cells, func(a, b productCell) int { return strings.Compare(a.Cell, b.Cell) })
	return p
}
