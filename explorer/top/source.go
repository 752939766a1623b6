package top

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswer bounds an answer of the API in bytes.
const maxAnswer = 8 << 20

// Source asks an explorer.
type Source struct {
	base  string
	owner string
	http  *http.Client
}

// NewSource asks the explorer at base (an http URL), about the devices of owner
// or, when it is empty, of all.
func NewSource(base, owner string) *Source {
	return &Source{base: strings.TrimSuffix(base, "/"), owner: owner, http: &http.Client{Timeout: 10 * time.Second}}
}

// Picture is one answer to everything on the screen. Amounts are decimal strings,
// as the API writes them.
type Picture struct {
	Status   status    `json:"status"`
	Devices  []device  `json:"devices"`
	Leases   []lease   `json:"leases"`
	Rewards  []reward  `json:"rewards"`
	Problems []problem `json:"problems"`
	More     bool      `json:"more"` // there are more devices than are shown
}

type status struct {
	Chain  string `json:"chain_id"`
	Height int64  `json:"height"`
	Index  struct {
		State   string  `json:"state"`
		Message *string `json:"message"`
	} `json:"index"`
	Epoch *struct {
		Number int64      `json:"number"`
		Status string     `json:"status"`
		Ends   *time.Time `json:"ends"`
	} `json:"epoch"`
}

type device struct {
	ID      string  `json:"id"`
	Status  string  `json:"status"`
	Outcome *string `json:"outcome"`
	Proven  *string `json:"proven_units"`
	Claimed string  `json:"claimed_units"`
	Sold    string  `json:"sold_units"`
	Leases  int64   `json:"leases"`
	Net     string  `json:"net_ucredit"`
	Slashed string  `json:"slashed_ugrain"`
}

type lease struct {
	ID     string  `json:"id"`
	Device *string `json:"device"`
	State  string  `json:"state"`
	Held   *string `json:"held_units"`
	Net    string  `json:"net_ucredit"`
	Faults int64   `json:"faults"`
}

type reward struct {
	Device  string `json:"device"`
	Epoch   int64  `json:"epoch"`
	Net     string `json:"net_ucredit"`
	Claimed string `json:"claimed_ugrain"`
}

type problem struct {
	Time   time.Time `json:"time"`
	Device *string   `json:"device"`
	What   string    `json:"what"`
}

// Read asks for everything on the screen.
func (s *Source) Read(ctx context.Context) (Picture, error) {
	var p Picture
	var devices struct {
		Items []device `json:"items"`
		Next  *string  `json:"next"`
	}
	var leases struct{ Items []lease }
	var rewards struct{ Items []reward }
	var health struct{ Problems []problem }
	who := url.Values{"limit": {"200"}}
	if s.owner != "" {
		who.Set("owner", s.owner)
	}
	for _, q := range []struct {
		path string
		into any
	}{
		{"/v1/status", &p.Status}, {"/v1/devices?" + who.Encode(), &devices}, {"/v1/leases?" + who.Encode(), &leases},
		{"/v1/rewards?" + who.Encode(), &rewards}, {"/v1/storage/health", &health},
	} {
		if err := s.get(ctx, q.path, q.into); err != nil {
			return p, err
		}
	}
	p.Devices, p.Leases, p.Rewards, p.More = devices.Items, leases.Items, rewards.Items, devices.Next != nil
	own := map[string]bool{}
	for _, d := range p.Devices {
		own[d.ID] = true
	}
	for _, x := range health.Problems {
		if s.owner == "" || x.Device != nil && own[*x.Device] {
			p.Problems = append(p.Problems, x)
		}
	}
	return p, nil
}

func (s *Source) get(ctx context.Context, path string, into any) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+path, nil)
	if err != nil {
		return fmt.Errorf("ask explorer %s: %w", s.base, err)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask explorer: %w", err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("ask explorer for %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		var e struct{ Error string }
		_ = json.Unmarshal(raw, &e) // another answer has no sentence
		return fmt.Errorf("ask explorer for %s: %s %s", path, resp.Status, e.Error)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read answer of explorer to %s: %w", path, err)
	}
	return nil
}
