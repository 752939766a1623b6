package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Limits of what the data gateway may answer.
const (
	gatewayTimeout = 3 * time.Second // for a list, of however many pages
	gatewayFresh   = 5 * time.Second // an answer is told again
	gatewayBytes   = 8 << 20         // of a page
	stationPages   = 5               // of a thousand
	maxBounties    = 1000
)

// gateway is where the network's observations are sold. Its free lists are read
// here, so that a browser asks nobody but the explorer.
type gateway struct {
	base    string // URL, without a slash at its end
	client  *http.Client
	timeout time.Duration // for a list
	fresh   time.Duration // for which an answer is told again
	log     *slog.Logger

	stations kept[stationList]
	products kept[[]soldProduct]
	bounties kept[[]bounty]
}

// newGateway is nil for the empty URL: then there is none.
func newGateway(url string, timeout time.Duration, log *slog.Logger) *gateway {
	if url == "" {
		return nil
	}
	return &gateway{
		base: strings.TrimRight(url, "/"), timeout: timeout, fresh: gatewayFresh, log: log,
		client: &http.Client{
			Transport:     &http.Transport{DisableKeepAlives: true}, // it is asked once in a while
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// What the gateway says, as far as the explorer shows it.
type (
	stationPage struct {
		Stations []gatewayStation `json:"stations"`
		Next     string           `json:"next"`
	}
	gatewayStation struct {
		Number    uint32            `json:"number"`
		Device    string            `json:"device"`
		Cell      string            `json:"cell"`
		Variables []gatewayVariable `json:"variables"`
	}
	gatewayVariable struct {
		Name string    `json:"name"`
		Kind string    `json:"kind"`
		Unit string    `json:"unit"`
		Last time.Time `json:"last"`
	}
	gatewayProduct struct {
		Kind       string    `json:"kind"`
		Name       string    `json:"name"`
		About      string    `json:"about"`
		Of         string    `json:"of"`
		Values     []measure `json:"values"`
		Resolution int       `json:"resolution"`
		Step       string    `json:"step"`
		Owners     int       `json:"owners"`
		Told       time.Time `json:"told"`
		Object     uint64    `json:"object_units"` // a unit is a millionth of a credit
	}
	gatewayBounty struct {
		ID      string    `json:"id"`
		Product string    `json:"product"`
		Area    string    `json:"area"`
		Units   uint64    `json:"units"` // as above
		Every   string    `json:"every"`
		Most    int       `json:"most"` // that are paid yet
		Placed  time.Time `json:"placed"`
		Until   time.Time `json:"until"`
	}
)

// read asks for a list. An error goes on a sentence that begins with the gateway;
// it does not say where that is.
func (g *gateway) read(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.base+path, nil)
	if err != nil {
		return errors.New("has an address that is none")
	}
	req.Header.Set("Accept", "application/json")
	resp, err := g.client.Do(req)
	if err != nil {
		return g.silent(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %d when asked for %s", resp.StatusCode, path)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, gatewayBytes+1))
	if err != nil {
		return g.silent(ctx, err)
	}
	if len(raw) > gatewayBytes {
		return fmt.Errorf("answered more than %d MiB when asked for %s", gatewayBytes>>20, path)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("answered something that is no list when asked for %s", path)
	}
	return nil
}

// silent explains why there is no answer.
func (g *gateway) silent(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("does not answer within %s", g.timeout)
	}
	g.log.Debug("data gateway cannot be reached", "gateway", g.base, "error", err)
	return errors.New("cannot be reached")
}
