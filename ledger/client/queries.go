package client

import (
	"google.golang.org/grpc"

	"github.com/grange-network/grange/ledger/api/devicepb"
)

// Queries are the query clients of our own modules.
type Queries struct {
	Device devicepb.QueryClient
}

func newQueries(conn grpc.ClientConnInterface) Queries {
	return Queries{
		Device: devicepb.NewQueryClient(conn),
	}
}
