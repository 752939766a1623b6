package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/spf13/cobra"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/node/ledgerview"
	"github.com/grange-network/grange/node/local"
)

// newDeviceIssuers lists issuers and proposes them.
func newDeviceIssuers(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use: "issuers", Short: "List who may attest devices and accounts", Args: args(),
		Long: "List who may attest devices and accounts: manufacturers, verifiers of hardware. Governance names them:\n" +
			"grange device issuers propose.",
		Example: "grange device issuers",
		RunE: func(c *cobra.Command, _ []string) error {
			return g.read(c, func(ctx context.Context, v *ledgerview.View) error {
				all, err := v.Issuers(ctx)
				if err != nil {
					return err
				}
				return g.out(c).Emit(all, func(w io.Writer) error {
					t := cliout.NewTable("ISSUER", "LEVEL", "NAME", "KEY").Right(1)
					for _, i := range all {
						t.Row(i.Address, i.Level, i.Name, i.KeyType+" "+cliout.Short(i.Key))
					}
					return t.Write(w)
				})
			})
		},
	}
	c.AddCommand(newDeviceIssuersPropose(g))
	return c
}

func newDeviceIssuersPropose(g *globals) *cobra.Command {
	var i devicepb.Issuer
	var from, keyFile string
	var deposit int64
	c := &cobra.Command{
		Use: "propose ADDRESS", Short: "Ask the validators to name, change or remove an issuer", Args: args("the ADDRESS of the issuer's account"),
		Long: "Submit a governance proposal that makes the account at ADDRESS an issuer whose attestations, signed with the\n" +
			"ed25519 key in --key (made when there is none), count up to --level: 1 it knows whose the device is, 2 the key is\n" +
			"in hardware, 3 the software was measured too. Level 0 removes the issuer and what it attested.",
		Example: "grange device issuers propose grange1... --name 'Acme Devices' --level 2 --key acme.pem --from operator\n" +
			"grange tx gov vote 1 yes --from operator --yes",
		RunE: func(c *cobra.Command, given []string) error {
			if i.Name == "" || i.Level > device.MaxLevel {
				return cliout.Failf(cliout.Usage, c.CommandPath()+" --help", "want a --name and a --level of 0 to %d", device.MaxLevel)
			}
			k, err := local.DeviceKey(keyFile)
			if err != nil {
				return err
			}
			i.Address, i.KeyType, i.PublicKey = given[0], devicepb.KEY_TYPE_ED25519, k.Public().(ed25519.PublicKey)
			return g.port(c, from, func(ctx context.Context, p *ledgerport.Port) error {
				id, err := p.ProposeIssuer(ctx, i, deposit*1_000_000)
				if err != nil {
					return err
				}
				return g.out(c).Emit(map[string]any{"proposal": id}, func(w io.Writer) error {
					return cliout.Pairs(w, [2]string{"proposal", fmt.Sprint(id)}, [2]string{"key", keyFile},
						[2]string{"next", fmt.Sprintf("each validator: grange tx gov vote %d yes --from operator --yes", id)})
				})
			})
		},
	}
	f := c.Flags()
	f.StringVar(&i.Name, "name", "", "who it is, at most 64 bytes")
	f.Uint32Var(&i.Level, "level", 1, "highest level that its attestations count for, 0 to remove it")
	f.StringVar(&keyFile, "key", "issuer.pem", "file of the key that signs its attestations")
	f.StringVar(&from, "from", "operator", "account that proposes: a name in --home or a key file")
	f.Int64Var(&deposit, "deposit", 10, "GRAIN to deposit, returned unless the proposal is vetoed")
	return c
}

func newDeviceAttest(g *globals) *cobra.Command {
	var from, issuer, keyFile, claim string
	var level uint8
	var serial uint64
	var valid time.Duration
	c := &cobra.Command{
		Use: "attest DEVICE|ACCOUNT", Short: "Say as an issuer what a device or an account is", Args: args("a DEVICE id or an ACCOUNT address"),
		Long: "Sign as an issuer that a device or an account is of a level, and record it. --claim is a file with what is\n" +
			"claimed, of which the ledger gets the SHA-256, or that hash in hex. An attestation raises a reward cap and replaces\n" +
			"no check. Whoever pays the fee (--from) need not be the issuer.",
		Example: "grange device attest 3fa9c2 --level 2 --key acme.pem --issuer grange1... --claim evidence.json --from operator\n" +
			"grange device attestations 3fa9c2",
		RunE: func(c *cobra.Command, given []string) error {
			a := device.Attestation{Level: level, Serial: serial, Expires: time.Now().Add(valid).Unix()}
			if _, err := os.Stat(keyFile); err != nil {
				return missingFile(err)
			}
			k, err := local.DeviceKey(keyFile)
			if err != nil {
				return err
			}
			if a.Claim, err = readClaim(claim); err != nil {
				return missingFile(err)
			}
			if a.Kind, a.Subject, err = g.subject(c, given[0]); err != nil {
				return err
			}
			return g.port(c, from, func(ctx context.Context, p *ledgerport.Port) error {
				if issuer == "" {
					issuer = p.Address()
				}
				serial, now, err := p.Attest(ctx, issuer, k, a)
				if err != nil {
					return err
				}
				return g.out(c).Emit(map[string]any{"serial": serial, "level": now}, func(w io.Writer) error {
					return cliout.Pairs(w, [2]string{"serial", fmt.Sprint(serial)}, [2]string{"level now", fmt.Sprint(now)},
						[2]string{"expires", time.Unix(a.Expires, 0).UTC().Format(time.DateTime)})
				})
			})
		},
	}
	f := c.Flags()
	f.Uint8Var(&level, "level", 1, "1 to 3, at most the issuer's")
	f.StringVar(&claim, "claim", "", "file with what is claimed, or its SHA-256 in hex")
	f.DurationVar(&valid, "valid", 365*24*time.Hour, "how long it counts")
	f.Uint64Var(&serial, "serial", 0, "its number, above that of the last one (default: the next)")
	f.StringVar(&keyFile, "key", "issuer.pem", "file of the issuer's signing key")
	f.StringVar(&issuer, "issuer", "", "the issuer's account address (default: that of --from)")
	f.StringVar(&from, "from", "operator", "account that sends it: a name in --home or a key file")
	return c
}

func newDeviceRevoke(g *globals) *cobra.Command {
	var from string
	var serial uint64
	c := &cobra.Command{
		Use: "revoke DEVICE|ACCOUNT", Short: "Make void what an issuer attested", Args: args("a DEVICE id or an ACCOUNT address"),
		Long: "Make void what the issuer whose account is --from attested of a device or an account, up to a serial, recorded or\n" +
			"not. A later attestation with a higher serial counts again.",
		Example: "grange device revoke 3fa9c2 --from issuer.json",
		RunE: func(c *cobra.Command, given []string) error {
			kind, raw, err := g.subject(c, given[0])
			if err != nil {
				return err
			}
			subject := hex.EncodeToString(raw)
			if kind == device.SubjectAccount {
				subject = given[0]
			}
			return g.port(c, from, func(ctx context.Context, p *ledgerport.Port) error {
				upTo, err := p.Revoke(ctx, subject, serial)
				if err != nil {
					return err
				}
				return g.out(c).Emit(map[string]any{"serial": upTo}, func(w io.Writer) error {
					return cliout.Pairs(w, [2]string{"revoked up to serial", fmt.Sprint(upTo)})
				})
			})
		},
	}
	c.Flags().Uint64Var(&serial, "serial", 0, "up to which number (default: the last one)")
	c.Flags().StringVar(&from, "from", "operator", "the issuer's account: a name in --home or a key file")
	return c
}

// subject reads an account address, or finds a device by the beginning of its id.
func (g *globals) subject(c *cobra.Command, text string) (kind device.SubjectKind, raw []byte, err error) {
	if a, err := sdk.AccAddressFromBech32(text); err == nil {
		return device.SubjectAccount, a, nil
	}
	err = g.read(c, func(ctx context.Context, v *ledgerview.View) error {
		d, err := v.Device(ctx, text)
		if err != nil {
			return missing(err, "grange device list"+g.homeFlag())
		}
		raw, err = hex.DecodeString(d.ID)
		return err
	})
	return device.SubjectDevice, raw, err
}

// port connects an account to the ledger of --home and sends with it.
func (g *globals) port(c *cobra.Command, from string, f func(context.Context, *ledgerport.Port) error) error {
	k, err := g.account(from)
	if err != nil {
		return err
	}
	return g.serving(c, func(ctx context.Context, l *client.Client, _ *slog.Logger) error {
		return explainHost(g, f(ctx, ledgerport.New(l, k, nil)))
	})
}

// readClaim reads a hash in hex, or hashes a file.
func readClaim(text string) (sum [32]byte, err error) {
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == len(sum) {
		return [32]byte(raw), nil
	}
	if strings.TrimSpace(text) == "" {
		return sum, cliout.Failf(cliout.Usage, "grange device attest --help", "--claim is missing: a file with what is claimed, or its SHA-256 in hex")
	}
	raw, err := os.ReadFile(text)
	return sha256.Sum256(raw), err
}

// missingFile gives a file that is not there its exit code.
func missingFile(err error) error {
	if os.IsNotExist(err) {
		return cliout.Fail(cliout.NotFound, err, "")
	}
	return err
}
