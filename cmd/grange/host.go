package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/host"
	"github.com/grange-network/grange/node/local"
	"github.com/grange-network/grange/node/verticals"
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
			"of it. The card holds no secrets. Exchange the cards of all machines, then run grange join on each. The phrase of\n" +
			"the operator's key is shown once, on standard error. grange key seal HOME/chain/keys/operator.json encrypts it.",
		Example: "grange init --name alpha --address 192.0.2.1:26656 --chain-id grange-four-1",
		Args:    args(),
		RunE: func(c *cobra.Command, _ []string) error {
			o.ShowPhrase = func(phrase string) { showPhrase(c.ErrOrStderr(), phrase) }
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
	c.Flags().StringSliceVar(&o.With, "with", nil, "verticals that the network has besides storage, the same on every machine: "+strings.Join(verticals.Optional(), ", "))
	return c
}

func newJoin(g *globals) *cobra.Command {
	var late host.LateOptions
	c := &cobra.Command{
		Use:   "join [CARD...]",
		Short: "Make the chain of all founding machines from their cards, or join a network that runs",
		Long: "Make the chain of all founding machines from their cards, this machine's own among them. Every machine runs\n" +
			"this with the same cards, in any order, and gets the same genesis: compare the hash it prints.\n\n" +
			"With --genesis, a file or the RPC URL of a node, join a network that runs already. --genesis-sha256 checks the\n" +
			"genesis against the hash its founders published; without, the node of the URL is believed.",
		Example: "grange join alpha.json beta.json gamma.json delta.json\n" +
			"grange join --genesis http://192.0.2.1:26657 --genesis-sha256 3dee2117...",
		RunE: func(c *cobra.Command, given []string) error {
			switch {
			case late.Genesis != "" && len(given) > 0:
				return cliout.Failf(cliout.Usage, c.CommandPath()+" --help", "cards found a network, --genesis joins one that runs: give one of them")
			case late.Genesis != "":
				hash, err := host.JoinRunning(c.Context(), g.home, late)
				return joined(g, c, hash, 0, "full", err)
			case len(given) == 0:
				return cliout.Failf(cliout.Usage, c.CommandPath()+" --help", "%s needs the CARD of every machine, or --genesis", c.CommandPath())
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
			return joined(g, c, hash, len(cards), "validator", err)
		},
	}
	c.Flags().StringVar(&late.Genesis, "genesis", "", "genesis file, or RPC URL of a node, of a network that runs")
	c.Flags().StringVar(&late.SHA256, "genesis-sha256", "", "the hash that the genesis must have")
	c.Flags().StringArrayVar(&late.Peers, "peer", nil, "a node of it: NODE-ID@host:port or RPC URL (default: that of --genesis)")
	return c
}

func joined(g *globals, c *cobra.Command, hash string, founders int, role string, err error) error {
	if err != nil {
		return explainHost(g, err)
	}
	return g.out(c).Emit(map[string]any{"genesis_sha256": hash, "validators": founders}, func(w io.Writer) error {
		pairs := [][2]string{{"genesis sha256", hash}}
		if founders > 0 {
			pairs = append(pairs, [2]string{"validators", fmt.Sprint(founders)})
		}
		next := "grange start --role " + role
		if role == "validator" {
			next += " --price MILLIONTHS_OF_A_USD"
		}
		return cliout.Pairs(w, append(pairs, [2]string{"next", next + g.homeFlag()})...)
	})
}

func newStart(g *globals) *cobra.Command {
	var o host.StartOptions
	var role, otlp, trust string
	var verbose bool
	c := &cobra.Command{
		Use:   "start",
		Short: "Run this machine's role in a network of many",
		Long: "Run this machine's role in a network of many until Ctrl-C or SIGTERM. The role validator runs the ledger's node\n" +
			"and its operator's duties; the role full the node only. Its p2p port is that of its card; RPC, gRPC and REST are on loopback unless told\n" +
			"otherwise and have no TLS. The log goes to standard error.",
		Example: "grange start --role validator\n" +
			"grange start --role full --state-sync 120000:9F3C...   # take a snapshot, believing that header",
		Args: args(),
		RunE: func(c *cobra.Command, _ []string) error {
			if role != "validator" && role != "full" {
				return cliout.Failf(cliout.Usage, "grange start --role validator", "unknown role %q, want validator or full", role)
			}
			o.Full = role == "full"
			var err error
			if o.TrustHeight, o.TrustHash, err = parseTrust(trust); err != nil {
				return err
			}
			exportTo(otlp)
			o.Logger = newLogger(os.Stderr, verbose)
			return explainHost(g, host.Start(c.Context(), g.home, o, func(p host.Plan) {
				fmt.Fprintf(c.ErrOrStderr(), "%s is ready: RPC %s, gRPC %s, REST %s\n", p.Name, o.RPC, o.GRPC, o.REST)
			}))
		},
	}
	f := c.Flags()
	f.StringVar(&role, "role", "", "what to run: validator or full")
	f.StringVar(&trust, "state-sync", "", "HEIGHT:HASH of a header you trust: a node without state takes a snapshot from its peers")
	f.StringArrayVar(&o.TrustRPC, "state-sync-rpc", nil, "RPC URL of a node that tells headers (default: those of the join)")
	f.Uint64Var(&o.SnapshotEvery, "snapshot-every", 1000, "blocks between two snapshots for new nodes (0: none)")
	f.StringVar(&o.Signer, "signer-listen", "", "host:port where a remote signer with the consensus key connects (default: the key file signs)")
	f.StringVar(&o.RPC, "rpc-listen", "127.0.0.1:26657", "where CometBFT's RPC listens")
	f.StringVar(&o.GRPC, "grpc-listen", "127.0.0.1:9090", "where gRPC listens")
	f.StringVar(&o.REST, "rest-listen", "127.0.0.1:1317", "where REST listens")
	f.StringVar(&o.Metrics, "metrics-listen", "127.0.0.1:26660", "where Prometheus metrics are shown (empty: nowhere)")
	otlpFlag(c, &otlp)
	f.Uint64Var(&o.Price, "price", 0, "price of a GRAIN to vote, in millionths of a USD (0: no votes)")
	f.StringVar(&o.Evidence, "evidence", "", "where the evidence of verticals is: a directory, or http(s)://HOST/BUCKET[/PREFIX][?region=R] of any S3 with\nits keys in $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY (kept until given again)")
	f.StringVar(&o.Published, "published-listen", "", "host:port where the epochs scored here are served to everybody (default: nowhere)")
	f.StringArrayVar(&o.Verifiers, "verifier", nil, "URL where another verifier serves its epochs, or its home here; a wrong report is refuted with them\n(repeat it; kept until given again, --verifier \"\" for none)")
	f.BoolVar(&o.RetainEvidence, "retain-evidence", false, "remove evidence that is too old; one of those who share a store does")
	f.BoolVarP(&verbose, "verbose", "v", false, "log more")
	return c
}

func parseTrust(s string) (height int64, hash string, err error) {
	if s == "" {
		return 0, "", nil
	}
	at, hash, _ := strings.Cut(s, ":")
	height, err = strconv.ParseInt(at, 10, 64)
	if raw, bad := hex.DecodeString(hash); err != nil || bad != nil || len(raw) != 32 || height < 1 {
		return 0, "", cliout.Failf(cliout.Usage, "curl NODE/commit?height=HEIGHT", "--state-sync %q: want HEIGHT:HASH with 64 hex digits, of a block's header", s)
	}
	return height, hash, nil
}

// newValidator returns the commands of a machine that becomes a validator later.
func newValidator(g *globals) *cobra.Command {
	c := &cobra.Command{Use: "validator", Short: "Become a validator of a network that runs", RunE: group}
	var stake uint64
	create := &cobra.Command{
		Use:   "create",
		Short: "Make this machine a validator of the network it runs in",
		Long: "Make this machine a validator of the network it runs in (grange start --role full, caught up): one transaction\n" +
			"of its operator's account, which must own the stake and a fee. Then stop it and start it with --role validator.",
		Example: "grange validator create --stake 1000",
		Args:    args(),
		RunE: func(c *cobra.Command, _ []string) error {
			if stake == 0 {
				return cliout.Failf(cliout.Usage, "grange validator create --stake 1000", "--stake is missing: how many GRAIN to stake")
			}
			e, err := local.LoadEndpoints(g.home)
			if err != nil {
				return cliout.Failf(cliout.Unavailable, "grange start --role full"+g.homeFlag(), "no node is running at %s", g.home)
			}
			height, hash, err := host.CreateValidator(c.Context(), g.home, client.Endpoints{GRPC: e.GRPC, RPC: strings.TrimPrefix(e.RPC, "http://")}, stake*1_000_000)
			if err != nil {
				return explainHost(g, err)
			}
			return g.out(c).Emit(map[string]any{"height": height, "txhash": hash}, func(w io.Writer) error {
				return cliout.Pairs(w, [2]string{"height", fmt.Sprint(height)}, [2]string{"txhash", hash},
					[2]string{"next", "stop the node, then grange start --role validator" + g.homeFlag()})
			})
		},
	}
	create.Flags().Uint64Var(&stake, "stake", 0, "GRAIN to stake")
	c.AddCommand(create)
	return c
}

// explainHost gives a machine's errors their exit code.
func explainHost(g *globals, err error) error {
	var refused *host.Error
	var held *node.HeldError
	var tx *client.TxError
	switch {
	case errors.As(err, &tx):
		return cliout.Fail(cliout.Refused, err, "")
	case errors.Is(err, key.ErrSealed), errors.Is(err, key.ErrPassphrase):
		return cliout.Fail(cliout.Refused, err, passphraseEnv+"=FILE grange start --role validator"+g.homeFlag())
	case errors.As(err, &refused):
		return cliout.Fail(cliout.Refused, err, "")
	case errors.As(err, &held):
		return cliout.Failf(cliout.Unavailable, "", "a node is running already at %s, process %d", g.home, held.PID)
	case errors.Is(err, os.ErrNotExist):
		return cliout.Fail(cliout.NotFound, err, "")
	}
	return err
}
