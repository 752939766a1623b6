package source

import (
	"context"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/grange-network/grange/atlas"
)

// Observation is one figure of one subject (an entry's id, or sector).
type Observation struct {
	Subject string      `json:"subject"`
	Claim   atlas.Claim `json:"claim"`
}

// Found is what one source answered.
type Found struct {
	Observations []Observation
	Unknown      []string // fields that this program does not know: the source may be changing
}

// Source is one live service.
type Source interface {
	Name() string // the id of the source in the atlas
	Fetch(ctx context.Context, c *Client) (Found, error)
}

func observed(subject, metric, source string, v atlas.Decimal, unit atlas.Unit, at atlas.Date, method string) Observation {
	return Observation{subject, atlas.Claim{Metric: metric, Value: &v, Unit: unit, AsOf: at, Source: source, Kind: atlas.Observed, Method: method}}
}

// CoinGecko asks for market figures of every entry with a coingecko reference,
// in one request.
type CoinGecko struct {
	URL     string // https://api.coingecko.com/api/v3
	Key     string // optional
	Catalog *atlas.Catalog
}

// Name is the source's id.
func (CoinGecko) Name() string { return "coingecko" }

var coinFields = []string{"id", "symbol", "name", "image", "current_price", "market_cap", "market_cap_rank", "market_cap_rank_with_rehypothecated", "fully_diluted_valuation",
	"total_volume", "high_24h", "low_24h", "price_change_24h", "price_change_percentage_24h", "market_cap_change_24h", "market_cap_change_percentage_24h",
	"circulating_supply", "total_supply", "max_supply", "ath", "ath_change_percentage", "ath_date", "atl", "atl_change_percentage", "atl_date", "roi", "last_updated"}

// Fetch asks for the markets.
func (s CoinGecko) Fetch(ctx context.Context, c *Client) (Found, error) {
	entries := map[string]string{}
	var coins []string
	for _, e := range s.Catalog.Entries {
		if coin := e.Ref("coingecko"); coin != "" {
			entries[coin] = e.ID
			coins = append(coins, coin)
		}
	}
	slices.Sort(coins)
	header := map[string]string{}
	if s.Key != "" {
		header["x-cg-demo-api-key"] = s.Key
	}
	body, err := c.Get(ctx, s.URL+"/coins/markets?vs_currency=usd&per_page=250&ids="+url.QueryEscape(strings.Join(coins, ",")), header)
	if err != nil {
		return Found{}, err
	}
	var rows []object
	if err := decode(body, &rows); err != nil {
		return Found{}, err
	}
	var out Found
	for _, row := range rows {
		coin, err := row.text("id")
		if err != nil {
			return Found{}, err
		}
		entry, ok := entries[coin]
		if !ok {
			continue
		}
		out.Unknown = append(out.Unknown, row.unknown(coinFields...)...)
		found, err := s.row(entry, row)
		if err != nil {
			return Found{}, fmt.Errorf("coin %s: %w", coin, err)
		}
		out.Observations = append(out.Observations, found...)
	}
	return out, nil
}

func (s CoinGecko) row(entry string, row object) ([]Observation, error) {
	updated, err := row.text("last_updated")
	if err != nil {
		return nil, err
	}
	at, err := time.Parse(time.RFC3339, updated)
	if err != nil {
		return nil, fmt.Errorf("field last_updated %.40q: %w", updated, ErrDrift)
	}
	var out []Observation
	for _, f := range []struct {
		field, metric string
		unit          atlas.Unit
		must          bool
	}{{"market_cap", "market-cap", "USD", true}, {"current_price", "token-price", "USD", true}, {"fully_diluted_valuation", "fdv", "USD", false}, {"circulating_supply", "supply", "1", false}} {
		if !f.must && !row.has(f.field) {
			continue // null there: unknown
		}
		v, err := row.number(f.field)
		if err != nil {
			return nil, err
		}
		out = append(out, observed(entry, f.metric, s.Name(), v, f.unit, atlas.DayOf(at), "over the exchanges that CoinGecko follows"))
	}
	return out, nil
}

// DefiLlama asks for the fees of protocols.
type DefiLlama struct {
	URL   string            // https://api.llama.fi
	Slugs map[string]string // entry id to protocol slug
}

// Name is the source's id.
func (DefiLlama) Name() string { return "defillama" }

// Fetch asks for each protocol in turn.
func (s DefiLlama) Fetch(ctx context.Context, c *Client) (Found, error) {
	var ids []string
	for id := range s.Slugs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var out Found
	for _, id := range ids {
		body, err := c.Get(ctx, s.URL+"/summary/fees/"+url.PathEscape(s.Slugs[id])+"?dataType=dailyFees", nil)
		if err != nil {
			return Found{}, err
		}
		var o object
		if err := decode(body, &o); err != nil {
			return Found{}, err
		}
		total, err := o.number("total30d")
		if err != nil {
			return Found{}, fmt.Errorf("protocol %s: %w", s.Slugs[id], err)
		}
		day, err := atlas.DecimalFromRat(new(big.Rat).Quo(total.Rat(), big.NewRat(30, 1)), 6)
		if err != nil {
			return Found{}, err
		}
		out.Observations = append(out.Observations, observed(id, "fees", s.Name(), day, "USD/d", atlas.DayOf(c.Now()), "fees of the last 30 days, divided by 30"))
	}
	return out, nil
}

// Akash asks the console for the capacity of the network.
type Akash struct{ URL string } // https://console-api.akash.network/v1

// Name is the source's id.
func (Akash) Name() string { return "akash-console" }

// Fetch reads either shape that the console has had: flat, or by resource.
func (s Akash) Fetch(ctx context.Context, c *Client) (Found, error) {
	body, err := c.Get(ctx, s.URL+"/network-capacity", nil)
	if err != nil {
		return Found{}, err
	}
	var o object
	if err := decode(body, &o); err != nil {
		return Found{}, err
	}
	providers, err := o.number("activeProviderCount")
	if err != nil {
		return Found{}, err
	}
	gpu, active, total := o, "activeGPU", "totalGPU"
	if o.has("resources") {
		var resources object
		if err := o.take("resources", &resources); err != nil {
			return Found{}, err
		}
		if err := resources.take("gpu", &gpu); err != nil {
			return Found{}, err
		}
		active, total = "active", "total"
	}
	all, err := gpu.number(total)
	if err != nil {
		return Found{}, err
	}
	used, err := gpu.number(active)
	if err != nil {
		return Found{}, err
	}
	at := atlas.DayOf(c.Now())
	out := Found{Observations: []Observation{
		observed("akash", "providers", s.Name(), providers, "1", at, "providers that answer"),
		observed("akash", "gpus", s.Name(), all, "1", at, "active, pending and available on providers that answer; not what fits on one node"),
	}}
	if used.Sign() > 0 { // nothing in use is not told apart from nothing known
		out.Observations = append(out.Observations, observed("akash", "gpus-active", s.Name(), used, "1", at, "under lease"))
	}
	return out, nil
}

// Helium asks how many hotspots are registered.
type Helium struct{ URL string } // https://entities.nft.helium.io/v2

// Name is the source's id.
func (Helium) Name() string { return "helium-entities" }

// Fetch asks for both networks.
func (s Helium) Fetch(ctx context.Context, c *Client) (Found, error) {
	sum := new(big.Rat)
	var unknown []string
	for _, network := range []string{"iot", "mobile"} {
		body, err := c.Get(ctx, s.URL+"/hotspots/pagination-metadata?subnetwork="+network, nil)
		if err != nil {
			return Found{}, err
		}
		var o object
		if err := decode(body, &o); err != nil {
			return Found{}, err
		}
		unknown = append(unknown, o.unknown("pageSize", "totalItems", "totalPages")...)
		n, err := o.number("totalItems")
		if err != nil {
			return Found{}, fmt.Errorf("subnetwork %s: %w", network, err)
		}
		sum.Add(sum, n.Rat())
	}
	total, err := atlas.DecimalFromRat(sum, 0)
	if err != nil {
		return Found{}, err
	}
	return Found{[]Observation{observed("helium", "hotspots", s.Name(), total, "1", atlas.DayOf(c.Now()),
		"registered for IoT and for mobile; one in both counts twice, and which are active is not published")}, unknown}, nil
}

// Spacescope asks for Filecoin's capacity over the last week.
type Spacescope struct {
	URL string // https://api.spacescope.io/v2
	Key string
}

// Name is the source's id.
func (Spacescope) Name() string { return "spacescope" }

// Fetch takes the newest day of the answer.
func (s Spacescope) Fetch(ctx context.Context, c *Client) (Found, error) {
	to := c.Now().UTC()
	body, err := c.Get(ctx, fmt.Sprintf("%s/power/network_storage_capacity?start_date=%s&end_date=%s", s.URL,
		to.AddDate(0, 0, -7).Format(time.DateOnly), to.Format(time.DateOnly)), map[string]string{"Authorization": "Bearer " + s.Key})
	if err != nil {
		return Found{}, err
	}
	var o object
	if err := decode(body, &o); err != nil {
		return Found{}, err
	}
	code, err := o.number("code")
	if err != nil {
		return Found{}, err
	}
	if code.Sign() != 0 {
		return Found{}, fmt.Errorf("ask spacescope: code %s: %w", code, ErrUnavailable)
	}
	var days []object
	if err := o.take("data", &days); err != nil {
		return Found{}, err
	}
	var newest object
	var at string
	for _, day := range days {
		date, err := day.text("stat_date")
		if err != nil {
			return Found{}, err
		}
		if date > at {
			newest, at = day, date
		}
	}
	if newest == nil || len(at) < len(time.DateOnly) {
		return Found{}, fmt.Errorf("no day in the answer: %w", ErrDrift)
	}
	date, err := atlas.ParseDate(at[:len(time.DateOnly)])
	if err != nil {
		return Found{}, fmt.Errorf("field stat_date: %w: %w", ErrDrift, err)
	}
	raw, err := newest.number("total_raw_bytes_power")
	if err != nil {
		return Found{}, err
	}
	return Found{Observations: []Observation{observed("filecoin", "capacity", s.Name(), raw, "B", date, "raw byte power")},
		Unknown: newest.unknown("stat_date", "total_raw_bytes_power", "total_raw_bytes_power_increase", "total_qa_bytes_power", "total_qa_bytes_power_increase", "baseline_power", "new_baseline_power")}, nil
}

// DePINNinja asks for the revenue of yesterday, of every network and in sum.
type DePINNinja struct {
	URL     string // https://api.depin.ninja
	Key     string
	Catalog *atlas.Catalog
}

// Name is the source's id.
func (DePINNinja) Name() string { return "depin-ninja" }

// Fetch asks for one day.
func (s DePINNinja) Fetch(ctx context.Context, c *Client) (Found, error) {
	day := atlas.DayOf(c.Now().AddDate(0, 0, -1))
	body, err := c.Get(ctx, s.URL+"/external-access/revenue/"+string(day), map[string]string{"x-api-key": s.Key})
	if err != nil {
		return Found{}, err
	}
	var o object
	if err := decode(body, &o); err != nil {
		return Found{}, err
	}
	total, err := o.number("totalRevenue")
	if err != nil {
		return Found{}, err
	}
	var rows []object
	if err := o.take("breakDown", &rows); err != nil {
		return Found{}, err
	}
	const method = "gross on-chain revenue of one day"
	out := Found{Unknown: o.unknown("totalRevenue", "breakDown"), Observations: []Observation{observed("sector", "revenue", s.Name(), total, "USD/d", day, method+", all networks it tracks")}}
	for _, row := range rows {
		name, err := row.text("name")
		if err != nil {
			return Found{}, err
		}
		revenue, err := row.number("revenue")
		if err != nil {
			return Found{}, fmt.Errorf("project %.40q: %w", name, err)
		}
		if e, err := s.Catalog.Find(name); err == nil {
			out.Observations = append(out.Observations, observed(e.ID, "revenue", s.Name(), revenue, "USD/d", day, method))
		}
	}
	return out, nil
}
