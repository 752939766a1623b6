// Command s3dir serves S3 from a directory: the door with plain segment files
// behind it. It is for trying clients and for benchmarks, not for keeping data.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/grange-network/grange/vertical/storage/s3"
	"github.com/grange-network/grange/vertical/storage/s3/internal/dirsegments"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on")
	home := flag.String("home", "", "directory for everything")
	access := flag.String("access", "grange", "access key")
	secret := flag.String("secret", "grange-secret", "secret key")
	accounts := flag.String("accounts", "", "directory for further accounts; default none")
	flag.Parse()
	if err := run(*addr, *home, *access, *secret, *accounts); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(addr, home, access, secret, accounts string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	segments, err := dirsegments.Open(filepath.Join(home, "segments"))
	if err != nil {
		return err
	}
	return s3.Serve(ctx, s3.Config{
		Addr: addr, AccessKey: access, SecretKey: secret,
		Home: filepath.Join(home, "door"), Segments: segments, Accounts: accounts,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Ready:  func(addr string) { fmt.Println("http://" + addr) },
	})
}
