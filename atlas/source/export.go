package source

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/grange-network/grange/atlas"
)

// Place is one device of ours for a public map.
type Place struct {
	Publisher string  // public id of the device
	Latitude  float64 // degrees, of the centre of a cell no finer than is published
	Longitude float64
}

// MaxPlaces is the most devices in one message.
const MaxPlaces = 10_000

// DePINScan writes devices in the shape that DePINScan takes: POST
// /api/upload-device-metrics with {uid, events:[{publisher, custom:{latitude,
// longitude}}]}. Coordinates are rounded to a hundredth of a degree, about a
// kilometre, so that no exact place leaves this program whatever the caller gives.
func DePINScan(uid string, places []Place) ([]byte, error) {
	type custom struct {
		Latitude  json.Number `json:"latitude"`
		Longitude json.Number `json:"longitude"`
	}
	type event struct {
		Publisher string `json:"publisher"`
		Custom    custom `json:"custom"`
	}
	if uid == "" || len(places) > MaxPlaces {
		return nil, fmt.Errorf("export %d places for project %q: want a project and at most %d", len(places), uid, MaxPlaces)
	}
	events := make([]event, 0, len(places))
	for _, p := range places {
		if p.Publisher == "" || !(math.Abs(p.Latitude) <= 90) || !(math.Abs(p.Longitude) <= 180) {
			return nil, fmt.Errorf("export device %q at %v, %v: no such place", p.Publisher, p.Latitude, p.Longitude)
		}
		events = append(events, event{p.Publisher, custom{coarse(p.Latitude), coarse(p.Longitude)}})
	}
	return json.Marshal(struct {
		UID    string  `json:"uid"`
		Events []event `json:"events"`
	}{uid, events})
}

func coarse(degrees float64) json.Number {
	s := fmt.Sprintf("%.2f", degrees)
	if s == "-0.00" {
		s = "0.00"
	}
	return json.Number(s)
}

// RevenueType is DePIN.Ninja's distinction.
type RevenueType string

// The types: everything paid, what of it buys or burns tokens, what is only said.
const (
	Gross      RevenueType = "gross"
	Net        RevenueType = "net"
	Unverified RevenueType = "unverified"
)

// DayRevenue is the revenue of one day in USD.
type DayRevenue struct {
	Date    string        `json:"date"` // 2026-01-31
	Revenue atlas.Decimal `json:"revenue"`
}

// Project is one project in DePIN.Ninja's shape. MRR is the revenue of the
// last 30 days, ARR twelve times that, in whole dollars.
type Project struct {
	ID         string       `json:"projectId"`
	Name       string       `json:"projectName"`
	Category   string       `json:"category"`
	Chain      string       `json:"chain"`
	Type       RevenueType  `json:"revenueType"`
	MRR        int64        `json:"mrr"`
	ARR        int64        `json:"arr"`
	Days       []DayRevenue `json:"revenueData"`
	Source     string       `json:"revenueSource"`
	Disclaimer string       `json:"disclaimer"`
	Updated    time.Time    `json:"updatedAt"`
}

// Fill sums the last 30 days up to and with the day before now into MRR and
// ARR, and checks that every day is there once, in order.
func (p *Project) Fill(now time.Time) error {
	if p.Type != Gross && p.Type != Net && p.Type != Unverified {
		return fmt.Errorf("export %s: revenue type %q", p.Name, p.Type)
	}
	from, to := now.UTC().AddDate(0, 0, -30).Format(time.DateOnly), now.UTC().Format(time.DateOnly)
	var sum, last = new(sumUSD), ""
	for _, d := range p.Days {
		if _, err := time.Parse(time.DateOnly, d.Date); err != nil || d.Date <= last || d.Revenue.Sign() < 0 {
			return fmt.Errorf("export %s: day %q of %s after %q: want days in order and no negative revenue", p.Name, d.Date, d.Revenue, last)
		}
		last = d.Date
		if d.Date >= from && d.Date < to {
			sum.add(d.Revenue)
		}
	}
	whole, ok := sum.dollars()
	if !ok {
		return fmt.Errorf("export %s: revenue beyond what can be counted", p.Name)
	}
	p.MRR, p.ARR, p.Updated = whole, whole*12, now.UTC().Truncate(time.Second)
	return nil
}

// Revenue writes projects as DePIN.Ninja lists them.
func Revenue(projects []Project, page, limit int) ([]byte, error) {
	if page < 1 || limit < 1 || limit > 100 {
		return nil, fmt.Errorf("export page %d of %d: want a page from 1 and a limit of 1 to 100", page, limit)
	}
	pages := max(1, (len(projects)+limit-1)/limit)
	from := min(len(projects), (page-1)*limit)
	data := projects[from:min(len(projects), from+limit)]
	if data == nil {
		data = []Project{}
	}
	return json.Marshal(struct {
		Data  []Project `json:"data"`
		Page  int       `json:"page"`
		Limit int       `json:"limit"`
		Pages int       `json:"totalPages"`
	}{data, page, limit, pages})
}

// RevenueOfDay writes the shape of one day: the sum, and each project's part.
func RevenueOfDay(day string, projects []Project) ([]byte, error) {
	if _, err := time.Parse(time.DateOnly, day); err != nil {
		return nil, fmt.Errorf("export day %.20q: want 2026-01-31", day)
	}
	type part struct {
		Name    string        `json:"name"`
		Revenue atlas.Decimal `json:"revenue"`
	}
	out := struct {
		Total json.Number `json:"totalRevenue"`
		Parts []part      `json:"breakDown"`
	}{Parts: []part{}}
	sum := new(sumUSD)
	for _, p := range projects {
		for _, d := range p.Days {
			if d.Date == day {
				out.Parts = append(out.Parts, part{p.Name, d.Revenue})
				sum.add(d.Revenue)
			}
		}
	}
	out.Total = json.Number(sum.String())
	return json.Marshal(out)
}
