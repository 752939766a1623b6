package main

import (
	"encoding/hex"
	"maps"
	"os"
	"slices"
	"strings"

	"cosmossdk.io/client/v2/autocli"
	"cosmossdk.io/core/appmodule"
	"cosmossdk.io/log/v2"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/ledger/app"
	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/encoding"
	"github.com/grange-network/grange/node/local"
)

// newChainStub is the place of a command tree that is made from the ledger's
// own services only when it is asked for: building it takes a while.
func newChainStub(name, short string) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, RunE: group, DisableFlagParsing: true}
}

// wantsChain reports whether the command line names one of the trees.
func wantsChain(root *cobra.Command, args []string) bool {
	c, _, err := root.Find(args)
	return err == nil && c.Parent() == root && (c.Name() == "query" || c.Name() == "tx")
}

// addChain replaces the stubs by every query and message of every module.
func addChain(root *cobra.Command, g *globals) error {
	for _, c := range root.Commands() {
		if c.Name() == "query" || c.Name() == "tx" {
			root.RemoveCommand(c)
		}
	}
	a, err := app.New(log.NewNopLogger(), dbm.NewMemDB(), local.ChainID, app.Options{})
	if err != nil {
		return err
	}
	defer a.Close()
	modules := map[string]appmodule.AppModule{}
	for name, m := range a.Manager.Modules {
		if am, ok := m.(appmodule.AppModule); ok {
			modules[name] = am
		}
	}
	c := client.Context{
		Codec: a.Codec, InterfaceRegistry: a.Registry, TxConfig: a.Tx, LegacyAmino: a.Amino, Input: os.Stdin,
		AccountRetriever: authtypes.AccountRetriever{}, Keyring: keyring.NewInMemory(a.Codec),
	}
	err = autocli.AppOptions{
		Modules: modules, AddressCodec: encoding.AccountAddresses(), ValidatorAddressCodec: encoding.ValidatorAddresses(),
		ConsensusAddressCodec: encoding.ConsensusAddresses(), ClientCtx: c,
	}.EnhanceRootCommand(root)
	if err != nil {
		return err
	}
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return prepareChain(cmd, g, c) }
	return nil
}

// prepareChain gives a generated command its connection and keys: those of the
// network of --home where its flags name no others.
func prepareChain(cmd *cobra.Command, g *globals, c client.Context) error {
	f := cmd.Flags()
	if f.Lookup(flags.FlagNode) == nil {
		return nil // help and the like
	}
	if e, err := local.LoadEndpoints(g.home); err == nil {
		setDefault(f, flags.FlagNode, e.RPC)
		setDefault(f, flags.FlagGRPC, e.GRPC)
		setDefault(f, flags.FlagGRPCInsecure, "true")
		setDefault(f, flags.FlagChainID, e.ChainID)
	} else if !f.Changed(flags.FlagNode) {
		return g.notRunning(err)
	}
	setDefault(f, flags.FlagGasPrices, chain.MinGasPrice)
	setDefault(f, flags.FlagGas, flags.GasFlagAuto)
	setDefault(f, flags.FlagGasAdjustment, "1.6")
	if g.json {
		setDefault(f, flags.FlagOutput, flags.OutputFormatJSON)
	}
	if from := f.Lookup(flags.FlagFrom); from != nil { // a query needs no keys
		names, err := importKeys(c.Keyring, g.home)
		if err != nil {
			return err
		}
		if err := checkFrom(from.Value.String(), names, g.home); err != nil {
			return err
		}
	}
	c = c.WithOutput(cmd.OutOrStdout()).WithHomeDir(g.home).WithCmdContext(cmd.Context())
	return client.SetCmdClientContextHandler(c, cmd)
}

// setDefault sets a flag that the person has not set.
func setDefault(f *pflag.FlagSet, name, value string) {
	if fl := f.Lookup(name); fl != nil && !fl.Changed {
		_ = f.Set(name, value) // of a flag that exists, to a value of its kind
	}
}

// importKeys makes the accounts of the home usable by name: --from buyer. It
// returns the names in order.
func importKeys(ring keyring.Keyring, home string) ([]string, error) {
	accounts, err := accountsIn(home)
	if err != nil {
		return nil, explainKey("FILE", err)
	}
	for name, k := range accounts {
		if err := ring.ImportPrivKeyHex(name, hex.EncodeToString(k.Private().Key), "secp256k1"); err != nil {
			return nil, cliout.Failf(cliout.Failed, "ls "+home+"/keys", "read key of %s: %w", name, err)
		}
	}
	return slices.Sorted(maps.Keys(accounts)), nil
}

// checkFrom refuses a --from that is neither an address nor one of the names.
func checkFrom(from string, names []string, home string) error {
	if from == "" || strings.HasPrefix(from, chain.Prefix+"1") || slices.Contains(names, from) {
		return nil
	}
	if len(names) == 0 {
		return cliout.Failf(cliout.NotFound, "grange tx --help", "%s has no account's key, so none of %q", home, from)
	}
	return cliout.Failf(cliout.NotFound, "--from "+names[0], "%s has no key named %q, it has those of %s", home, from, strings.Join(names, ", "))
}

// short descriptions of the generated trees.
var chainTrees = map[string]string{
	"query": "Ask any module of the ledger (every query there is)",
	"tx":    "Send any message of any module: --from buyer, sponsor, operator, owner-storage-01, ...",
}

func describeChain(root *cobra.Command) {
	for _, c := range root.Commands() {
		if s, ok := chainTrees[c.Name()]; ok {
			c.Short = s
			c.Long = c.Short + ". The keys are those of --home: of grange up the names above, of grange\nlocalnet user and validator-1, ..., of grange start operator."
			c.Example = "grange query market leases\ngrange query bank balances ADDRESS\ngrange tx credit buy 1000000 --from sponsor --yes\n" +
				"grange tx bank send operator ADDRESS 1000000000ugrain --yes"
		}
	}
}
