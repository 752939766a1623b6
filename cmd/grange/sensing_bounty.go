package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/vertical/sensing/bounty"
)

func newDataBounty(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use: "bounty", Short: "Promise so much for a new street image of each cell of an area", Args: cobra.ArbitraryArgs, RunE: group,
		Long: "A bounty is an order: whoever takes an image in the area after it was put up is paid what it says from the buyer's\n" +
			"lease, once for each cell and week, if the image is what its device signed of it. Everybody sees what is wanted.",
	}
	c.AddCommand(newBountyPlace(g), newBountyList(g), newBountyShow(g), newBountyFetch(g), newBountyEnd(g))
	return c
}

func newBountyPlace(g *globals) *cobra.Command {
	var f dataFlags
	var price, until string
	t := bounty.Terms{Product: "images/coverage"}
	c := &cobra.Command{
		Use: "place AREA", Short: "Put up a bounty for an H3 cell and all in it", Args: args("an AREA, an H3 cell of resolution 5 to 12"),
		Example: "grange sensing data bounty place 871f8d7a4ffffff --price 0.02 --most 100\n" +
			"grange sensing data bounty place 8c1f8d7a4d9a5ff --price 1 --most 1 --until 2026-12-31",
		RunE: func(c *cobra.Command, given []string) error {
			amount, err := parseCredits(price)
			if err != nil {
				return cliout.Fail(cliout.Usage, fmt.Errorf("--price: %w", err), c.CommandPath()+" --help")
			}
			if t.Until, err = parseUntil(until, time.Now()); err != nil {
				return cliout.Fail(cliout.Usage, err, c.CommandPath()+" --help")
			}
			if err := f.resolve(g); err != nil {
				return err
			}
			t.Area, t.Units = given[0], uint64(amount)
			var b bounty.Bounty
			if err := f.send(c.Context(), http.MethodPost, "/v1/bounties", t, &b); err != nil {
				return err
			}
			return g.out(c).Emit(b, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "bounty %s: %s for each new image in %s, at most %d, until %s\n", b.ID, cliout.Credits(b.Units), b.Area, b.Most, b.Until.Format(time.DateOnly))
				return err
			})
		},
	}
	f.register(c)
	c.Flags().StringVar(&price, "price", "0.02", "USD for an image, from 0.005")
	c.Flags().IntVar(&t.Most, "most", 100, "images that are bought, up to 1000")
	c.Flags().StringVar(&t.Every, "every", "168h", "a cell is paid again for an image that is so much newer")
	c.Flags().StringVar(&until, "until", "", "a date (default: in 30 days)")
	return c
}

// parseUntil reads a date; 30 days from now without one.
func parseUntil(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now.Add(30 * 24 * time.Hour).UTC().Truncate(time.Second), nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, fmt.Errorf("--until %q: want a date as 2026-12-31", text)
	}
	return t, nil
}

func newBountyList(g *globals) *cobra.Command {
	var f dataFlags
	var mine bool
	c := &cobra.Command{
		Use: "list", Short: "List what is wanted, or with --mine the buyer's own", Args: cobra.NoArgs,
		Example: "grange sensing data bounty list\ngrange sensing data bounty list --mine",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.resolve(g); err != nil {
				return err
			}
			path := "/v1/bounties"
			if mine {
				path += "?mine=1"
			}
			var listed struct {
				Bounties []bounty.Bounty `json:"bounties"`
			}
			if err := f.read(c.Context(), path, &listed); err != nil {
				return err
			}
			return g.out(c).Emit(listed, func(w io.Writer) error {
				if len(listed.Bounties) == 0 {
					_, err := fmt.Fprintln(w, "nothing is wanted just now")
					return err
				}
				table := cliout.NewTable("BOUNTY", "PRODUCT", "AREA", "PAYS", "BOUGHT", "LEFT", "UNTIL", "STATE")
				for _, b := range listed.Bounties {
					table.Row(b.ID, b.Product, b.Area, cliout.Credits(b.Units), len(b.Bought), b.Left(), b.Until.Format(time.DateOnly), state(&b, time.Now()))
				}
				return table.Write(w)
			})
		},
	}
	f.register(c)
	c.Flags().BoolVar(&mine, "mine", false, "the buyer's own, those that are over too")
	return c
}

func state(b *bounty.Bounty, now time.Time) string {
	switch {
	case b.Ended:
		return "ended"
	case b.Left() == 0:
		return "filled"
	case !now.Before(b.Until):
		return "over"
	case b.Trouble != "":
		return "open, with trouble"
	}
	return "open"
}

func newBountyShow(g *globals) *cobra.Command {
	var f dataFlags
	c := &cobra.Command{
		Use: "show BOUNTY", Short: "Show what was bought for a bounty", Args: args("a BOUNTY's id"),
		Example: "grange sensing data bounty show 5f0c9a1e77d2b340",
		RunE: func(c *cobra.Command, given []string) error {
			var b bounty.Bounty
			if err := f.bounty(c.Context(), g, given[0], &b); err != nil {
				return err
			}
			return g.out(c).Emit(b, func(w io.Writer) error {
				if _, err := fmt.Fprintf(w, "%s for each new image in %s: %d bought, %d left, until %s, %s\n", cliout.Credits(b.Units), b.Area, len(b.Bought), b.Left(), b.Until.Format(time.DateOnly), state(&b, time.Now())); err != nil {
					return err
				}
				if b.Trouble != "" {
					if _, err := fmt.Fprintln(w, "trouble:", b.Trouble); err != nil {
						return err
					}
				}
				if len(b.Bought) == 0 {
					return nil
				}
				table := cliout.NewTable("NUMBER", "CELL", "TAKEN", "DEVICE", "PAID")
				for i, x := range b.Bought {
					table.Row(i, x.Cell, x.Taken.Format(time.DateTime), cliout.Short(x.Device), cliout.Credits(x.Units))
				}
				return table.Write(w)
			})
		},
	}
	f.register(c)
	return c
}

func newBountyFetch(g *globals) *cobra.Command {
	var f dataFlags
	var dir string
	c := &cobra.Command{
		Use: "fetch BOUNTY", Short: "Write the images that a bounty bought to a folder", Args: args("a BOUNTY's id"),
		Long:    "Writes CELL-NUMBER.jpg for each image that was bought; those that are there already are passed over. They are paid.",
		Example: "grange sensing data bounty fetch 5f0c9a1e77d2b340 --dir street",
		RunE: func(c *cobra.Command, given []string) error {
			var b bounty.Bounty
			if err := f.bounty(c.Context(), g, given[0], &b); err != nil {
				return err
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			fetched := 0
			for i, x := range b.Bought {
				path := filepath.Join(dir, fmt.Sprintf("%s-%d.jpg", filepath.Base(x.Cell), i))
				if _, err := os.Stat(path); err == nil {
					continue
				}
				if err := f.fetch(c, fmt.Sprintf("/v1/bounties/%s/%d", url.PathEscape(b.ID), i), path); err != nil {
					return err
				}
				fetched++
			}
			fmt.Fprintf(c.ErrOrStderr(), "%d images written to %s, %d were there\n", fetched, dir, len(b.Bought)-fetched)
			return nil
		},
	}
	f.register(c)
	c.Flags().StringVar(&dir, "dir", ".", "folder")
	return c
}

// fetch writes what is at an address to a file, which is there when it is whole.
func (f *dataFlags) fetch(c *cobra.Command, address, path string) error {
	resp, err := f.get(c.Context(), address)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	part := path + ".part"
	if err := save(c, part, resp.Body); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return os.Rename(part, path)
}

func newBountyEnd(g *globals) *cobra.Command {
	var f dataFlags
	c := &cobra.Command{
		Use: "end BOUNTY", Short: "End a bounty: nothing more is bought", Args: args("a BOUNTY's id"),
		Example: "grange sensing data bounty end 5f0c9a1e77d2b340",
		RunE: func(c *cobra.Command, given []string) error {
			if err := f.resolve(g); err != nil {
				return err
			}
			var b bounty.Bounty
			if err := f.send(c.Context(), http.MethodDelete, "/v1/bounties/"+url.PathEscape(given[0]), nil, &b); err != nil {
				return err
			}
			return g.out(c).Emit(b, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "bounty %s is ended; %d were bought\n", b.ID, len(b.Bought))
				return err
			})
		},
	}
	f.register(c)
	return c
}

// bounty reads one of the buyer's bounties.
func (f *dataFlags) bounty(ctx context.Context, g *globals, id string, b *bounty.Bounty) error {
	if err := f.resolve(g); err != nil {
		return err
	}
	return f.read(ctx, "/v1/bounties/"+url.PathEscape(id), b)
}

// send sends v as JSON and reads the answer. What the gateway refuses is the
// command's failure.
func (f *dataFlags) send(ctx context.Context, method, path string, v, into any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	resp, err := f.ask(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}
