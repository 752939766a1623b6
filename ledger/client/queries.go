package client

import (
	"google.golang.org/grpc"

	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// Queries are the query clients of our own modules.
type Queries struct {
	Device devicepb.QueryClient
	Market marketpb.QueryClient
	Oracle oraclepb.QueryClient
	Credit creditpb.QueryClient
}

func newQueries(conn grpc.ClientConnInterface) Queries {
	return Queries{
		Device: devicepb.NewQueryClient(conn),
		Market: marketpb.NewQueryClient(conn),
		Oracle: oraclepb.NewQueryClient(conn),
		Credit: creditpb.NewQueryClient(conn),
	}
}
