// Package client is how every role talks to the ledger: typed queries over
// gRPC, transactions that report what became of them, and the stream of blocks.
//
//	c, err := client.Dial(ctx, client.Endpoints{RPC: rpc, GRPC: grpc})
//	defer c.Close()
//	d, err := c.Device.Device(ctx, &devicepb.QueryDeviceRequest{Id: id})
//	s := c.Signer(key, nil)
//	result, err := s.Send(ctx, msg)
//
// A Client is safe for concurrent use; one per process is enough. It survives
// restarts of the node: calls fail with ErrUnavailable meanwhile and the block
// stream catches up without gaps.
//
// It trusts its node: it verifies no proofs.
package client
