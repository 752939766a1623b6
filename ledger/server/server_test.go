package server_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/grange-network/grange/ledger/server"
)

func startLocal(t *testing.T, home string, g server.LocalGenesis) *server.Node {
	t.Helper()
	if _, err := server.InitHome(t.Context(), home, g); err != nil {
		t.Fatal(err)
	}
	n, err := server.Start(context.Background(), server.Config{Home: home, CommitTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Error("stop:", err)
		}
	})
	select {
	case <-n.Ready():
	case <-n.Done():
		t.Fatal("node stopped:", n.Wait())
	case <-time.After(30 * time.Second):
		t.Fatal("no block within 30 s")
	}
	return n
}

func latestHeight(t *testing.T, n *server.Node) string {
	t.Helper()
	defer http.DefaultClient.CloseIdleConnections()
	resp, err := http.Get("http://" + n.Endpoints().REST + "/cosmos/base/tendermint/v1beta1/blocks/latest")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(resp.Body)
	var v struct {
		Block struct{ Header struct{ Height string } }
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return v.Block.Header.Height
}

func TestStartStopContinue(t *testing.T) {
	home := t.TempDir()
	n := startLocal(t, home, server.LocalGenesis{})
	t.Log("height", latestHeight(t, n), n.Endpoints())
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	m := startLocal(t, home, server.LocalGenesis{})
	t.Log("height", latestHeight(t, m))
}

func TestMain(m *testing.M) {
	if raw := os.Getenv(childConfig); raw != "" {
		runChild(raw)
	}
	goleak.VerifyTestMain(m,
		// Started by a package, for the life of the process.
		goleak.IgnoreAnyFunction("github.com/desertbit/timer.timerRoutine"),
		// Ends some seconds after its database is closed.
		goleak.IgnoreAnyFunction("github.com/syndtr/goleveldb/leveldb.(*DB).mpoolDrain"),
		// CometBFT leaves these behind when a node stops.
		goleak.IgnoreAnyFunction("github.com/cometbft/cometbft/libs/autofile.OpenAutoFile.func1"),
		goleak.IgnoreAnyFunction("github.com/cometbft/cometbft/libs/autofile.(*AutoFile).closeFileRoutine"),
		goleak.IgnoreAnyFunction("github.com/cometbft/cometbft/privval.(*SignerListenerEndpoint).serviceLoop"),
		goleak.IgnoreAnyFunction("github.com/cometbft/cometbft/privval.(*SignerListenerEndpoint).pingLoop"),
		goleak.IgnoreAnyFunction("github.com/cometbft/cometbft/proxy.(*multiAppConn).killTMOnClientError"),
	)
}
