package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/grange-network/grange/ledger/server"
)

// maxGenesis bounds a genesis file, in bytes.
const maxGenesis = 256 << 20

// askWithin bounds one question to a node that runs.
const askWithin = 30 * time.Second

// LateOptions say which running network a machine joins.
type LateOptions struct {
	Genesis string   // path of its genesis file, or the RPC URL of a node
	Peers   []string // id@host:port, or RPC URLs of nodes; at least one
	SHA256  string   // of the genesis file, as grange join printed it; not checked if empty
}

// JoinRunning makes the home of a node, made by Init, part of a network that runs
// already: its genesis and some of its nodes. It returns the SHA-256 of the genesis
// file in hex, which is that of every other machine.
func JoinRunning(ctx context.Context, home string, o LateOptions) (string, error) {
	own, err := ReadCard(CardPath(home))
	if errors.Is(err, fs.ErrNotExist) {
		return "", refusef("join: no card at %s: run grange init first", home)
	}
	if err != nil {
		return "", err
	}
	p := Plan{Name: own.Name, ChainID: own.ChainID, Late: true}
	if p.Host, p.Port, err = net.SplitHostPort(own.Address); err != nil {
		return "", err
	}
	document, err := foreignGenesis(ctx, own, o)
	if err != nil {
		return "", err
	}
	if len(o.Peers) == 0 && isURL(o.Genesis) {
		o.Peers = []string{o.Genesis}
	}
	for _, peer := range o.Peers {
		if isURL(peer) {
			p.RPC = append(p.RPC, peer)
			if peer, err = peerOf(ctx, peer); err != nil {
				return "", err
			}
		}
		if id, addr, ok := strings.Cut(peer, "@"); !ok || len(id) != 40 || checkAddress(addr) != nil {
			return "", refusef("join: peer %q is neither a URL nor NODE-ID@host:port", peer)
		}
		p.Peers = append(p.Peers, peer)
	}
	if len(p.Peers) == 0 {
		return "", refusef("join: no peer: name one node of the network with --peer")
	}
	if err := server.WriteGenesis(chainHome(home), document); errors.Is(err, fs.ErrExist) {
		return "", refusef("join: %s has a chain already", home)
	} else if err != nil {
		return "", err
	}
	return digest(document), writeJSON(planPath(home), p)
}

// digest is the SHA-256 in hex of a genesis file with that content.
func digest(document []byte) string {
	sum := sha256.Sum256(append(document, '\n')) // as the file has it
	return hex.EncodeToString(sum[:])
}

func foreignGenesis(ctx context.Context, own Card, o LateOptions) ([]byte, error) {
	raw, err := readGenesis(ctx, o.Genesis)
	if err != nil {
		return nil, err
	}
	document, chainID, err := server.CanonicalGenesis(raw)
	if err != nil {
		return nil, refusef("join: %s: %v", o.Genesis, err)
	}
	if chainID != own.ChainID {
		return nil, refusef("join: the genesis is of chain %s, this machine's card says %s", chainID, own.ChainID)
	}
	if got := digest(document); o.SHA256 != "" && !strings.EqualFold(o.SHA256, got) {
		return nil, refusef("join: the genesis has SHA-256 %s, not %s: ask whom you trust", got, o.SHA256)
	}
	return document, nil
}

func readGenesis(ctx context.Context, from string) ([]byte, error) {
	if isURL(from) {
		var told struct{ Genesis json.RawMessage }
		err := ask(ctx, from, "/genesis", &told)
		return told.Genesis, err
	}
	f, err := os.Open(from)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxGenesis+1))
	if err == nil && len(raw) > maxGenesis {
		err = refusef("join: %s is longer than %d bytes", from, maxGenesis)
	}
	return raw, err
}

// peerOf asks a node how peers dial it. Where it listens on every address, its
// host is that of the URL.
func peerOf(ctx context.Context, rpc string) (string, error) {
	var told struct {
		Node struct {
			ID     string `json:"id"`
			Listen string `json:"listen_addr"`
		} `json:"node_info"`
	}
	if err := ask(ctx, rpc, "/status", &told); err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(strings.TrimPrefix(told.Node.Listen, "tcp://"))
	if err != nil {
		return "", refusef("join: %s says it listens at %q", rpc, told.Node.Listen)
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		u, err := url.Parse(rpc)
		if err != nil {
			return "", refusef("join: %v", err)
		}
		host = u.Hostname()
	}
	return told.Node.ID + "@" + net.JoinHostPort(host, port), nil
}

func isURL(s string) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

// ask reads the result of one of CometBFT's RPC methods.
func ask(ctx context.Context, rpc, method string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(rpc, "/")+method, nil)
	if err != nil {
		return refusef("join: %v", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("join: ask a node of the network: %w", err)
	}
	defer resp.Body.Close()
	var answer struct{ Result json.RawMessage }
	err = json.NewDecoder(io.LimitReader(resp.Body, maxGenesis)).Decode(&answer)
	if err == nil {
		err = json.Unmarshal(answer.Result, into)
	}
	if err != nil {
		return fmt.Errorf("join: %s%s answers %s and no result: %w", rpc, method, resp.Status, err)
	}
	return nil
}
