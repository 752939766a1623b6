package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// includeModules are the modules of the build list that carry the protos we
// import, and the folder inside each.
var includeModules = []struct{ module, dir string }{
	{"github.com/cosmos/cosmos-sdk", "proto"},
	{"github.com/cosmos/cosmos-proto", "proto"},
	{"github.com/cosmos/gogoproto", "."},
	{"github.com/grpc-ecosystem/grpc-gateway", "third_party/googleapis"},
}

// includePaths asks the go command where the pinned modules are.
func includePaths(ctx context.Context) ([]string, error) {
	args := []string{"list", "-m", "-f", "{{.Dir}}"}
	for _, m := range includeModules {
		args = append(args, m.module)
	}
	out, err := exec.CommandContext(ctx, "go", args...).Output()
	if err != nil {
		return nil, fmt.Errorf("locate proto modules (try go mod download): %w", err)
	}
	dirs := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(dirs) != len(includeModules) {
		return nil, fmt.Errorf("locate proto modules: asked for %d, got %d", len(includeModules), len(dirs))
	}
	paths := []string{protoRoot}
	for i, m := range includeModules {
		if dirs[i] == "" {
			return nil, fmt.Errorf("module %s is not in the module cache: run go mod download", m.module)
		}
		paths = append(paths, filepath.Join(dirs[i], m.dir))
	}
	return paths, nil
}

// compile parses and links the files and returns their descriptors together
// with everything they import, dependencies first, as code generators expect.
func compile(ctx context.Context, includes, files []string) ([]*descriptorpb.FileDescriptorProto, error) {
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: includes}),
		SourceInfoMode: protocompile.SourceInfoStandard,
		// One at a time: errors come in the order of the files.
		MaxParallelism: 1,
	}
	linked, err := compiler.Compile(ctx, files...)
	if err != nil {
		return nil, fmt.Errorf("compile protos: %w", err)
	}
	return topological(linked), nil
}

func topological(files linker.Files) []*descriptorpb.FileDescriptorProto {
	var out []*descriptorpb.FileDescriptorProto
	seen := map[string]bool{}
	var visit func(protoreflect.FileDescriptor)
	visit = func(f protoreflect.FileDescriptor) {
		if seen[f.Path()] {
			return
		}
		seen[f.Path()] = true
		imports := f.Imports()
		for i := range imports.Len() {
			visit(imports.Get(i).FileDescriptor)
		}
		out = append(out, protoutil.ProtoFromFileDescriptor(f))
	}
	for _, f := range files {
		visit(f)
	}
	return out
}
