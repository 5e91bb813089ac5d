package pinflow_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/pinflow/pinflow"

// stages in the order of the flow. They meet in the root's interfaces only.
var stages = []string{"emulate", "ingest", "journal", "lake", "refine", "store", "web", "audit"}

// shared is what every stage may import: it knows no stage.
var shared = []string{"value", "problem", "protocol", "access", "internal"}

// breach returns why the package in folder from must not import the package in folder to, "" if it may. Folders
// are relative to the module, "." for the root.
func breach(from, to string) string {
	stage, leaf, _ := strings.Cut(from, "/")
	toStage, toLeaf, _ := strings.Cut(to, "/")
	switch {
	case from == to || stage == "cmd" || stage == "bench":
		return ""
	case toStage == "cmd":
		return "cmd is the wiring: nothing is built on it"
	case from == ".":
		return "the root holds the nouns: it imports the standard library only"
	case to == ".":
		return ""
	case strings.HasSuffix(to, "test") && !strings.HasSuffix(from, "test"):
		return "a conformance suite is for tests only"
	case slices.Contains(shared, stage) && slices.Contains(stages, toStage):
		return "what all stages share knows none of them"
	case slices.Contains(stages, stage) && slices.Contains(stages, toStage) && stage != toStage:
		return "stages meet in the root's interfaces and never import one another; cmd puts them together"
	case stage == toStage && leaf != "" && toLeaf != "" && !strings.HasPrefix(toLeaf, leaf+"/") && !strings.HasPrefix(leaf, toLeaf+"/") && !strings.HasSuffix(leaf, "test"):
		return "a leaf imports its stage and the root, not the leaf beside it: one choice must not need another"
	case stage == toStage && leaf == "" && slices.Contains(stages, stage):
		return "a stage does not know its leaves; they implement its interfaces"
	}
	return ""
}

func TestImportsFollowTheFlow(t *testing.T) {
	packages := 0
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "pinflow-data") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		packages++
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		from := path.Dir(filepath.ToSlash(name))
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			first, _, _ := strings.Cut(imported, "/")
			if from == "." && strings.Contains(first, ".") {
				t.Errorf("%s imports %s: the root holds the nouns: it imports the standard library only", name, imported)
			}
			if imported != module && !strings.HasPrefix(imported, module+"/") {
				continue
			}
			to := path.Join(".", strings.TrimPrefix(strings.TrimPrefix(imported, module), "/"))
			if why := breach(from, to); why != "" {
				t.Errorf("%s imports %s: %s", name, imported, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if packages < 10 {
		t.Errorf("only %d files were looked at", packages)
	}
}

func TestBreach(t *testing.T) {
	for _, c := range []struct {
		from, to string
		allowed  bool
	}{
		{".", "value", false},
		{"ingest", ".", true},
		{"ingest", "value", true},
		{"ingest", "journal", false},
		{"web", "store/duckdb", false},
		{"store/duckdb", "store", true},
		{"store/duckdb", "internal/duck", true},
		{"store/duckdb", "store/postgres", false},
		{"store/duckdb", "store/storetest", false},
		{"store/storetest", ".", true},
		{"store", "store/duckdb", false},
		{"lake/folder", "journal/kafka", false},
		{"value", "lake", false},
		{"internal/duck", "store/duckdb", false},
		{"refine/duckdb", "refine", true},
		{"cmd/pinflow", "store/duckdb", true},
		{"web", "cmd/pinflow", false},
	} {
		if why := breach(c.from, c.to); (why == "") != c.allowed {
			t.Errorf("%s imports %s: allowed should be %v, got %q", c.from, c.to, c.allowed, why)
		}
	}
}
