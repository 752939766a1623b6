package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/node/local"
	"github.com/grange-network/grange/verify"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/query"
)

func newSensingData(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use: "data", Short: "Ask for observations, and check what was answered", Args: cobra.ArbitraryArgs, RunE: group,
		Long: "Readings are paid by the row from a standing lease on the ledger. The lease has a token, which in the network\n" +
			"of --home is that of its buyer.",
	}
	c.AddCommand(newDataQuery(g), newDataStations(g), newDataProducts(g), newDataFacts(g), newDataImage(g), newDataBounty(g), newDataToken(g), newDataFund(g), newDataCheck(g))
	return c
}

// dataFlags are where and as whom to ask.
type dataFlags struct{ gateway, token string }

func (f *dataFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.gateway, "gateway", "", "URL of the gateway (default: that of --home)")
	c.Flags().StringVar(&f.token, "token", "", "token of a lease (default: that of the buyer of --home)")
}

// dataTokenPath is where the buyer's token of a home is.
func dataTokenPath(home string) string {
	return filepath.Join(home, "data", local.SensingName, "data", "till", "buyer.token")
}

// resolve fills in what was not given.
func (f *dataFlags) resolve(g *globals) error {
	if f.gateway == "" {
		e, err := local.LoadEndpoints(g.home)
		if err != nil {
			return g.notRunning(err)
		}
		if f.gateway = e.Data; f.gateway == "" {
			return cliout.Failf(cliout.Unavailable, "grange up --help", "the network of %s takes no observations in", g.home)
		}
	}
	if f.token == "" {
		raw, err := os.ReadFile(dataTokenPath(g.home))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		f.token = strings.TrimSpace(string(raw))
	}
	return nil
}

// get asks the gateway.
func (f *dataFlags) get(ctx context.Context, path string) (*http.Response, error) {
	return f.ask(ctx, http.MethodGet, path, nil)
}

// ask sends a request to the gateway. What it refuses is the command's failure.
func (f *dataFlags) ask(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(f.gateway, "/")+path, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+f.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, cliout.Fail(cliout.Unavailable, err, "grange status")
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusCreated {
		return resp, nil
	}
	defer resp.Body.Close()
	var said struct{ Error string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&said); err != nil || said.Error == "" {
		said.Error = cmp.Or(resp.Header.Get("Grange-Note"), resp.Status)
	}
	code := map[int]int{http.StatusNotFound: cliout.NotFound, http.StatusPaymentRequired: cliout.Refused, http.StatusForbidden: cliout.Refused, http.StatusServiceUnavailable: cliout.Unavailable}[resp.StatusCode]
	if code == 0 {
		code = cliout.Usage
	}
	return nil, cliout.Fail(code, fmt.Errorf("the gateway refuses: %s", said.Error), "grange sensing data --help")
}

// answerFlags say of what time an answer is, how it is written, and where to.
type answerFlags struct {
	from, to, format, out string
	price                 bool
}

func (f *answerFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.from, "from", "", "begin, as 2026-03-27 or 2026-03-27T12:00:00Z")
	c.Flags().StringVar(&f.to, "to", "", "end")
	c.Flags().StringVar(&f.format, "format", "", "json, geojson, csv or parquet")
	c.Flags().StringVar(&f.out, "out", "", "file to write")
	c.Flags().BoolVar(&f.price, "price", false, "tell what it would cost, buy nothing")
}

// price tells what an answer would cost.
func (f *dataFlags) price(c *cobra.Command, g *globals, path string) error {
	resp, err := f.ask(c.Context(), http.MethodHead, path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	units, left := resp.Header.Get("Grange-Units"), resp.Header.Get("Grange-Units-Left")
	return g.out(c).Emit(map[string]string{"units": units, "usd": usd(units), "left": left, "lease": resp.Header.Get("Grange-Lease")}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s units (%s USD); lease %s covers %s\n", units, usd(units), cliout.Short(resp.Header.Get("Grange-Lease")), left)
		return err
	})
}

// usd is what units of sold observations cost, a millionth of a USD each.
func usd(units string) string {
	n, err := strconv.ParseUint(units, 10, 64)
	if err != nil {
		return "?"
	}
	text := strings.TrimRight(fmt.Sprintf("%d.%06d", n/1_000_000, n%1_000_000), "0")
	return strings.TrimSuffix(text, ".")
}

// values are the flags and more as parameters, without those that are empty.
func (f *answerFlags) values(more map[string]string) url.Values {
	v := url.Values{}
	for _, all := range []map[string]string{{"from": f.from, "to": f.to, "format": f.format}, more} {
		for name, value := range all {
			if value != "" {
				v.Set(name, value)
			}
		}
	}
	return v
}

func newDataQuery(g *globals) *cobra.Command {
	var f dataFlags
	var a answerFlags
	var agg, qc, kind string
	var vars []string
	var proof bool
	c := &cobra.Command{
		Use: "query CELL", Short: "Ask for the readings of an H3 cell", Args: args("a CELL in hex"),
		Long: "Writes the readings of a cell (H3, resolution 3 to 10) and a time, a day up to now if nothing is said, to standard\n" +
			"output or --out. With --agg they are summed up over the whole cell. The price, a unit for each row, is told on\n" +
			"standard error; --price tells it before, and buys nothing.",
		Example: "grange sensing data query 871f8d7a4ffffff --var temperature --from 2026-03-27 --price\n" +
			"grange sensing data query 871f8d7a4ffffff --var temperature --from 2026-03-27\n" +
			"grange sensing data query 871f8d7a4ffffff --agg mean:1h --format csv --out day.csv\n" +
			"grange sensing data query 871f8d7a4ffffff --proof --out day.json && grange sensing data check day.json",
		RunE: func(c *cobra.Command, given []string) error {
			if err := f.resolve(g); err != nil {
				return err
			}
			v := a.values(map[string]string{"agg": agg, "qc": qc, "kind": kind, "var": strings.Join(vars, ",")})
			if proof {
				v.Set("proof", "1")
			}
			path := "/v1/cells/" + url.PathEscape(given[0]) + "/obs?" + v.Encode()
			if a.price {
				return f.price(c, g, path)
			}
			resp, err := f.get(c.Context(), path)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if err := save(c, a.out, resp.Body); err != nil {
				return err
			}
			paid(c, resp)
			return nil
		},
	}
	f.register(c)
	a.register(c)
	c.Flags().StringSliceVar(&vars, "var", nil, "variables (default: all)")
	c.Flags().StringVar(&agg, "agg", "", "mean, min, max, sum or count, and a bucket: mean:1h")
	c.Flags().StringVar(&qc, "qc", "", "good: only readings without a flag")
	c.Flags().StringVar(&kind, "kind", "", "kind of observation: weather, air, ...")
	c.Flags().BoolVar(&proof, "proof", false, "with the signed batches and their proofs")
	return c
}

func newDataStations(g *globals) *cobra.Command {
	var f dataFlags
	var cell, kind string
	c := &cobra.Command{
		Use: "stations", Short: "List fixed stations and what they measure", Args: cobra.NoArgs,
		Example: "grange sensing data stations\ngrange sensing data stations --cell 831f8dfffffffff --json",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.resolve(g); err != nil {
				return err
			}
			v := url.Values{}
			if cell != "" {
				v.Set("cell", cell)
			}
			if kind != "" {
				v.Set("kind", kind)
			}
			all := []query.Station{}
			for next := "/v1/stations?" + v.Encode(); next != ""; {
				var page struct {
					Stations []query.Station
					Next     string
				}
				if err := f.read(c.Context(), next, &page); err != nil {
					return err
				}
				all, next = append(all, page.Stations...), page.Next
			}
			return g.out(c).Emit(map[string]any{"stations": all}, func(w io.Writer) error {
				t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				fmt.Fprintln(t, "DEVICE\tCELL\tKIND\tVARIABLES\tROWS\tLAST")
				for _, s := range all {
					var names, kinds []string
					var rows uint64
					var last time.Time
					for _, v := range s.Variables {
						names = append(names, v.Name)
						if !slices.Contains(kinds, v.Kind) {
							kinds = append(kinds, v.Kind)
						}
						rows += v.Rows
						if v.Last.After(last) {
							last = v.Last
						}
					}
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\n", cliout.Short(s.Device), s.Cell, strings.Join(kinds, ","), strings.Join(names, ","), rows, last.Format(time.RFC3339))
				}
				return t.Flush()
			})
		},
	}
	f.register(c)
	c.Flags().StringVar(&cell, "cell", "", "only in this H3 cell")
	c.Flags().StringVar(&kind, "kind", "", "only of this kind")
	return c
}

func (f *dataFlags) read(ctx context.Context, path string, v any) error {
	resp, err := f.get(ctx, path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(v)
}

func newDataToken(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "token", Short: "Print the token of the buyer's lease, for other clients", Args: cobra.NoArgs,
		Example: "curl -H \"Authorization: Bearer $(grange sensing data token)\" \"$DATA/v1/cells/831f8dfffffffff/obs\"\n" +
			"mosquitto_sub -u data -P \"$(grange sensing data token)\" -t 'v1.1/#' -p PORT",
		RunE: func(c *cobra.Command, _ []string) error {
			f := dataFlags{gateway: "-"}
			if err := f.resolve(g); err != nil {
				return err
			}
			if f.token == "" {
				return cliout.Failf(cliout.NotFound, "grange status"+g.homeFlag(), "the network of %s has no buyer of data yet", g.home)
			}
			return g.out(c).Emit(map[string]string{"token": f.token}, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, f.token)
				return err
			})
		},
	}
}

func newDataFund(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "fund CREDITS", Short: "Add credits to the escrow of the buyer's lease", Args: args("an amount of CREDITS"),
		Long:    "Adds credits (1 is 1 USD and pays for a million rows) to the escrow of the buyer's data lease, and a fifth of it to\nthe bond behind it.",
		Example: "grange sensing data fund 5",
		RunE: func(c *cobra.Command, given []string) error {
			amount, err := parseCredits(given[0])
			if err != nil {
				return cliout.Fail(cliout.Usage, err, c.CommandPath()+" 5")
			}
			return g.port(c, "buyer", func(ctx context.Context, port *ledgerport.Port) error {
				s, err := port.OpenStanding(ctx, sensing.Name)
				if err != nil {
					return cliout.Fail(cliout.NotFound, err, "grange status"+g.homeFlag())
				}
				if err := port.FundStanding(ctx, s.ID, lease.Lane{ID: s.Lanes[0].ID, Key: s.Lanes[0].Key, Cap: amount}, amount/5); err != nil {
					return err
				}
				fmt.Fprintf(c.ErrOrStderr(), "the lease covers %d more rows; the gateway knows from the next epoch on\n", s.Use.Units(amount))
				return nil
			})
		},
	}
}

func newDataCheck(g *globals) *cobra.Command {
	var published string
	c := &cobra.Command{
		Use: "check FILE", Short: "Check that an answer's readings were signed by their devices and published", Args: args("FILE"),
		Long: "FILE is an answer in JSON that was asked for with --proof; - is standard input. For each reading: its batch is signed\n" +
			"by the device, the batch is in a segment of evidence, and the segment in a manifest. Nothing is asked for that.\n" +
			"With --published, the verifier of --home or a URL is asked whether validators scored that manifest;\n" +
			"\"grange verify --vertical sensing --epoch N\" recomputes the epoch and compares it with the ledger.",
		Example: "grange sensing data check day.json\ngrange sensing data check day.json --published home",
		RunE: func(c *cobra.Command, names []string) error {
			in := c.InOrStdin()
			if names[0] != "-" {
				f, err := os.Open(names[0])
				if errors.Is(err, os.ErrNotExist) {
					return cliout.Fail(cliout.NotFound, err, c.CommandPath()+" --help")
				} else if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			report, err := query.CheckAnswer(in)
			if err != nil {
				return err
			}
			if report.Observations+report.Pending == 0 {
				return cliout.Failf(cliout.Failed, "grange sensing data query --help", "%s holds no readings, so there is nothing to check", names[0])
			}
			scored := map[uint64]string{}
			if published != "" {
				if scored, err = g.scored(c.Context(), published, report.Manifests); err != nil {
					return err
				}
			}
			return g.out(c).Emit(report, func(w io.Writer) error { return writeChecked(w, report, scored) })
		},
	}
	c.Flags().StringVar(&published, "published", "", "home, or the URL of a verifier's published epochs")
	return c
}

func writeChecked(w io.Writer, r query.Report, scored map[uint64]string) error {
	if _, err := fmt.Fprintf(w, "%d readings are signed by their devices and published; %d are signed and not published yet\n", r.Observations, r.Pending); err != nil {
		return err
	}
	for _, m := range r.Manifests {
		if _, err := fmt.Fprintf(w, "  epoch %d, inputs %s%s\n", m.Epoch, m.Inputs, scored[m.Epoch]); err != nil {
			return err
		}
	}
	return nil
}

// scored asks a verifier whether it scored manifests.
func (g *globals) scored(ctx context.Context, from string, all []query.Source) (map[uint64]string, error) {
	if from == "home" {
		e, err := local.LoadEndpoints(g.home)
		if err != nil {
			return nil, g.notRunning(err)
		}
		from = e.Verify
	}
	out := map[uint64]string{}
	for _, m := range all {
		f := dataFlags{gateway: from}
		resp, err := f.get(ctx, fmt.Sprintf("/v1/epochs/%s/%d", sensing.Name, m.Epoch))
		if err != nil {
			out[m.Epoch] = ": not scored yet"
			continue
		}
		raw, err := io.ReadAll(io.LimitReader(resp.Body, 256<<20))
		_ = resp.Body.Close()
		if err != nil {
			return nil, err
		}
		p, err := verify.DecodePublished(raw)
		if err != nil {
			return nil, err
		}
		out[m.Epoch] = ": the verifier scored other evidence"
		if p.Evidence != nil {
			for _, root := range p.Evidence.Manifests {
				if root == m.Inputs {
					out[m.Epoch] = ": scored; \"grange verify --vertical sensing --epoch " + fmt.Sprint(m.Epoch) + "\" compares it with the ledger"
				}
			}
		}
	}
	return out, nil
}
