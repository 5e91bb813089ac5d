package plan_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/pipelines"
	"github.com/pinflow/pinflow/pipelines/pipelinetest"
	"github.com/pinflow/pinflow/refine/plan"
)

var update = flag.Bool("update", false, "write the golden plans anew")

func shipped(t testing.TB) *pinflow.Definition {
	t.Helper()
	files, err := pipelines.Shipped(pipelines.Default)
	if err != nil {
		t.Fatal(err)
	}
	d, faults := pipelines.Load(files, "pinterest")
	for _, f := range faults {
		t.Error(f)
	}
	if t.Failed() {
		t.FailNow()
	}
	return d
}

func compile(t testing.TB, d *pinflow.Definition) *pinflow.Plan {
	t.Helper()
	p, faults, err := plan.Compile(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Error(f)
	}
	if t.Failed() {
		t.FailNow()
	}
	return p
}

// golden holds what a plan says to the file in testdata, so that a change of it is seen and meant.
func golden(t *testing.T, p *pinflow.Plan) {
	t.Helper()
	var got bytes.Buffer
	e := json.NewEncoder(&got)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	shown := *p
	shown.Sources = nil
	if err := e.Encode(shown); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", p.Pipeline+".json")
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	g, x := bytes.Split(got.Bytes(), []byte("\n")), bytes.Split(want, []byte("\n"))
	for i := range max(len(g), len(x)) {
		if i >= len(g) || i >= len(x) || !bytes.Equal(g[i], x[i]) {
			t.Fatalf("the plan is not that of %s from line %d: if it is meant, run with -update, and raise semantics in generation.go if numbers change\n got  %s\n want %s",
				file, i+1, g[min(i, len(g)-1)], x[min(i, len(x)-1)])
		}
	}
}

func TestShippedPlan(t *testing.T) { golden(t, compile(t, shipped(t))) }

func BenchmarkCompile(b *testing.B) {
	d := shipped(b)
	for b.Loop() {
		compile(b, d)
	}
}

func TestSecondPlan(t *testing.T) { golden(t, compile(t, pipelinetest.Definition(t))) }
