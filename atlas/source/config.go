package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/grange-network/grange/atlas"
)

// Config says which sources are asked. A source that is not named is not asked.
type Config struct {
	CoinGecko  *Service   `yaml:"coingecko"`
	DefiLlama  *Protocols `yaml:"defillama"`
	Akash      *Service   `yaml:"akash"`
	Helium     *Service   `yaml:"helium"`
	Spacescope *Service   `yaml:"spacescope"`
	DePINNinja *Service   `yaml:"depin-ninja"`
}

// Service is one source. A key is never in the configuration, only its file.
type Service struct {
	URL     string `yaml:"url"`
	KeyFile string `yaml:"key-file"`
}

// Protocols is DefiLlama with the slug of each entry.
type Protocols struct {
	URL   string            `yaml:"url"`
	Slugs map[string]string `yaml:"slugs"` // entry id to slug
}

// ReadConfig reads a configuration with no unknown key.
func ReadConfig(r io.Reader) (Config, error) {
	var c Config
	b, err := io.ReadAll(io.LimitReader(r, 64<<10))
	if err != nil {
		return c, fmt.Errorf("read configuration: %w", err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return c, fmt.Errorf("read configuration: %w: %w", ErrConfig, err)
	}
	return c, nil
}

// Sources builds what is configured.
func (c Config) Sources(cat *atlas.Catalog) ([]Source, error) {
	var all []Source
	add := func(s *Service, address string, needsKey bool, build func(address, key string) Source) error {
		if s == nil {
			return nil
		}
		key, err := s.key(needsKey)
		if err != nil {
			return err
		}
		all = append(all, build(or(s.URL, address), key))
		return nil
	}
	err := errors.Join(
		add(c.CoinGecko, "https://api.coingecko.com/api/v3", false, func(a, k string) Source { return CoinGecko{a, k, cat} }),
		add(c.Akash, "https://console-api.akash.network/v1", false, func(a, _ string) Source { return Akash{a} }),
		add(c.Helium, "https://entities.nft.helium.io/v2", false, func(a, _ string) Source { return Helium{a} }),
		add(c.Spacescope, "https://api.spacescope.io/v2", true, func(a, k string) Source { return Spacescope{a, k} }),
		add(c.DePINNinja, "https://api.depin.ninja", true, func(a, k string) Source { return DePINNinja{a, k, cat} }),
	)
	if err != nil {
		return nil, err
	}
	if c.DefiLlama != nil {
		for id := range c.DefiLlama.Slugs {
			if _, ok := cat.Entry(id); !ok {
				return nil, fmt.Errorf("slug of %.40q: %w: %w", id, atlas.ErrNotFound, ErrConfig)
			}
		}
		all = append(all, DefiLlama{or(c.DefiLlama.URL, "https://api.llama.fi"), c.DefiLlama.Slugs})
	}
	return all, nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return strings.TrimSuffix(s, "/")
}

// key reads the key's file.
func (s Service) key(needed bool) (string, error) {
	if s.KeyFile == "" {
		if needed {
			return "", fmt.Errorf("a source needs key-file: %w", ErrConfig)
		}
		return "", nil
	}
	b, err := os.ReadFile(s.KeyFile)
	if err != nil {
		return "", fmt.Errorf("read key: %w", err)
	}
	k := strings.TrimSpace(string(b))
	if k == "" || strings.ContainsAny(k, "\r\n") {
		return "", fmt.Errorf("key in %s: want one line: %w", s.KeyFile, ErrConfig)
	}
	return k, nil
}
