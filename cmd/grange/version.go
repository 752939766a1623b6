package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set at release: -ldflags "-X main.version=v1.2.3".
var version = "dev"

type versionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
	SDK     string `json:"cosmos_sdk"`
	Comet   string `json:"cometbft"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

func newVersion(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version of this program and of the engine in it", Args: args(),
		RunE: func(c *cobra.Command, _ []string) error {
			v := versionInfo{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
			if b, ok := debug.ReadBuildInfo(); ok {
				v.read(b)
			}
			return g.out(c).Emit(v, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "grange %s (%s, cosmos-sdk %s, cometbft %s, %s/%s)\n", v.Version, v.Go, v.SDK, v.Comet, v.OS, v.Arch)
				return err
			})
		},
	}
}

func (v *versionInfo) read(b *debug.BuildInfo) {
	for _, s := range b.Settings {
		if s.Key == "vcs.revision" {
			v.Commit = s.Value
		}
	}
	for _, m := range b.Deps {
		switch m.Path {
		case "github.com/cosmos/cosmos-sdk":
			v.SDK = m.Version
		case "github.com/cometbft/cometbft":
			v.Comet = m.Version
		}
	}
}
