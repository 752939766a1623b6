package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cosmossdk.io/math"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/rpc/client/http"
	cmttypes "github.com/cometbft/cometbft/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/grange-network/grange/internal/ports"
	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/node/cluster"
	"github.com/grange-network/grange/node/host"
	"github.com/grange-network/grange/vertical/notary"
)

// A machine that joins later is this test's program with this word, a home and
// its options in JSON.
const hostWord = "serve-host"

type hostOptions struct {
	RPC, GRPC, REST string
	TrustHeight     int64
	TrustHash       string
}

func serveHost(home, raw string) {
	var o hostOptions
	if err := json.Unmarshal([]byte(raw), &o); err != nil {
		log.Fatal(err)
	}
	err := host.Start(context.Background(), home, host.StartOptions{
		RPC: o.RPC, GRPC: o.GRPC, REST: o.REST, Full: true, TrustHeight: o.TrustHeight, TrustHash: o.TrustHash,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}, func(host.Plan) {})
	log.Fatal(err)
}

// late is a machine that joined a running cluster.
type late struct {
	*running
	home string
	hostOptions
}

func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := ports.FreeAddr("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// joins makes the home of a machine that is to join.
func (r *running) joins(name string) *late {
	r.Helper()
	l := &late{running: r, home: r.TempDir(), hostOptions: hostOptions{RPC: freeAddr(r.T), GRPC: freeAddr(r.T), REST: freeAddr(r.T)}}
	_, err := host.Init(r.Context(), l.home, host.InitOptions{Name: name, ChainID: cluster.ChainID, Address: freeAddr(r.T), Epoch: time.Minute})
	r.must(err)
	var peers []string
	for _, v := range r.net.Endpoints().Validators {
		peers = append(peers, v.RPC)
	}
	_, err = host.JoinRunning(r.Context(), l.home, host.LateOptions{Genesis: peers[0], Peers: peers})
	r.must(err)
	founded, err := os.ReadFile(filepath.Join(r.home, "data", r.name(0), "chain", "config", "genesis.json"))
	r.must(err)
	fetched, err := os.ReadFile(l.path("config/genesis.json"))
	r.must(err)
	if string(founded) != string(fetched) {
		r.Fatal("the fetched genesis is not the founders'")
	}
	return l
}

func (l *late) path(name string) string { return filepath.Join(l.home, "chain", name) }

// run starts the machine; it is killed with the test.
func (l *late) run(t *testing.T) {
	t.Helper()
	raw, err := json.Marshal(l.hostOptions)
	l.must(err)
	out, err := os.Create(filepath.Join(l.running.home, "logs", filepath.Base(l.home)+"-late.log"))
	l.must(err)
	p := exec.Command(os.Args[0], hostWord, l.home, string(raw))
	p.Stderr = out
	l.must(p.Start())
	out.Close()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
	})
}

func (l *late) url() string { return "http://" + l.RPC }

// reaches waits until the machine has a height.
func (l *late) reaches(h int64) {
	l.Helper()
	for began := time.Now(); heightAt(l.Context(), l.url()) < h; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > patience {
			l.Fatalf("machine is at %d in time, want %d\n%s", heightAt(l.Context(), l.url()), h, l.logs())
		}
	}
}

type syncInfo struct {
	Result struct {
		SyncInfo struct {
			Height   int64 `json:"latest_block_height,string"`
			Earliest int64 `json:"earliest_block_height,string"`
		} `json:"sync_info"`
	}
}

// heightAt is the last block a node has, 0 when it does not answer: it may be
// suspended.
func heightAt(ctx context.Context, url string) int64 {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var s syncInfo
	if askURL(ctx, url+"/status", &s) != nil {
		return 0
	}
	return s.Result.SyncInfo.Height
}

// dial connects to the gRPC and RPC of a validator.
func (r *running) dial(t *testing.T, i int) *client.Client {
	t.Helper()
	v := r.net.Endpoints().Validators[i]
	c, err := client.Dial(t.Context(), client.Endpoints{GRPC: v.GRPC, RPC: strings.TrimPrefix(v.RPC, "http://"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func send(ctx context.Context, s *client.Signer, to sdk.AccAddress, ugrain int64) error {
	_, err := s.Send(ctx, banktypes.NewMsgSend(s.Address(), to, sdk.NewCoins(sdk.NewInt64Coin(chain.Grain, ugrain))))
	return err
}

// TestLateRestoredAndTwoFaced is what befalls a network that has run for a while,
// on one network of four.
func TestLateRestoredAndTwoFaced(t *testing.T) {
	if testing.Short() {
		t.Skip("starts ten processes")
	}
	o := options(t.TempDir())
	o.Commit, o.Epoch, o.With = 100*time.Millisecond, 5*time.Second, []string{notary.Name}
	r := start(t, o)
	sup := r.net.Supervisor()
	chainOf := func(i int) string { return filepath.Join(r.home, "data", r.name(i)) }
	backup := filepath.Join(t.TempDir(), "yesterday")
	r.reach(3, patience, 0, 1, 2, 3)
	r.must(sup.Kill(r.name(1))) // a copy of a running database is none
	copyAll(t, chainOf(1), backup)
	r.must(sup.Start(t.Context(), r.name(1)))
	user, err := key.Load(cluster.UserKeyPath(r.home))
	r.must(err)
	ledger, other := r.dial(t, 0), r.dial(t, 2)

	r.run("four workers of one account through two nodes", func(t *testing.T) {
		var wg sync.WaitGroup
		to := key.New().Address()
		for w := range 4 {
			wg.Go(func() {
				s := []*client.Client{ledger, other}[w%2].Signer(user, nil) // as a process of its own would
				for range 5 {
					if err := send(t.Context(), s, to, 1); err != nil {
						t.Errorf("worker %d: %v", w, err)
					}
				}
			})
		}
		wg.Wait()
		r.reach(r.top()+1, patience, 0) // it may be behind the other node
		got, err := ledger.Bank.Balance(t.Context(), &banktypes.QueryBalanceRequest{Address: to.String(), Denom: chain.Grain})
		if err != nil || !got.Balance.Amount.Equal(math.NewInt(20)) {
			t.Fatalf("received %v (%v), want 20", got, err)
		}
	})

	var withheld uint64
	r.run("four validators score what notaries published, and it is paid", func(t *testing.T) {
		r.stamp()
		x := r.unanimous(ledger, 1)
		r.paid(ledger)
		r.withhold(3, true)
		withheld = x.Epoch
	})

	fifth := r.joins("fifth")
	fifth.run(t)
	r.run("a late machine catches up and becomes a validator", func(t *testing.T) {
		fifth.reaches(r.top())
		operator, err := key.Load(fifth.path("keys/operator.json"))
		r.must(err)
		r.must(send(t.Context(), ledger.Signer(user, nil), operator.Address(), 2_000_000_000))
		fifth.reaches(r.height(0))
		_, _, err = host.CreateValidator(t.Context(), fifth.home, client.Endpoints{GRPC: fifth.GRPC, RPC: fifth.RPC}, 1_000_000_000)
		r.must(err)
		r.until(ledger, func() string { // which may be behind the late machine
			all, err := ledger.Staking.Validators(t.Context(), &stakingtypes.QueryValidatorsRequest{Status: stakingtypes.Bonded.String()})
			if n := len(all.GetValidators()); err != nil || n != 5 {
				return fmt.Sprintf("%d bonded validators (%v), want 5", n, err)
			}
			return ""
		})
	})
	r.run("a new node takes a snapshot", func(t *testing.T) {
		r.reach(45, patience, 0) // the second snapshot and the headers after it
		sixth := r.joins("sixth")
		var c struct {
			Result struct {
				SignedHeader struct {
					Commit struct {
						BlockID struct{ Hash string } `json:"block_id"`
					}
				} `json:"signed_header"`
			}
		}
		r.must(r.get(0, "/commit?height=5", &c))
		sixth.TrustHeight, sixth.TrustHash = 5, c.Result.SignedHeader.Commit.BlockID.Hash
		sixth.run(t)
		sixth.reaches(r.top())
		var s syncInfo
		r.must(askURL(t.Context(), sixth.url()+"/status", &s))
		if s.Result.SyncInfo.Earliest < 20 {
			t.Fatalf("its first block is %d: it has executed the chain instead", s.Result.SyncInfo.Earliest)
		}
		r.same(sixth.url(), s.Result.SyncInfo.Earliest, s.Result.SyncInfo.Height)
	})
	r.run("a disk of yesterday catches up and signs nothing twice", func(t *testing.T) {
		r.must(sup.Kill(r.name(1)))
		h := r.height(0)
		r.must(os.RemoveAll(chainOf(1)))
		copyAll(t, backup, chainOf(1))
		r.must(sup.Start(t.Context(), r.name(1)))
		r.reach(h+10, patience, 0, 1, 2, 3)
		if got := punished(t, ledger); len(got) != 0 {
			t.Fatalf("punished for signing twice: %v", got)
		}
	})
	r.run("who cannot fetch evidence waits, votes for nothing wrong, and votes again", func(t *testing.T) {
		fourth := validatorOf(t, r.net.Plan().Validators[3].Operator)
		alone := 0
		r.until(ledger, func() string {
			for _, x := range accepted(t, ledger, withheld+1) {
				agreed, dissented := votesOn(t, ledger, x)
				if slices.Contains(dissented, fourth) {
					t.Fatalf("voted against what was accepted for epoch %d", x.Epoch)
				}
				if !slices.Contains(agreed, fourth) && len(agreed) == 3 {
					alone++
				}
			}
			if alone == 0 {
				return "no report was accepted without the fourth validator"
			}
			return ""
		})
		newest := accepted(t, ledger, 1)[0].Epoch
		r.withhold(3, false)
		r.unanimous(ledger, newest+1)
	})
	r.run("who signs twice is found out and the others go on", func(t *testing.T) {
		r.must(r.signsTwice(3, filepath.Join(chainOf(3), "chain/config/priv_validator_key.json")))
		for began := time.Now(); len(punished(t, ledger)) == 0; {
			if time.Since(began) > patience {
				t.Fatalf("no punishment within 3 minutes\n%s", r.logs())
			}
			r.must(ledger.WaitHeight(t.Context(), r.height(0)+1))
		}
		v, err := ledger.Staking.Validator(t.Context(), &stakingtypes.QueryValidatorRequest{ValidatorAddr: validatorOf(t, r.net.Plan().Validators[3].Operator)})
		r.must(err)
		if !v.Validator.Jailed || !v.Validator.Tokens.LT(math.NewInt(1_000_000_000_000)) {
			t.Fatalf("validator-4 has %v and jailed is %v: want less than its stake and true", v.Validator.Tokens, v.Validator.Jailed)
		}
		r.reach(r.height(0)+5, patience, 0, 1, 2)
	})
	r.agree(4)
	last := min(r.height(0), heightAt(t.Context(), fifth.url()))
	r.same(fifth.url(), 1, last)
}

// signsTwice has the thief of a validator's key sign another block than the
// validator has, and reports the two votes to a node as any witness may.
func (r *running) signsTwice(i int, stolen string) error {
	rpc, err := http.New(r.net.Endpoints().Validators[0].RPC, "")
	if err != nil {
		return err
	}
	thief := privval.LoadFilePVEmptyState(stolen, "").Key
	first, size := 1, 100
	var honest *cmttypes.Vote // of the newest block that the validator has signed
	var set *cmttypes.ValidatorSet
	height := r.height(0)
	for honest == nil || honest.BlockID.IsZero() {
		if height--; height < 1 {
			return fmt.Errorf("validator %d has signed no block", i+1)
		}
		commit, err := rpc.Commit(r.Context(), &height)
		if err != nil {
			return err
		}
		listed, err := rpc.Validators(r.Context(), &height, &first, &size)
		if err != nil {
			return err
		}
		set = &cmttypes.ValidatorSet{Validators: listed.Validators}
		if index, _ := set.GetByAddress(thief.Address); index >= 0 {
			honest = commit.Commit.GetVote(index)
		}
	}
	block, err := rpc.Block(r.Context(), &height)
	if err != nil {
		return err
	}
	other := honest.Copy()
	other.BlockID.Hash = bytes.Repeat([]byte{1}, len(other.BlockID.Hash))
	if other.Signature, err = thief.PrivKey.Sign(cmttypes.VoteSignBytes(cluster.ChainID, other.ToProto())); err != nil {
		return err
	}
	evidence, err := cmttypes.NewDuplicateVoteEvidence(honest, other, block.Block.Time, set)
	if err != nil {
		return err
	}
	_, err = rpc.BroadcastEvidence(r.Context(), evidence)
	return err
}

// validatorOf is the validator of an operator's account.
func validatorOf(t *testing.T, operator string) string {
	t.Helper()
	account, err := sdk.AccAddressFromBech32(operator)
	if err != nil {
		t.Fatal(err)
	}
	return sdk.ValAddress(account).String()
}

// copyAll copies a folder with the modes of its files, which keys insist on.
func copyAll(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v\n%s", from, err, out)
	}
}

// punished are the consensus addresses tombstoned for signing twice.
func punished(t *testing.T, c *client.Client) (out []string) {
	t.Helper()
	infos, err := c.Slashing.SigningInfos(t.Context(), &slashingtypes.QuerySigningInfosRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range infos.Info {
		if i.Tombstoned {
			out = append(out, i.Address)
		}
	}
	return out
}

// same compares the application hashes of a machine with validator 1's, at every
// height.
func (r *running) same(url string, first, last int64) {
	r.Helper()
	for h := first; h <= last; h++ {
		var want, got struct {
			Result struct {
				SignedHeader struct {
					Header struct {
						AppHash string `json:"app_hash"`
					}
				} `json:"signed_header"`
			}
		}
		r.must(r.get(0, fmt.Sprintf("/commit?height=%d", h), &want))
		r.must(askURL(r.Context(), fmt.Sprintf("%s/commit?height=%d", url, h), &got))
		if a, b := want.Result.SignedHeader.Header.AppHash, got.Result.SignedHeader.Header.AppHash; a == "" || a != b {
			r.Fatalf("height %d: %s has state %q, validator 1 has %q", h, url, b, a)
		}
	}
}
