package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/ledger/key"
)

// passphraseEnv names the file that holds the passphrase of sealed key files, for
// programs that nobody sits in front of. The passphrase itself is never in the
// environment or on the command line, where other users see it.
const passphraseEnv = "GRANGE_PASSPHRASE_FILE"

// newKey returns the commands for files of account keys.
func newKey(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "key",
		Short: "Make, seal and look at files of account keys",
		Long: "Make, seal and look at files of account keys. A sealed file is encrypted with a passphrase (age, scrypt) and\n" +
			"works wherever a plain one does. The passphrase is asked for at the terminal; without one it is the first\n" +
			"line of the file that $" + passphraseEnv + " names (- is standard input). It is never a flag or an argument.",
		Example: "grange key new owner.json\ngrange key seal owner.json",
		RunE:    group,
	}
	c.AddCommand(newKeyNew(g), newKeyRecover(g), newKeyShow(g),
		newKeyChange(g, "seal", "Encrypt a key file with a passphrase", func(path string) error {
			p, err := passphrase(path, true)
			if err != nil {
				return err
			}
			return key.Seal(path, p)
		}),
		newKeyChange(g, "unseal", "Write a sealed key file as a plain one", key.Unseal))
	return c
}

func newKeyNew(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "new FILE", Short: "Make a key and show its phrase once", Args: args("a FILE"),
		Long: "Make a key, save it in FILE and show its 24-word BIP-39 phrase on standard error, once. Who has the phrase\n" +
			"has the account: write it on paper. The file is plain: grange key seal FILE encrypts it.",
		Example: "grange key new owner.json",
		RunE: func(c *cobra.Command, given []string) error {
			phrase, err := key.NewMnemonic()
			if err != nil {
				return err
			}
			k, err := saveFromPhrase(phrase, given[0])
			if err != nil {
				return explainKey(given[0], err)
			}
			showPhrase(c.ErrOrStderr(), phrase)
			return printKey(g, c, k, given[0])
		},
	}
}

func newKeyRecover(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "recover FILE", Short: "Make the key file again from its phrase, read from standard input", Args: args("a FILE"),
		Example: "grange key recover owner.json < phrase.txt",
		RunE: func(c *cobra.Command, given []string) error {
			raw, err := io.ReadAll(io.LimitReader(c.InOrStdin(), 1<<10))
			if err != nil {
				return err
			}
			k, err := saveFromPhrase(strings.Join(strings.Fields(string(raw)), " "), given[0])
			if err != nil {
				return explainKey(given[0], err)
			}
			return printKey(g, c, k, given[0])
		},
	}
}

func saveFromPhrase(phrase, path string) (key.Key, error) {
	k, err := key.FromMnemonic(phrase, 0)
	if err != nil {
		return k, err
	}
	return k, k.Save(path)
}

func newKeyShow(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "show FILE", Short: "Check a key file and print its address", Args: args("a FILE"),
		Example: "grange key show owner.json",
		RunE: func(c *cobra.Command, given []string) error {
			k, err := key.Load(given[0])
			if err != nil {
				return explainKey(given[0], err)
			}
			return printKey(g, c, k, given[0])
		},
	}
}

func newKeyChange(g *globals, name, short string, change func(path string) error) *cobra.Command {
	return &cobra.Command{
		Use: name + " FILE", Short: short, Args: args("a FILE"), Example: "grange key " + name + " owner.json",
		RunE: func(c *cobra.Command, given []string) error {
			if err := change(given[0]); err != nil {
				return explainKey(given[0], err)
			}
			fmt.Fprintf(c.ErrOrStderr(), "%s is %sed\n", given[0], name)
			return nil
		},
	}
}

func printKey(g *globals, c *cobra.Command, k key.Key, path string) error {
	sealed, err := key.IsSealed(path)
	if err != nil {
		return err
	}
	return g.out(c).Emit(map[string]any{"address": k.String(), "sealed": sealed}, func(w io.Writer) error {
		return cliout.Pairs(w, [2]string{"address", k.String()}, [2]string{"sealed", fmt.Sprint(sealed)})
	})
}

func showPhrase(w io.Writer, phrase string) {
	fmt.Fprintf(w, "Write these words on paper. They are the key, and are not shown again:\n\n  %s\n\n", phrase)
}

func explainKey(path string, err error) error {
	switch {
	case errors.Is(err, key.ErrPassphrase), errors.Is(err, fs.ErrExist):
		return cliout.Fail(cliout.Refused, err, "")
	case errors.Is(err, key.ErrSealed):
		return cliout.Fail(cliout.Refused, err, passphraseEnv+"=FILE grange key show "+path)
	case errors.Is(err, fs.ErrNotExist):
		return cliout.Fail(cliout.NotFound, err, "")
	}
	return err
}

// passphrase asks for the passphrase of the key file at path, twice if it is new.
func passphrase(path string, fresh bool) (string, error) {
	if name := os.Getenv(passphraseEnv); name != "" {
		return readPassphrase(name)
	}
	stdin := int(os.Stdin.Fd())
	if !term.IsTerminal(stdin) {
		return "", key.ErrSealed
	}
	ask := func(what string) (string, error) {
		fmt.Fprintf(os.Stderr, "%s of %s: ", what, path)
		raw, err := term.ReadPassword(stdin)
		fmt.Fprintln(os.Stderr)
		return string(raw), err
	}
	first, err := ask("passphrase")
	if err != nil || !fresh {
		return first, err
	}
	second, err := ask("passphrase again")
	if err == nil && first != second {
		err = errors.New("seal account key: the two passphrases differ")
	}
	return first, err
}

// readPassphrase returns the first line of a file that only its owner can read, or
// of standard input.
func readPassphrase(name string) (string, error) {
	in := os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", fmt.Errorf("read passphrase: %w", err)
		}
		defer f.Close()
		if info, err := f.Stat(); err != nil || info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
			return "", fmt.Errorf("read passphrase: others can read %s: run chmod 600 on it", name)
		}
		in = f
	}
	line, err := bufio.NewReader(io.LimitReader(in, 4<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read passphrase: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// asksPassphrase remembers what was said: a process may load a key several times.
func asksPassphrase() key.Asker {
	var mu sync.Mutex
	said := map[string]string{}
	return func(path string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if p, ok := said[path]; ok {
			return p, nil
		}
		p, err := passphrase(path, false)
		if err == nil {
			said[path] = p
		}
		return p, err
	}
}
