package ledgerview

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/types/query"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/encoding"
)

// maxMessage bounds an answer of the ledger in bytes.
const maxMessage = 10 << 20

// pageSize is how many entries one query asks for.
const pageSize = 200

// ErrNotFound is returned for an id the ledger does not know.
var ErrNotFound = errors.New("not found on the ledger")

// ErrUnavailable is returned when the ledger cannot be asked.
var ErrUnavailable = errors.New("ledger does not answer")

// View reads one ledger. It is safe for concurrent use.
type View struct {
	addr   string
	conn   *grpc.ClientConn
	comet  cmtservice.ServiceClient
	device devicepb.QueryClient
	market marketpb.QueryClient
	oracle oraclepb.QueryClient
	credit creditpb.QueryClient
}

// Dial makes a view of the ledger whose gRPC service is at addr (host:port, no
// TLS). It does not connect yet.
func Dial(addr string) (*View, error) {
	enc, err := encoding.New()
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodec(codec.NewProtoCodec(enc.Registry).GRPCCodec()),
			grpc.MaxCallRecvMsgSize(maxMessage)))
	if err != nil {
		return nil, fmt.Errorf("connect to ledger at %s: %w", addr, err)
	}
	return &View{
		addr: addr, conn: conn, comet: cmtservice.NewServiceClient(conn), device: devicepb.NewQueryClient(conn),
		market: marketpb.NewQueryClient(conn), oracle: oraclepb.NewQueryClient(conn), credit: creditpb.NewQueryClient(conn),
	}, nil
}

// Close closes the connection.
func (v *View) Close() error { return v.conn.Close() }

// explain turns a gRPC error into one of ours.
func (v *View) explain(what string, err error) error {
	if err == nil {
		return nil
	}
	st := status.Convert(err)
	switch {
	case st.Code() == codes.NotFound || strings.Contains(st.Message(), "not found"):
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	case st.Code() == codes.Unavailable || st.Code() == codes.DeadlineExceeded:
		return fmt.Errorf("%s: %w at %s: %s", what, ErrUnavailable, v.addr, st.Message())
	}
	return fmt.Errorf("%s: %s", what, st.Message())
}

// Chain is where the ledger stands.
type Chain struct {
	ID        string    `json:"chain_id"`
	Height    int64     `json:"height"`
	BlockTime time.Time `json:"block_time"`
	Epoch     Epoch     `json:"epoch"`
}

// Epoch is one tick of the ledger's clock.
type Epoch struct {
	Number  uint64    `json:"number"`
	Status  string    `json:"status"` // revealing, decided, neutral
	Seed    string    `json:"seed,omitempty"`
	Started time.Time `json:"started"`
	Ends    time.Time `json:"ends"` // has ended, or ends at the earliest
}

// Chain returns the newest block and the running epoch.
func (v *View) Chain(ctx context.Context) (Chain, error) {
	b, err := v.comet.GetLatestBlock(ctx, &cmtservice.GetLatestBlockRequest{})
	if err != nil {
		return Chain{}, v.explain("read newest block", err)
	}
	h := b.SdkBlock.Header
	c := Chain{ID: h.ChainID, Height: h.Height, BlockTime: h.Time}
	c.Epoch, err = v.Epoch(ctx, 0)
	return c, err
}

// Epoch returns an epoch; 0 is the running one.
func (v *View) Epoch(ctx context.Context, number uint64) (Epoch, error) {
	r, err := v.oracle.Epoch(ctx, &oraclepb.QueryEpochRequest{Number: number})
	if err != nil {
		return Epoch{}, v.explain(fmt.Sprintf("read epoch %d", number), err)
	}
	return Epoch{
		Number: r.Epoch.Number, Status: lastWord(r.Epoch.Status.String()), Seed: hex.EncodeToString(r.Epoch.Seed),
		Started: time.Unix(0, r.Epoch.StartTime).UTC(), Ends: time.Unix(0, r.End).UTC(),
	}, nil
}

// lastWord turns EPOCH_STATUS_DECIDED into decided.
func lastWord(enum string) string {
	return strings.ToLower(enum[strings.LastIndexByte(enum, '_')+1:])
}

// pages calls ask with the key of each page until there is none.
func pages(ask func(*query.PageRequest) (*query.PageResponse, error)) error {
	page := &query.PageRequest{Limit: pageSize}
	for {
		r, err := ask(page)
		if err != nil {
			return err
		}
		if r == nil || len(r.NextKey) == 0 {
			return nil
		}
		page = &query.PageRequest{Limit: pageSize, Key: r.NextKey}
	}
}

// ParseID reads a 32-byte id in hex.
func ParseID(text string) ([]byte, error) {
	b, err := hex.DecodeString(strings.ToLower(text))
	if err != nil || len(b) != 32 {
		return nil, fmt.Errorf("read id %q: want 64 hex digits", text)
	}
	return b, nil
}
