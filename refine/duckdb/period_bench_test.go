package duckdb_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/emulate"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/refine/duckdb"
	"github.com/pinflow/pinflow/refine/refinetest"
	"github.com/pinflow/pinflow/value"
)

// gzipped is a period of one partition in files of the lake's format. It is a pinflow.RawReader.
type gzipped struct {
	pinflow.RawReader
	seal  pinflow.Seal
	files []string
}

const objectRecords = 50_000

// newGzipped writes n made-up pins, drawn from as many as the original has.
func newGzipped(b *testing.B, topic string, n int) *gzipped {
	r := rand.New(rand.NewPCG(1, 1))
	pins := emulate.Pins(1, 11_000)
	part := pinflow.SealedPartition{End: int64(n), Records: int64(n)}
	g := &gzipped{seal: pinflow.Seal{Topic: topic, Period: 1764028800000}}
	dir := b.TempDir()
	var lines bytes.Buffer
	var text []byte
	for from := 0; from < n; from += objectRecords {
		to := min(from+objectRecords, n)
		zip, _ := gzip.NewWriterLevel(&lines, gzip.DefaultCompression)
		for i := from; i < to; i++ {
			record := pinflow.Record{Offset: int64(i), Timestamp: int64(1764028800000 + i*86_000_000/n), Value: pins[r.IntN(len(pins))], Key: fmt.Append(nil, i)}
			text = value.AppendLine(text[:0], &record)
			_, _ = zip.Write(text)
		}
		if err := zip.Close(); err != nil {
			b.Fatal(err)
		}
		name := filepath.Join(dir, fmt.Sprintf("%05d.json.gz", from/objectRecords))
		if err := os.WriteFile(name, lines.Bytes(), 0o600); err != nil {
			b.Fatal(err)
		}
		part.Objects = append(part.Objects, pinflow.SealedObject{Name: name, Start: int64(from), End: int64(to), Records: int64(to - from), Size: int64(lines.Len())})
		g.files = append(g.files, duck.Literal(name))
		lines.Reset()
	}
	g.seal.Partitions = []pinflow.SealedPartition{part}
	return g
}

// ReadObject implements pinflow.RawReader.
func (g *gzipped) ReadObject(_ context.Context, _ string, o pinflow.SealedObject) iter.Seq2[pinflow.Line, error] {
	return func(yield func(pinflow.Line, error) bool) {
		f, err := os.Open(o.Name)
		if err != nil {
			yield(pinflow.Line{}, err)
			return
		}
		defer f.Close()
		zip, err := gzip.NewReader(f)
		if err != nil {
			yield(pinflow.Line{}, err)
			return
		}
		buffered := bufio.NewReaderSize(zip, 64<<10)
		for {
			text, err := buffered.ReadSlice('\n')
			if errors.Is(err, io.EOF) {
				return
			}
			var line pinflow.Line
			if err == nil {
				line.Record, err = value.ParseLine(text[:len(text)-1])
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// BenchmarkBatch is the engine beside a script that somebody who knows DuckDB would write for the same files and the same Parquet: gzip JSON
// to clean rows, from these the metrics and the latest row of each key. PINFLOW_BENCH_ROWS says of how many records.
func BenchmarkBatch(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("PINFLOW_BENCH_ROWS"))
	if err != nil {
		n = 500_000
	}
	p := refinetest.Cases(b)[0].Plan
	raw := newGzipped(b, p.Sources[0].Topic, n)
	var ours, script, ourCPU, scriptCPU time.Duration
	var peak int64
	for b.Loop() {
		runtime.GC()
		before := processorTime(b)
		ours += runOurs(b, p, raw)
		peak = max(peak, residentPeak(b))
		between := processorTime(b)
		script += runScript(b, p, raw)
		ourCPU += between - before
		scriptCPU += processorTime(b) - between
	}
	b.ReportMetric(float64(n*b.N)/ours.Seconds(), "records/s")
	b.ReportMetric(float64(n*b.N)/script.Seconds(), "script-records/s")
	b.ReportMetric(script.Seconds()/ours.Seconds(), "ratio")
	b.ReportMetric(scriptCPU.Seconds()/ourCPU.Seconds(), "cpu-ratio") // what the ratio would be if nobody else used the machine
	b.ReportMetric(ourCPU.Seconds()*1e6/float64(n*b.N), "cpu-us/record")
	b.ReportMetric(float64(peak>>20), "peak-MiB")
}

// memoryOf is what either may use in DuckDB.
const memoryOf = 384 << 20

func openBench(b *testing.B, dir string, threads int) *duck.Instance {
	i, err := duck.Open(b.Context(), duck.Options{Dir: dir, Memory: memoryOf, Threads: threads, Readable: []string{filepath.Dir(filepath.Dir(dir))}})
	if err != nil {
		b.Fatal(err)
	}
	return i
}

// runOurs has the engine do it in a DuckDB as pinflow batch has it: statements run on the threads that ask.
func runOurs(b *testing.B, p *pinflow.Plan, raw *gzipped) time.Duration {
	dir := b.TempDir()
	i := openBench(b, dir, 1)
	defer i.Close()
	e, err := duckdb.NewBatchEngine(b.Context(), duckdb.BatchOptions{Instance: i, Plan: p, Raw: raw})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	began := time.Now()
	out, err := e.Refine(b.Context(), pinflow.Closed{Period: raw.seal.Period, Seals: []pinflow.Seal{raw.seal}, Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	took := time.Since(began)
	b.Logf("ours: %v, %d parts of %d MiB, %v", took, len(out.Parts), sizeOf(b, dir)>>20, out.Counts)
	return took
}

func runScript(b *testing.B, p *pinflow.Plan, raw *gzipped) time.Duration {
	dir := b.TempDir()
	i := openBench(b, dir, 0)
	defer i.Close()
	source := &p.Sources[0]
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
	began := time.Now()
	run("CREATE VIEW " + source.Name + " AS FROM read_json([" + strings.Join(raw.files, ", ") + "], format = 'newline_delimited', columns = {" + strings.Join(columns, ", ") + "})")
	for k := range p.Models {
		m := &p.Models[k]
		from := "(" + m.SQL + ") WHERE _reject IS NULL"
		if k > 0 { // the same rows
			from = "read_parquet(" + file("clean-"+p.Models[0].Name) + ")"
		} else {
			from = fmt.Sprintf("(SELECT %d::BIGINT AS _period, '%s' AS _topic, * EXCLUDE (_reject) FROM %s)", raw.seal.Period, raw.seal.Topic, from)
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
	took := time.Since(began)
	b.Logf("script: %v, %d MiB", took, sizeOf(b, dir)>>20)
	return took
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

// processorTime is what the process has used of the processors.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// residentPeak is the most memory that the process has had, 0 where the system does not tell.
func residentPeak(b *testing.B) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if kilobytes, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kilobytes), "kB")), 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return n << 10
		}
	}
	return 0
}
