package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/vertical/sensing/query"
)

func newDataProducts(g *globals) *cobra.Command {
	var f dataFlags
	c := &cobra.Command{
		Use: "products", Short: "List what is told of many devices together: counts, maps, coverage, indices", Args: cobra.NoArgs,
		Example: "grange sensing data products",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.resolve(g); err != nil {
				return err
			}
			var listed struct {
				Products []query.Product `json:"products"`
			}
			if err := f.read(c.Context(), "/v1/products", &listed); err != nil {
				return err
			}
			return g.out(c).Emit(listed, func(w io.Writer) error {
				t := cliout.NewTable("PRODUCT", "OF", "NUMBERS", "EVERY", "CELLS", "OWNERS", "TOLD UNTIL")
				for _, p := range listed.Products {
					var names []string
					for _, m := range p.Values {
						names = append(names, m.Name)
					}
					t.Row(p.Kind+"/"+p.Name, p.Of, strings.Join(names, ","), step(p.Step), fmt.Sprint("resolution ", p.Resolution), max(1, p.Owners), p.Told.Format("2006-01-02 15:04"))
				}
				if err := t.Write(w); err != nil {
					return err
				}
				for _, p := range listed.Products {
					if _, err := fmt.Fprintf(w, "\n%s/%s: %s", p.Kind, p.Name, p.About); err != nil {
						return err
					}
				}
				_, err := fmt.Fprintln(w)
				return err
			})
		},
	}
	f.register(c)
	return c
}

// step is a duration as people say it.
func step(text string) string {
	switch d, err := time.ParseDuration(text); {
	case err != nil:
		return text
	case d == time.Hour:
		return "hour"
	case d == 7*24*time.Hour:
		return "week"
	default:
		return d.String()
	}
}

func newDataFacts(g *globals) *cobra.Command {
	var f dataFlags
	var a answerFlags
	var of string
	c := &cobra.Command{
		Use: "facts PRODUCT CELL", Short: "Ask for the facts of a product in an H3 cell", Args: args("a PRODUCT, KIND/NAME as \"grange sensing data products\" lists it", "a CELL in hex"),
		Long: "Writes what a product tells of a cell (H3, resolution 3 up to the product's) to standard output, as a table if no\n" +
			"--format is said, or to --out. Without --from and --to it is the newest period that is told. What phones and cars\n" +
			"showed is told when enough owners had a part in it and nothing can be added any more. The price, a unit for each\n" +
			"device in each fact, is told on standard error.",
		Example: "grange sensing data facts air/index 871f8d7a4ffffff\n" +
			"grange sensing data facts events/counts 831f8dfffffffff --of pothole --from 2026-03-02 --to 2026-03-09 --format geojson --out potholes.json",
		RunE: func(c *cobra.Command, given []string) error {
			if err := f.resolve(g); err != nil {
				return err
			}
			path, err := productPath(c, given)
			if err != nil {
				return err
			}
			path += "?" + a.values(map[string]string{"of": of}).Encode()
			if a.price {
				return f.price(c, g, path)
			}
			resp, err := f.get(c.Context(), path)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if a.format == "" && a.out == "" && !g.json {
				err = writeFacts(c.OutOrStdout(), resp.Body)
			} else {
				err = save(c, a.out, resp.Body)
			}
			if err == nil {
				paid(c, resp)
			}
			return err
		},
	}
	f.register(c)
	a.register(c)
	c.Flags().StringVar(&of, "of", "", "only of this class, network or device")
	return c
}

func newDataImage(g *globals) *cobra.Command {
	var f dataFlags
	var at, out string
	c := &cobra.Command{
		Use: "image CELL", Short: "Buy the newest street image of a piece of street", Args: args("a CELL of resolution 12 in hex"),
		Long: "Fetches the newest image of a cell in a week, which the gateway compares with what its device signed of it before it\n" +
			"sells it. \"grange sensing data facts images/coverage CELL\" lists the cells that there are images of.",
		Example: "grange sensing data image 8c1f8d7a4d9a5ff --out street.jpg",
		RunE: func(c *cobra.Command, given []string) error {
			if err := f.resolve(g); err != nil {
				return err
			}
			if out == "" {
				return cliout.Failf(cliout.Usage, c.CommandPath()+" "+given[0]+" --out street.jpg", "an image goes into a file: say --out FILE")
			}
			v := url.Values{}
			if at != "" {
				v.Set("at", at)
			}
			resp, err := f.get(c.Context(), "/v1/products/images/coverage/"+url.PathEscape(given[0])+"/object?"+v.Encode())
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if err := save(c, out, resp.Body); err != nil {
				return err
			}
			paid(c, resp)
			return nil
		},
	}
	f.register(c)
	c.Flags().StringVar(&at, "at", "", "a time in the week (default: this week)")
	c.Flags().StringVar(&out, "out", "", "file to write")
	return c
}

func productPath(c *cobra.Command, given []string) (string, error) {
	kind, name, ok := strings.Cut(given[0], "/")
	if !ok {
		return "", cliout.Failf(cliout.Usage, "grange sensing data products", "%q is no product, want KIND/NAME as events/counts", given[0])
	}
	return "/v1/products/" + url.PathEscape(kind) + "/" + url.PathEscape(name) + "/" + url.PathEscape(given[1]), nil
}

// save writes an answer to a file, or to standard output.
func save(c *cobra.Command, out string, body io.Reader) (err error) {
	if out == "" {
		_, err = io.Copy(c.OutOrStdout(), body)
		return err
	}
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, body)
	if e := file.Close(); err == nil {
		err = e
	}
	return err
}

// paid tells what an answer cost, and why there is nothing in it.
func paid(c *cobra.Command, resp *http.Response) {
	if text := resp.Header.Get("Grange-Note"); text != "" {
		fmt.Fprintln(c.ErrOrStderr(), text)
	}
	units := resp.Header.Get("Grange-Units")
	fmt.Fprintf(c.ErrOrStderr(), "%s units (%s USD) paid from lease %s, which covers %s more\n",
		units, usd(units), cliout.Short(resp.Header.Get("Grange-Lease")), resp.Header.Get("Grange-Units-Left"))
}

func writeFacts(w io.Writer, body io.Reader) error {
	var told query.Told
	if err := json.NewDecoder(body).Decode(&told); err != nil {
		return fmt.Errorf("read the gateway's answer: %w", err)
	}
	if len(told.Facts) == 0 {
		_, err := fmt.Fprintf(w, "%s tells nothing of %s from %s to %s; it is told until %s\n", told.Product, told.Cell,
			told.From.Format(time.DateTime), told.To.Format(time.DateTime), told.Until.Format(time.DateTime))
		return err
	}
	header := []string{"CELL", "TIME"}
	if told.Of != "" {
		header = append(header, strings.ToUpper(told.Of))
	}
	for _, m := range told.Values {
		header = append(header, strings.ToUpper(m.Name))
	}
	t := cliout.NewTable(append(header, "DEVICES")...)
	for _, f := range told.Facts {
		row := []any{f.Cell, f.Time.Format("2006-01-02 15:04")}
		if told.Of != "" {
			row = append(row, cliout.Short(f.Of))
		}
		for _, m := range told.Values {
			v, known := f.Values[m.Name]
			if !known {
				v = math.NaN()
			}
			row = append(row, figure(m, v))
		}
		t.Row(append(row, f.Devices)...)
	}
	return t.Write(w)
}

// figure writes a number for people, a time in Unix seconds as one.
func figure(m query.Measure, v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case m.Unit == "s":
		return time.Unix(int64(v), 0).UTC().Format("01-02 15:04")
	}
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}
