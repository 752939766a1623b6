package client

import (
	"context"
	"errors"
	"fmt"
	"net"

	errorsmod "cosmossdk.io/errors"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Sentinels of this package; test with errors.Is.
var (
	// ErrNotFound: what was asked for is not on the ledger.
	ErrNotFound = errors.New("not found")
	// ErrUnavailable: the node cannot be reached or is not ready; try again.
	ErrUnavailable = errors.New("ledger unavailable")
	// ErrExpired: the transaction was accepted by the node but not included
	// before its timeout; it never will be.
	ErrExpired = errors.New("transaction expired")
)

// TxError is a refusal of a transaction by the ledger, before or after it got
// into a block. errors.Is also matches the module's own error values where the
// module's package is linked.
type TxError struct {
	// Codespace and Code name the reason: "sdk" or a module's name, and its number.
	Codespace string
	Code      uint32
	// Log says what was wrong.
	Log string
	// Hash is the transaction's, upper-case hex; empty if it was refused in simulation.
	Hash string
	// Height is the block that includes the failed transaction; 0 if none does.
	Height int64
}

// Error says who refused what and why.
func (e *TxError) Error() string {
	where := "before broadcast"
	if e.Height > 0 {
		where = fmt.Sprintf("in block %d", e.Height)
	} else if e.Hash != "" {
		where = "by the node"
	}
	return fmt.Sprintf("transaction refused %s (%s %d): %s", where, e.Codespace, e.Code, e.Log)
}

// Unwrap gives the registered error of the module, so that errors.Is finds it.
func (e *TxError) Unwrap() error {
	return errorsmod.ABCIError(e.Codespace, e.Code, e.Log)
}

// queryError is a failed query: its text is the server's, it is both the
// sentinel and the gRPC status.
type queryError struct {
	sentinel error
	err      error
}

func (e *queryError) Error() string {
	return fmt.Sprintf("%v: %s", e.sentinel, status.Convert(e.err).Message())
}

func (e *queryError) Unwrap() []error { return []error{e.sentinel, e.err} }

// GRPCStatus keeps the status for callers that look at it.
func (e *queryError) GRPCStatus() *status.Status { return status.Convert(e.err) }

func mapErrors(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, reply, cc, opts...)
	switch status.Code(err) {
	case codes.NotFound:
		return &queryError{ErrNotFound, err}
	case codes.Unavailable:
		return &queryError{ErrUnavailable, err}
	}
	return err
}

// rpcError marks failures to reach the node.
func rpcError(what string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) || errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
