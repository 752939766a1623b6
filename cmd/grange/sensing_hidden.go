package main

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/vertical/sensing/hidden"
)

// hideFlag names the places that a device hides. They are kept beside its key, so
// that a start that forgets them shows nothing.
type hideFlag struct{ told []string }

func (f *hideFlag) register(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.told, "hide", nil, "a home or another place around which nothing is signed, as LAT,LON,METRES\n(repeat it; kept until given again, --hide \"\" for none)")
}

// places are those told now, or those kept in dir.
func (f *hideFlag) places(c *cobra.Command, dir string, key ed25519.PrivateKey) (hidden.Places, error) {
	path := filepath.Join(dir, "hidden.json")
	var all []hidden.Place
	if len(f.told) == 0 {
		raw, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(raw, &all)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return hidden.Places{}, fmt.Errorf("read the places to hide: %s: %w; give them again with --hide", path, err)
		}
	}
	for _, text := range f.told {
		if text == "" {
			continue
		}
		p, err := hidden.Parse(text)
		if err != nil {
			return hidden.Places{}, cliout.Fail(cliout.Usage, err, c.CommandPath()+" --help")
		}
		all = append(all, p)
	}
	out, err := hidden.New(key.Seed(), all)
	if err != nil {
		return out, cliout.Fail(cliout.Usage, err, c.CommandPath()+" --help")
	}
	if len(f.told) > 0 {
		raw, err := json.Marshal(all)
		if err != nil {
			return out, err
		}
		if err := os.WriteFile(path, append(raw, '\n'), 0o600); err != nil {
			return out, err
		}
	}
	if len(all) > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "hidden places: %d, around which nothing is signed (%s)\n", len(all), path)
	}
	return out, nil
}
