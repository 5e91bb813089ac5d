package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	batch "github.com/pinflow/pinflow/refine/duckdb"
)

// BenchmarkBatch is the engine over a period of the lake beside a script that somebody who knows DuckDB would write for the same objects and the same
// Parquet: gzip JSON to clean rows, from these the metrics and the latest row of each key. PINFLOW_BENCH_ROWS says of how many records,
// PINFLOW_BENCH_TURNS how often each.
func BenchmarkBatch(b *testing.B) {
	n := sized(b, "PINFLOW_BENCH_ROWS", 5_000_000)
	d := shipped(b)
	d.Reports = nil
	h := newHistory(b, d, 256<<20)
	h.write(n, nil)
	seal := h.seal()
	for b.Loop() {
		var ours, script, ratios, ourCPU, scriptCPU, cpuRatios []float64
		var peak float64
		for round := range sized(b, "PINFLOW_BENCH_TURNS", 3) {
			forgetPeak(b)
			took, used := timed(b, func() { runOurs(b, h, seal) })
			if round == 0 { // later, what DuckDB keeps of the script's memory would count
				peak = peakOf(b, os.Getpid())
			}
			ours, ourCPU = append(ours, took), append(ourCPU, used)
			took, used = timed(b, func() { runScript(b, h, seal) })
			script, scriptCPU = append(script, took), append(scriptCPU, used)
			last := len(ours) - 1
			ratios, cpuRatios = append(ratios, took/ours[last]), append(cpuRatios, used/ourCPU[last])
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(n)/median(ours), "records/s")
		b.ReportMetric(float64(n)/median(script), "peer-records/s")
		b.ReportMetric(median(ratios), "ratio")
		b.ReportMetric(median(cpuRatios), "cpu-ratio") // what the ratio would be if nobody else used the machine
		b.ReportMetric(median(ourCPU)*1e6/float64(n), "cpu-us/record")
		b.ReportMetric(median(scriptCPU)*1e6/float64(n), "peer-cpu-us/record")
		b.ReportMetric(peak, "peak-MiB")
		b.Logf("ratios %s by time, %s by processor time", spread(ratios), spread(cpuRatios))
	}
}

// timed returns the seconds that f takes, and those of processor time.
func timed(b *testing.B, f func()) (took, used float64) {
	began, before := time.Now(), cpu(b, os.Getpid())
	f()
	return time.Since(began).Seconds(), (cpu(b, os.Getpid()) - before).Seconds()
}

// memoryOf is what either may use in DuckDB, goMemory what Go's heap is told to keep to: what pinflow batch has by default.
const memoryOf, goMemory = 384 << 20, 400 << 20

func openBench(b *testing.B, dir string, threads int, readable ...string) *duck.Instance {
	i, err := duck.Open(b.Context(), duck.Options{Dir: dir, Memory: memoryOf, Threads: threads, Readable: append(readable, dir)})
	if err != nil {
		b.Fatal(err)
	}
	return i
}

// runOurs has the engine do it in a DuckDB as pinflow batch has it: statements run on the threads that ask.
func runOurs(b *testing.B, h *history, seal pinflow.Seal) {
	dir := b.TempDir()
	i := openBench(b, dir, 1)
	defer i.Close()
	e, err := batch.NewBatchEngine(b.Context(), batch.BatchOptions{Instance: i, Plan: h.plan, Raw: h.raw})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(goMemory))
	out, err := e.Refine(b.Context(), pinflow.Closed{Period: seal.Period, Seals: []pinflow.Seal{seal}, Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("ours: %d parts of %d MiB, %v", len(out.Parts), sizeOf(b, dir)>>20, out.Counts)
}

func runScript(b *testing.B, h *history, seal pinflow.Seal) {
	dir, p := b.TempDir(), h.plan
	i := openBench(b, dir, 0, h.objects.Path(""))
	defer i.Close()
	source := &p.Sources[0]
	var files []string
	for _, o := range seal.Partitions[0].Objects {
		files = append(files, duck.Literal(h.objects.Path(o.Name)))
	}
	var columns []string
	for _, c := range append(source.Columns[:len(source.Columns):len(source.Columns)], pinflow.Column{Name: "_partition", Type: "INTEGER"},
		pinflow.Column{Name: "_offset", Type: "BIGINT"}, pinflow.Column{Name: "_timestamp", Type: "TIMESTAMPTZ"}, pinflow.Column{Name: "_home", Type: "INTEGER"}) {
		columns = append(columns, duck.Literal(c.Name)+": "+duck.Literal(c.Type))
	}
	run := func(statement string) {
		if _, err := i.DB.ExecContext(b.Context(), statement); err != nil {
			b.Fatalf("%v\n%s", err, statement)
		}
	}
	file := func(name string) string { return duck.Literal(filepath.Join(dir, name+".parquet")) }
	to := func(name string) string {
		return " TO " + file(name) + " (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 100000)"
	}
	run("CREATE VIEW " + source.Name + " AS FROM read_json([" + strings.Join(files, ", ") + "], format = 'newline_delimited', columns = {" + strings.Join(columns, ", ") + "})")
	for k := range p.Models {
		m := &p.Models[k]
		from := "(" + m.SQL + ") WHERE _reject IS NULL"
		if k > 0 { // the same rows
			from = "read_parquet(" + file("clean-"+p.Models[0].Name) + ")"
		} else {
			from = fmt.Sprintf("(SELECT %d::BIGINT AS _period, '%s' AS _topic, * EXCLUDE (_reject) FROM %s)", seal.Period, seal.Topic, from)
		}
		run("COPY (FROM " + from + ")" + to("clean-"+m.Name))
		rows := "FROM read_parquet(" + file("clean-"+m.Name) + ")"
		run("CREATE VIEW " + m.Name + " AS " + rows)
		run("COPY (" + m.Accepted.SQL + ")" + to(m.Accepted.Table))
		if len(m.Key) > 0 {
			run("COPY (" + rows + " SEMI JOIN (SELECT max(_offset) AS _offset " + rows + " GROUP BY " + strings.Join(m.Key, ", ") + ") USING (_offset))" + to("latest-"+m.Name))
			run("CREATE OR REPLACE VIEW " + m.Name + " AS SELECT *, 1 AS _sign FROM read_parquet(" + file("latest-"+m.Name) + ")")
		}
		for _, metric := range p.Metrics {
			for _, part := range metric.Partials {
				if metric.Model == m.Name {
					run("COPY (" + part.SQL + ")" + to(part.Table))
				}
			}
		}
	}
	b.Logf("script: %d MiB", sizeOf(b, dir)>>20)
}

func sizeOf(b *testing.B, dir string) (n int64) {
	files, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
	for _, f := range files {
		var info os.FileInfo
		if info, err = os.Stat(f); err == nil {
			n += info.Size()
		}
	}
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// forgetPeak has the peak of this process begin anew.
func forgetPeak(b *testing.B) {
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Log("the peak is that of the whole run: ", err)
	}
}
