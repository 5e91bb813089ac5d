package refinetest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/value"
)

// Batch is how the suite opens engines.
type Batch struct {
	// Open makes a batch engine that takes step records at a time, at most, and writes an entity's whole state when it takes more than
	// chain files; 0 is what the engine likes best. It is to be closed with t.
	Open func(t testing.TB, p *pinflow.Plan, raw pinflow.RawReader, step, chain int) pinflow.BatchEngine
	// Live makes a live engine to compare with.
	Live func(t testing.TB, p *pinflow.Plan) pinflow.LiveEngine
}

// BatchEngine runs the suite for a batch engine.
func BatchEngine(t *testing.T, b Batch) {
	for _, c := range Cases(t) {
		t.Run(c.Name, func(t *testing.T) {
			for _, size := range []int{0, 1, 60, 400} {
				t.Run(fmt.Sprint(size), func(t *testing.T) { b.testPeriods(t, &c, uint64(size)+1, size) })
			}
			t.Run("Damaged", func(t *testing.T) { b.testDamaged(t, &c) })
			t.Run("Erased", func(t *testing.T) { b.testErased(t, &c) })
		})
	}
}

// testPeriods refines all periods of a log and compares what comes out with the oracle, with the live engine, and with other
// ways to do it.
func (b Batch) testPeriods(t *testing.T, c *Case, seed uint64, size int) {
	r := rand.New(rand.NewPCG(seed, 11))
	log := NewLog(c, r, size)
	sealed := Seal(c.Plan, log, r, 6)
	oracle := NewOracle(t, c.Definition, c.Plan, log)
	live := NewTables(t, c.Plan)
	refineAll(t, c.Plan, b.Live(t, c.Plan), sealed.split(r, size/3+1), live)
	oracle.Check(t, live)
	var first *batched
	for _, how := range []struct{ step, chain int }{{0, 0}, {7, 1}, {1, 2}} {
		if size > 100 && how.step == 1 {
			how.step = 40
		}
		got := runBatch(t, c, b.Open(t, c.Plan, sealed, how.step, how.chain), sealed)
		oracle.Check(t, got.tables)
		countsAddUp(t, c, log, got.tables)
		sameAsLive(t, c.Plan, fmt.Sprintf("by batches of %d records", how.step), got.tables, live)
		if first == nil {
			first = got
			got.again(t, r)
			got.reports(t)
		}
		sameTables(t, c.Plan, fmt.Sprintf("in steps of %d records", how.step), got.tables, first.tables)
		if t.Failed() {
			t.Fatalf("seed %d, %d records, steps of %d, chains of %d", seed, size, how.step, how.chain)
		}
	}
}

// split cuts the log into batches for a live engine, with the periods in which records were sealed.
func (s *Sealed) split(r *rand.Rand, most int) []pinflow.Batch {
	batches := Split(s.Log, r, most)
	floors := map[pinflow.TopicPartition]pinflow.Period{}
	for i := range batches {
		for k := range batches[i].Slices {
			slice := &batches[i].Slices[k]
			for n := range slice.Records {
				slice.Periods[n] = s.PeriodOf(slice.TopicPartition, slice.Records[n].Offset)
				floors[slice.TopicPartition] = slice.Periods[n]
			}
			slice.Floor = pinflow.NoPeriod
			if floor, ok := floors[slice.TopicPartition]; ok {
				slice.Floor = floor
			}
		}
	}
	return batches
}

// batched is a log refined by a batch engine.
type batched struct {
	*Case
	engine    pinflow.BatchEngine
	sealed    *Sealed
	tables    *Tables
	manifests []pinflow.Manifest
}

// runBatch refines all periods in order.
func runBatch(t *testing.T, c *Case, engine pinflow.BatchEngine, sealed *Sealed) *batched {
	t.Helper()
	b := &batched{c, engine, sealed, NewTables(t, c.Plan), nil}
	for i := range sealed.Periods {
		out := b.refine(t, i)
		b.manifests = append(b.manifests, pinflow.Manifest{Period: sealed.Periods[i], Parts: out.Parts, Before: b.before(i)})
		b.tables.addParts(out.Parts)
	}
	for i := range c.Plan.Tables {
		if table := &c.Plan.Tables[i]; table.Kind == pinflow.Entities {
			b.tables.addState(table, b.before(len(b.manifests))[table.Name])
		}
	}
	return b
}

// before is the state before the i-th period.
func (b *batched) before(i int) map[string][]pinflow.Part {
	before := map[string][]pinflow.Part{}
	for k := range b.Plan.Tables {
		if name := b.Plan.Tables[k].Name; i > 0 && b.Plan.Tables[k].Kind == pinflow.Entities {
			before[name] = b.manifests[i-1].StateOf(name)
		}
	}
	return before
}

// refine refines the i-th period and holds the parts to their files and the counts to the seals.
func (b *batched) refine(t *testing.T, i int) *pinflow.Refined {
	t.Helper()
	dir := t.TempDir()
	var objects, rows, records, sealed int64
	out, err := b.engine.Refine(t.Context(), pinflow.Closed{Period: b.sealed.Periods[i], Seals: b.sealed.Of(i), Before: b.before(i), Dir: dir,
		Progress: func(o, r int64) { objects += o; rows += r }})
	if err != nil {
		t.Fatal(err)
	}
	checkParts(t, dir, out.Parts)
	counts := map[pinflow.TopicPartition]pinflow.SealedPartition{}
	for _, s := range b.sealed.Of(i) {
		for _, part := range s.Partitions {
			counts[pinflow.TopicPartition{Topic: s.Topic, Partition: part.Partition}] = part
			records += part.Records
			sealed += int64(len(part.Objects))
		}
	}
	for at := range b.sealed.Erased {
		if b.sealed.PeriodOf(at.TopicPartition, at.Offset) == b.sealed.Periods[i] {
			rows++ // they are read, not cleaned
		}
	}
	if objects != sealed || rows != records {
		t.Errorf("progress tells of %d objects and %d records, there are %d and %d", objects, rows, sealed, records)
	}
	clean, rejected := map[string]int64{}, map[string]int64{}
	for _, part := range out.Parts {
		switch part.Kind {
		case pinflow.CleanPart:
			clean[part.Of] += part.Rows
		case pinflow.RejectPart:
			rejected[part.Of] += part.Rows
		}
	}
	for _, n := range out.Counts {
		if sum := n.Accepted + n.Rejected + n.Erased; sum != counts[n.TopicPartition].Records {
			t.Errorf("%s of %s: %+v for %d records", n.Model, n.TopicPartition, n, counts[n.TopicPartition].Records)
		}
		clean[n.Model] -= n.Accepted
		rejected[n.Model] -= n.Rejected
	}
	for model := range clean {
		if clean[model] != 0 || rejected[model] != 0 {
			t.Errorf("%s: %d more clean rows than were accepted, %d more rejects than were rejected", model, clean[model], rejected[model])
		}
	}
	return out
}

// checkParts holds parts to the files of a folder.
func checkParts(t testing.TB, dir string, parts []pinflow.Part) {
	t.Helper()
	var want []string
	for _, p := range parts {
		want = append(want, p.File)
		content, err := os.ReadFile(p.File)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(content); p.SHA256 != hex.EncodeToString(sum[:]) || p.Size != int64(len(content)) || p.Rows == 0 {
			t.Errorf("%s is not the file that %+v tells of", p.File, p)
		}
	}
	got, err := filepath.Glob(filepath.Join(dir, "*"))
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("the folder has %v, the parts %v", got, want)
	}
}

// again refines a period once more: the rows are the same.
func (b *batched) again(t *testing.T, r *rand.Rand) {
	t.Helper()
	i := r.IntN(len(b.manifests))
	one, other := NewTables(t, b.Plan), NewTables(t, b.Plan)
	one.addParts(b.manifests[i].Parts)
	other.addParts(b.refine(t, i).Parts)
	sameTables(t, b.Plan, "once more", other, one)
}

// reports runs every report over the state at the end and holds its rows to those of its SQL over the tables.
func (b *batched) reports(t *testing.T) {
	t.Helper()
	state := pinflow.State{Clean: map[string][]pinflow.Part{}, Metrics: map[string][]pinflow.Part{}, Latest: b.before(len(b.manifests))}
	for _, m := range b.manifests {
		for _, p := range m.Parts {
			switch p.Kind {
			case pinflow.CleanPart:
				state.Clean[p.Of] = append(state.Clean[p.Of], p)
			case pinflow.MetricPart:
				state.Metrics[p.Of] = append(state.Metrics[p.Of], p)
			case pinflow.RejectPart:
				state.Rejects = append(state.Rejects, p)
			}
		}
	}
	for _, v := range b.Plan.Views {
		b.tables.db.exec("CREATE OR REPLACE TEMP VIEW " + duck.Quote(v.Name) + " AS " + strings.ReplaceAll(v.DuckDB, "{gen}", "gen"))
	}
	for _, report := range b.Plan.Reports {
		dir := t.TempDir()
		parts, err := b.engine.Report(t.Context(), report.Name, state, dir)
		if err != nil {
			t.Fatal(err)
		}
		checkParts(t, dir, parts)
		var got [][]string
		if len(parts) > 0 {
			got, _ = b.tables.db.rows("SELECT * FROM " + files(parts, report.Columns))
		}
		want, _ := b.tables.db.rows(report.SQL)
		same(t, "report "+report.Name, got, want)
	}
	if _, err := b.engine.Report(t.Context(), "no such report", state, t.TempDir()); pinflow.KindOf(err) != pinflow.NotFound {
		t.Errorf("a report that there is not: %v", err)
	}
}

// addParts inserts what parts hold into the tables, but entities, of which there are only changes.
func (t *Tables) addParts(parts []pinflow.Part) {
	t.db.t.Helper()
	for _, p := range parts {
		name := p.Of
		switch p.Kind {
		case pinflow.CleanPart:
			if of := t.plan.Table(p.Of); of == nil || of.Kind != pinflow.Rows {
				continue
			}
		case pinflow.RejectPart:
			name = pinflow.RejectsTable().Name
		case pinflow.MetricPart:
		default:
			continue
		}
		t.db.exec("INSERT INTO gen." + duck.Quote(name) + " SELECT * FROM " + files([]pinflow.Part{p}, columnsOf(t.table(name))))
	}
}

// addState inserts the rows that stand in a state.
func (t *Tables) addState(of *pinflow.Table, parts []pinflow.Part) {
	t.db.t.Helper()
	if len(parts) == 0 {
		return
	}
	order := "DESC"
	if of.Keep == "first" {
		order = "ASC"
	}
	t.db.exec("INSERT INTO gen." + duck.Quote(of.Name) + " SELECT * FROM " + files(parts, columnsOf(of)) +
		" QUALIFY row_number() OVER (PARTITION BY " + keyList(of) + " ORDER BY _offset " + order + ") = 1")
}

// files is what stands in FROM for the rows of parts.
func files(parts []pinflow.Part, columns []pinflow.Column) string {
	var list, casts []string
	for _, p := range parts {
		list = append(list, duck.Literal(p.File))
	}
	for _, c := range columns {
		casts = append(casts, "CAST("+duck.Quote(c.Name)+" AS "+c.Type+") AS "+duck.Quote(c.Name))
	}
	return "(SELECT " + strings.Join(casts, ", ") + " FROM read_parquet([" + strings.Join(list, ", ") + "]))"
}

// sameAsLive compares tables with those of a live engine. A payload that is a JSON object is compact in the lake.
func sameAsLive(t testing.TB, p *pinflow.Plan, how string, got, live *Tables) {
	t.Helper()
	for i := range p.Tables {
		name := p.Tables[i].Name
		if p.Tables[i].Kind != pinflow.Rejects {
			same(t, name+" "+how+", and live", got.Merged(name), live.Merged(name))
			continue
		}
		same(t, "rejects "+how+", and live", got.rejects(), live.rejects())
	}
}

// rejects returns the rows of the table of rejects with compact payloads.
func (t *Tables) rejects() (rows [][]string) {
	t.db.t.Helper()
	result, err := t.db.conn.QueryContext(t.db.t.Context(), "SELECT * FROM gen.rejects")
	if err != nil {
		t.db.t.Fatal(err)
	}
	if err := duck.EachRow(result, func(row []any) error {
		if payload, ok := row[7].([]byte); ok && value.IsPlain(payload) {
			row[7] = value.Compact(nil, payload)
		}
		texts := make([]string, len(row))
		for i, v := range row {
			texts[i] = fmt.Sprintf("%q", fmt.Sprint(v))
		}
		rows = append(rows, texts)
		return nil
	}); err != nil {
		t.db.t.Fatal(err)
	}
	slices.SortFunc(rows, slices.Compare)
	return rows
}

// testDamaged spoils an object in several ways: each is an error that names it.
func (b Batch) testDamaged(t *testing.T, c *Case) {
	r := rand.New(rand.NewPCG(3, 11))
	sealed := Seal(c.Plan, NewLog(c, r, 90), r, 1)
	var objects []pinflow.SealedObject
	for _, s := range sealed.Of(0) {
		for _, part := range s.Partitions {
			objects = append(objects, part.Objects...)
		}
	}
	victim := slices.MaxFunc(objects, func(x, y pinflow.SealedObject) int { return cmp.Compare(x.Records, y.Records) })
	engine := b.Open(t, c.Plan, sealed, 10, 0)
	for how, spoil := range map[string]func(lines []string) ([]string, error){
		"cut off":           func(lines []string) ([]string, error) { return lines[:1], errors.New("unexpected EOF") },
		"no line":           func(lines []string) ([]string, error) { lines[1] = "{}\n"; return lines, nil },
		"a line twice":      func(lines []string) ([]string, error) { return slices.Insert(lines, 1, lines[0]), nil },
		"a line is missing": func(lines []string) ([]string, error) { return lines[1:], nil },
		"the wrong order":   func(lines []string) ([]string, error) { lines[0], lines[1] = lines[1], lines[0]; return lines, nil },
	} {
		sealed.Spoil = func(o pinflow.SealedObject, lines []string) ([]string, error) {
			if o.Name != victim.Name {
				return lines, nil
			}
			return spoil(lines)
		}
		dir := t.TempDir()
		_, err := engine.Refine(t.Context(), pinflow.Closed{Period: sealed.Periods[0], Seals: sealed.Of(0), Dir: dir})
		if pinflow.KindOf(err) != pinflow.Invalid || !strings.Contains(fmt.Sprint(err), victim.Name) {
			t.Errorf("%s: %v", how, err)
		}
		checkParts(t, dir, nil)
	}
}

// testErased erases records: they are counted and leave no trace.
func (b Batch) testErased(t *testing.T, c *Case) {
	r := rand.New(rand.NewPCG(4, 11))
	log := NewLog(c, r, 120)
	sealed := Seal(c.Plan, log, r, 2)
	left := Log{}
	for tp, records := range log {
		for _, record := range records {
			if r.IntN(4) > 0 {
				left[tp] = append(left[tp], record)
				continue
			}
			sealed.Erased[record.Position()] = true
		}
	}
	got := runBatch(t, c, b.Open(t, c.Plan, sealed, 0, 0), sealed)
	NewOracle(t, c.Definition, c.Plan, left).Check(t, got.tables)
	var erased int64
	for i := range sealed.Periods {
		for _, n := range got.refine(t, i).Counts {
			erased += n.Erased
		}
	}
	var want int64
	for at := range sealed.Erased {
		for _, s := range c.Plan.Sources {
			for i := range c.Plan.Models {
				if s.Topic == at.Topic && c.Plan.Models[i].Source == s.Name {
					want++
				}
			}
		}
	}
	if erased != want {
		t.Errorf("%d are counted as erased, want %d", erased, want)
	}
}
