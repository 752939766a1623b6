package layout

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/grange-network/grange/"

// The package map from bottom to top. A package may import its own layer and
// the layers below; the longest matching prefix decides.
var layers = []struct {
	prefix string
	level  int
}{
	{"internal/", 0}, // development tools and output helpers: they import nothing of ours
	{"core/", 0},
	{"h3", 0},    // places: imports nothing of ours
	{"web", 1},   // the built app as files: knows nobody
	{"trace", 0}, // spans of every role: imports nothing of ours
	{"wal", 1},
	{"mqttx", 1},
	{"segment", 1},
	{"evidence", 2},
	{"ledger/api/", 1},
	{"ledger/", 2},
	{"ledger/app", 5}, // wires storage's proof rules into the oracle
	{"ledger/server", 6},
	{"ledger/command", 6},
	{"ledger/bench", 6}, // measures all of it
	{"sim", 1},
	{"atlas", 2},
	{"tunnel", 3},
	{"prepaid", 1},
	{"vertical", 3}, // the interface; the verticals are a layer above
	{"vertical/", 4},
	{"verify", 5},
	{"explorer", 6},
	{"node", 7},
	{"cmd/", 8},
	{"e2e", 9},
}

// Pure packages that a vertical lends to the ledger.
var lent = []string{"vertical/storage/proof", "vertical/storage/piece"}

type pkg struct {
	ImportPath string
	Imports    []string
}

// packages reads what every package imports, tests aside. It reads the files
// itself: what a test has opened is what its cached result depends on.
func packages(t *testing.T) []pkg {
	t.Helper()
	const root = "../.."
	found := map[string]map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir():
			if path != root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata" || exists(filepath.Join(path, "go.mod"))) {
				return filepath.SkipDir
			}
			return nil
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		if found[dir] == nil {
			found[dir] = map[string]bool{}
		}
		for _, i := range f.Imports {
			found[dir][strings.Trim(i.Path.Value, `"`)] = true
		}
		return nil
	})
	if err != nil {
		t.Fatalf("read the packages: %v", err)
	}
	var all []pkg
	for dir, imports := range found {
		all = append(all, pkg{module + filepath.ToSlash(dir), slices.Sorted(maps.Keys(imports))})
	}
	return all
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func level(path string) (int, bool) {
	best, found := -1, 0
	for _, l := range layers {
		if strings.HasPrefix(path, l.prefix) && len(l.prefix) > best {
			best, found = len(l.prefix), l.level
		}
	}
	return found, best >= 0
}

// conformance is what every vertical is held to: the one that they share.
const conformance = "conformance"

// vertical is the vertical that path belongs to, empty for what is of none.
func vertical(path string) string {
	if rest, ok := strings.CutPrefix(path, "vertical/"); ok {
		if name, _, _ := strings.Cut(rest, "/"); name != conformance {
			return name
		}
	}
	return ""
}

func TestImportsPointDown(t *testing.T) {
	all := packages(t)
	if len(all) < 10 {
		t.Fatalf("only %d packages found: the test is not looking at the module", len(all))
	}
	for _, p := range all {
		from := strings.TrimPrefix(p.ImportPath, module)
		here, ok := level(from)
		if !ok {
			t.Errorf("%s is in no layer: add it to the package map", from)
			continue
		}
		for _, i := range p.Imports {
			to, ours := strings.CutPrefix(i, module)
			if !ours {
				continue
			}
			if there, _ := level(to); there > here {
				t.Errorf("%s imports %s, which lies above it", from, to)
			}
			if a, b := vertical(from), vertical(to); a != "" && b != "" && a != b {
				t.Errorf("%s imports %s: verticals do not import each other", from, to)
			}
		}
	}
}

func TestCoreIsPure(t *testing.T) {
	forbidden := []string{"github.com/cosmos/", "cosmossdk.io/", "github.com/cometbft/", "net", "net/http", "os", "log", "log/slog", "time", "math/rand", "math/rand/v2", "crypto/rand"}
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.ImportPath, module)
		pure := strings.HasPrefix(from, "core/")
		for _, l := range lent {
			pure = pure || from == l
		}
		if !pure {
			continue
		}
		for _, i := range p.Imports {
			for _, f := range forbidden {
				if i == f || (strings.HasSuffix(f, "/") && strings.HasPrefix(i, f)) {
					t.Errorf("%s imports %s: the rules are pure", from, i)
				}
			}
		}
	}
}
