package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sort"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

const (
	modulePath = "github.com/grange-network/grange"
	protoRoot  = "proto"
	ourTree    = "grange"
)

// A plugin is one code generator and the parameter it is run with.
type plugin struct {
	tool      string // name for `go tool`
	parameter string
}

var plugins = []plugin{
	{
		tool: "protoc-gen-gocosmos",
		parameter: "plugins=grpc," +
			"Mgoogle/protobuf/any.proto=github.com/cosmos/gogoproto/types/any",
	},
	{
		tool:      "protoc-gen-grpc-gateway",
		parameter: "logtostderr=true,allow_colon_final_segments=true",
	},
}

func main() {
	check := flag.Bool("check", false, "write nothing; fail if committed code is out of date")
	flag.Parse()
	if err := run(context.Background(), *check, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, check bool, modules []string) error {
	files, err := sources(modules)
	if err != nil {
		return err
	}
	includes, err := includePaths(ctx)
	if err != nil {
		return err
	}
	descriptors, err := compile(ctx, includes, files)
	if err != nil {
		return err
	}
	out := map[string][]byte{}
	for _, pkg := range byDirectory(files) {
		for _, p := range plugins {
			request := &pluginpb.CodeGeneratorRequest{
				FileToGenerate: pkg,
				Parameter:      proto.String(p.parameter),
				ProtoFile:      descriptors,
			}
			if err := p.generate(ctx, request, out); err != nil {
				return err
			}
		}
	}
	return write(out, check)
}

// sources lists the .proto files of the modules, or of all of ours, relative to
// the proto root and sorted.
func sources(modules []string) ([]string, error) {
	if len(modules) == 0 {
		modules = []string{"."}
	}
	var files []string
	for _, m := range modules {
		found, err := walk(filepath.Join(protoRoot, ourTree, m))
		if err != nil {
			return nil, fmt.Errorf("list protos (run from the repository root): %w", err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no .proto files of ours in %s/%s", protoRoot, ourTree)
	}
	sort.Strings(files)
	return files, nil
}

func walk(root string) (files []string, err error) {
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(p) != ".proto" {
			return err
		}
		rel, err := filepath.Rel(protoRoot, p)
		files = append(files, filepath.ToSlash(rel))
		return err
	})
	return files, err
}

// byDirectory groups files so that each generator call sees one Go package.
func byDirectory(files []string) [][]string {
	var groups [][]string
	for i, f := range files {
		if i == 0 || path.Dir(f) != path.Dir(files[i-1]) {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], f)
	}
	return groups
}

// generate runs the plugin on one package and adds its files to out, keyed by
// path relative to the repository root.
func (p plugin) generate(ctx context.Context, request *pluginpb.CodeGeneratorRequest, out map[string][]byte) error {
	stdin, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	if err != nil {
		return fmt.Errorf("encode request for %s: %w", p.tool, err)
	}
	stdout, err := goTool(ctx, p.tool, stdin)
	if err != nil {
		return err
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(stdout, &response); err != nil {
		return fmt.Errorf("decode response of %s: %w", p.tool, err)
	}
	if response.Error != nil {
		return fmt.Errorf("%s on %s: %s", p.tool, request.FileToGenerate[0], response.GetError())
	}
	for _, f := range response.File {
		rel, ok := strings.CutPrefix(f.GetName(), modulePath+"/")
		if !ok {
			return fmt.Errorf("%s wrote %q: set go_package to %s/ledger/api/<module>pb", p.tool, f.GetName(), modulePath)
		}
		out[rel] = []byte(f.GetContent())
	}
	return nil
}

func goTool(ctx context.Context, tool string, stdin []byte) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", "tool", tool)
	cmd.Stdin = bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("run go tool %s: %w\n%s", tool, err, stderr.String())
	}
	return stdout.Bytes(), nil
}

// write stores the generated files whose content changed, or only compares them
// when check is set.
func write(out map[string][]byte, check bool) error {
	paths := make([]string, 0, len(out))
	for p := range out {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	for _, p := range paths {
		old, err := os.ReadFile(p)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil && bytes.Equal(old, out[p]) {
			continue
		}
		if check {
			return fmt.Errorf("%s is out of date: run go run ./internal/protogen", p)
		}
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(p, out[p], 0o644); err != nil {
			return err
		}
		fmt.Println(p)
	}
	return nil
}
