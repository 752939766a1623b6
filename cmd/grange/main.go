// Command grange is every role of the network in one binary: it starts a
// network on one machine, acts on its roles, and shows what the ledger knows.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"charm.land/fang/v2"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/ledger/server"
)

func main() { os.Exit(run()) }

// run is main without the exit, so that tests can be the command.
func run() int {
	server.Tune() // before anything parses an address
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	key.SetAsker(asksPassphrase())
	g := new(globals)
	root := newRoot(g)
	root.SetOut(os.Stdout) // generated commands print with Println, whose default is stderr
	if wantsChain(root, os.Args[1:]) {
		if err := addChain(root, g); err != nil {
			cliout.Show(os.Stderr, err)
			return cliout.Failed
		}
		describeChain(root)
	}
	err := fang.Execute(ctx, root,
		fang.WithoutVersion(),
		fang.WithErrorHandler(func(_ io.Writer, _ fang.Styles, err error) {
			cliout.Show(root.ErrOrStderr(), classify(err))
		}))
	return cliout.Code(classify(err))
}
