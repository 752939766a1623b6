// Command protogen turns proto/grange/<module>/v1/*.proto into Go.
//
// Run it from the repository root:
//
//	go run ./internal/protogen           # every module
//	go run ./internal/protogen device    # only proto/grange/device
//
// and commit what it writes. Every file under proto/grange must say
//
//	option go_package = "github.com/grange-network/grange/ledger/api/<module>pb";
//
// and its messages (gogoproto, so that the Cosmos SDK's registries and autocli
// resolve them), gRPC service and REST handlers land in ledger/api/<module>pb as
// <file>.pb.go and <file>.pb.gw.go. Imports that resolve without any
// installation: cosmos/..., amino/amino.proto, cosmos_proto/cosmos.proto,
// gogoproto/gogo.proto, google/api/annotations.proto, google/protobuf/*.proto.
//
// Compilation is bufbuild/protocompile in this process; the two code generators
// are the module's pinned tools (see the tool lines of go.mod). The output
// depends on the sources and those pins only: files are sorted, nothing is
// stamped with a time or a path. -check writes nothing and fails when the
// committed code differs from what would be generated.
//
// It generates nothing for other people's protos and keeps no generated files
// of modules whose proto was deleted: remove those by hand.
package main
