package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/host"
)

// newHost returns the commands of one machine of a network of many.
func newHost(g *globals) []*cobra.Command {
	return []*cobra.Command{newInit(g), newJoin(g), newStart(g)}
}

func newInit(g *globals) *cobra.Command {
	var o host.InitOptions
	c := &cobra.Command{
		Use:   "init",
		Short: "Make this machine's keys and the card that introduces it to others",
		Long: "Make this machine's keys in --home and its card, HOME/card.json: what the other founding machines need to know\n" +
			"of it. The card holds no secrets. Exchange the cards of all machines, then run grange join on each.",
		Example: "grange init --name alpha --address 192.0.2.1:26656 --chain-id grange-four-1",
		Args:    args(),
		RunE: func(c *cobra.Command, _ []string) error {
			card, err := host.Init(c.Context(), g.home, o)
			if err != nil {
				return explainHost(g, err)
			}
			return g.out(c).Emit(card, func(w io.Writer) error {
				return cliout.Pairs(w, [2]string{"card", host.CardPath(g.home)}, [2]string{"node", card.NodeID},
					[2]string{"operator", card.Operator}, [2]string{"next", "grange join ALL-CARDS..." + g.homeFlag()})
			})
		},
	}
	c.Flags().StringVar(&o.Name, "name", "", "this machine's name, different from all others'")
	c.Flags().StringVar(&o.Address, "address", "", "host:port where the others reach this machine")
	c.Flags().StringVar(&o.ChainID, "chain-id", "grange-many-1", "name of the chain, the same on every machine")
	c.Flags().DurationVar(&o.Epoch, "epoch", time.Minute, "length of an epoch, the same on every machine")
	return c
}

func newJoin(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "join CARD...",
		Short: "Make the chain of all founding machines from their cards",
		Long: "Make the chain of all founding machines from their cards, this machine's own among them. Every machine runs\n" +
			"this with the same cards, in any order, and gets the same genesis: compare the hash it prints.",
		Example: "grange join alpha.json beta.json gamma.json delta.json",
		RunE: func(c *cobra.Command, given []string) error {
			if len(given) == 0 {
				return cliout.Failf(cliout.Usage, c.CommandPath()+" --help", "%s needs the CARD of every machine", c.CommandPath())
			}
			var cards []host.Card
			for _, path := range given {
				card, err := host.ReadCard(path)
				if err != nil {
					return explainHost(g, err)
				}
				cards = append(cards, card)
			}
			hash, err := host.Join(g.home, cards)
			if err != nil {
				return explainHost(g, err)
			}
			return g.out(c).Emit(map[string]any{"genesis_sha256": hash, "validators": len(cards)}, func(w io.Writer) error {
				return cliout.Pairs(w, [2]string{"genesis sha256", hash}, [2]string{"validators", fmt.Sprint(len(cards))},
					[2]string{"next", "grange start --role validator" + g.homeFlag()})
			})
		},
	}
}

func newStart(g *globals) *cobra.Command {
	var o host.StartOptions
	var role, otlp string
	var verbose bool
	c := &cobra.Command{
		Use:   "start",
		Short: "Run this machine's role in a network of many",
		Long: "Run this machine's role in a network of many until Ctrl-C or SIGTERM. The role validator runs the ledger's node\n" +
			"and its operator's duties. Its p2p port is that of its card; RPC, gRPC and REST are on loopback unless told\n" +
			"otherwise and have no TLS. The log goes to standard error.",
		Example: "grange start --role validator",
		Args:    args(),
		RunE: func(c *cobra.Command, _ []string) error {
			if role != "validator" {
				return cliout.Failf(cliout.Usage, "grange start --role validator", "unknown role %q", role)
			}
			exportTo(otlp)
			o.Logger = newLogger(os.Stderr, verbose)
			return explainHost(g, host.Start(c.Context(), g.home, o, func(p host.Plan) {
				fmt.Fprintf(c.ErrOrStderr(), "%s is ready: RPC %s, gRPC %s, REST %s\n", p.Name, o.RPC, o.GRPC, o.REST)
			}))
		},
	}
	f := c.Flags()
	f.StringVar(&role, "role", "", "what to run: validator")
	f.StringVar(&o.RPC, "rpc-listen", "127.0.0.1:26657", "where CometBFT's RPC listens")
	f.StringVar(&o.GRPC, "grpc-listen", "127.0.0.1:9090", "where gRPC listens")
	f.StringVar(&o.REST, "rest-listen", "127.0.0.1:1317", "where REST listens")
	f.StringVar(&o.Metrics, "metrics-listen", "127.0.0.1:26660", "where Prometheus metrics are shown (empty: nowhere)")
	otlpFlag(c, &otlp)
	f.Uint64Var(&o.Price, "price", 0, "price of a GRAIN to vote, in millionths of a USD (0: no votes)")
	f.BoolVarP(&verbose, "verbose", "v", false, "log more")
	return c
}

// explainHost gives a machine's errors their exit code.
func explainHost(g *globals, err error) error {
	var refused *host.Error
	var held *node.HeldError
	switch {
	case errors.As(err, &refused):
		return cliout.Fail(cliout.Refused, err, "")
	case errors.As(err, &held):
		return cliout.Failf(cliout.Unavailable, "", "a node is running already at %s, process %d", g.home, held.PID)
	case errors.Is(err, os.ErrNotExist):
		return cliout.Fail(cliout.NotFound, err, "")
	}
	return err
}
