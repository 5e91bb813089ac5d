package refine_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/protocol"
	"github.com/pinflow/pinflow/refine"
)

// vault is a lake of records that are only offsets, and of files in a folder.
type vault struct {
	t         testing.TB
	dir       string
	mu        sync.Mutex
	seals     map[string][]pinflow.Seal
	manifests map[pinflow.Period]pinflow.Manifest
	replacing map[int]pinflow.Replacement
	puts      int
	swept     []pinflow.Period
	fail      func(what string) (before, after error)
}

const second = pinflow.PeriodLength(time.Second)

func newVault(t testing.TB) *vault {
	return &vault{t: t, dir: t.TempDir(), seals: map[string][]pinflow.Seal{}, manifests: map[pinflow.Period]pinflow.Manifest{}, replacing: map[int]pinflow.Replacement{},
		fail: func(string) (error, error) { return nil, nil }}
}

// seal seals the next period of a topic, with so many records in each partition.
func (a *vault) seal(topic string, p pinflow.Period, records ...int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := pinflow.Seal{Topic: topic, Period: p}
	for i, n := range records {
		part := pinflow.SealedPartition{Partition: int32(i), Records: n}
		if all := a.seals[topic]; len(all) > 0 {
			part.Start = all[len(all)-1].Partitions[i].End
		}
		part.End = part.Start + n
		part.Objects = []pinflow.SealedObject{{Name: fmt.Sprint(topic, p, i), Start: part.Start, End: part.End, Records: n}}
		s.Partitions = append(s.Partitions, part)
	}
	a.seals[topic] = append(a.seals[topic], s)
}

func (a *vault) Seals(_ context.Context, topic string) iter.Seq2[pinflow.Seal, error] {
	a.mu.Lock()
	all := slices.Clone(a.seals[topic])
	a.mu.Unlock()
	return func(yield func(pinflow.Seal, error) bool) {
		for _, s := range all {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func (a *vault) SealsFrom(ctx context.Context, topic string, from pinflow.Period) iter.Seq2[pinflow.Seal, error] {
	return func(yield func(pinflow.Seal, error) bool) {
		for s, err := range a.Seals(ctx, topic) {
			if s.Period >= from && !yield(s, err) {
				return
			}
		}
	}
}

func (a *vault) ReadObject(context.Context, string, pinflow.SealedObject) iter.Seq2[pinflow.Line, error] {
	return func(func(pinflow.Line, error) bool) {}
}

func (a *vault) ReadFrom(context.Context, pinflow.TopicPartition, int64) iter.Seq2[pinflow.Line, error] {
	return func(func(pinflow.Line, error) bool) {}
}

func (a *vault) Put(ctx context.Context, m pinflow.Manifest) (pinflow.Manifest, error) {
	before, after := a.fail("put")
	if err := errors.Join(before, ctx.Err()); err != nil {
		return m, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.puts++
	m.Parts = slices.Clone(m.Parts)
	for i := range m.Parts {
		p := &m.Parts[i]
		if p.Name != "" {
			continue
		}
		text, err := os.ReadFile(p.File)
		if err != nil {
			return m, err
		}
		p.Name = fmt.Sprintf("%s-%s-%d-%d-%d", p.Kind, p.Of, m.Period, a.puts, i)
		if err := os.WriteFile(filepath.Join(a.dir, p.Name), text, 0o600); err != nil {
			return m, err
		}
		p.File = ""
	}
	a.manifests[m.Period] = m
	return m, after
}

func (a *vault) Manifest(_ context.Context, _ string, p pinflow.Period) (pinflow.Manifest, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m, ok := a.manifests[p]
	if !ok {
		return m, &pinflow.Error{Op: "read manifest", Kind: pinflow.NotFound}
	}
	return m, nil
}

func (a *vault) Stage(_ context.Context, p pinflow.Part) (pinflow.Part, func(), error) {
	p.File = filepath.Join(a.dir, p.Name)
	if _, err := os.Stat(p.File); err != nil {
		return p, nil, &pinflow.Error{Op: "stage", On: p.Name, Kind: pinflow.NotFound}
	}
	return p, func() {}, nil
}

func (a *vault) Replacing(_ context.Context, _ string, p pinflow.Period) (pinflow.Replacement, error) {
	if before, after := a.fail("replace"); before != nil || after != nil {
		return pinflow.Replacement{}, errors.Join(before, after)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.puts++
	note := a.puts
	at := pinflow.Replacement{Period: p, Began: time.Now(), End: func(context.Context) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.replacing, note)
		return nil
	}}
	a.replacing[note] = at
	return at, nil
}

func (a *vault) Replacements(context.Context, string) ([]pinflow.Replacement, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Collect(maps.Values(a.replacing)), nil
}

func (a *vault) Sweep(_ context.Context, _ string, p pinflow.Period) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.swept = append(a.swept, p)
	return nil
}

func (a *vault) Drop(context.Context, string) error { return nil }

// counter is an engine whose metric is which offsets there are, and whose entities are the last offset of each residue.
type counter struct {
	mu      sync.Mutex
	running int
	most    int // at a time
	order   []pinflow.Period
	fail    func() error
	pause   time.Duration
	reports int
}

const residues = 5

func (e *counter) Refine(ctx context.Context, in pinflow.Closed) (*pinflow.Refined, error) {
	e.mu.Lock()
	e.running++
	e.most = max(e.most, e.running)
	e.order = append(e.order, in.Period)
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.running--
		e.mu.Unlock()
	}()
	if e.pause > 0 {
		<-time.After(e.pause)
	}
	var rows, latest []string
	state := map[string]string{}
	for _, s := range in.Seals {
		for _, p := range s.Partitions {
			for o := p.Start; o < p.End; o++ {
				at := pinflow.Position{TopicPartition: pinflow.TopicPartition{Topic: s.Topic, Partition: p.Partition}, Offset: o}
				rows = append(rows, at.String())
				state[fmt.Sprint(at.TopicPartition, "/", o%residues)] = at.String()
			}
			in.Progress(int64(len(p.Objects)), p.Records)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(state)) {
		latest = append(latest, k+" "+state[k])
	}
	if err := os.WriteFile(filepath.Join(in.Dir, "half"), nil, 0o600); err != nil {
		return nil, err
	}
	if e.fail != nil {
		if err := e.fail(); err != nil {
			return nil, err
		}
	}
	parts := []pinflow.Part{write(in.Dir, pinflow.MetricPart, "counted", rows), write(in.Dir, pinflow.LatestPart, "things", latest)}
	before := readParts(in.Before["things"])
	if len(before) > 0 && in.Period%3000 == 0 { // now and then all of it
		whole := map[string]string{}
		for _, row := range append(before, latest...) {
			k, v, _ := strings.Cut(row, " ")
			whole[k] = v
		}
		var all []string
		for _, k := range slices.Sorted(maps.Keys(whole)) {
			all = append(all, k+" "+whole[k])
		}
		parts = append(parts, write(in.Dir, pinflow.SnapshotPart, "things", all))
	}
	return &pinflow.Refined{Parts: parts}, ctx.Err()
}

// begun is how many periods were begun so far.
func (e *counter) begun() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.order)
}

func (e *counter) Report(_ context.Context, name string, over pinflow.State, dir string) ([]pinflow.Part, error) {
	e.mu.Lock()
	e.reports++
	e.mu.Unlock()
	rows := readParts(over.Metrics["counted"])
	return []pinflow.Part{write(dir, pinflow.ReportPart, name, []string{fmt.Sprint(len(rows)), fmt.Sprint(len(latestOf(readParts(over.Latest["things"]))))})}, nil
}

func latestOf(rows []string) map[string]string {
	state := map[string]string{}
	for _, row := range rows {
		k, v, _ := strings.Cut(row, " ")
		state[k] = v
	}
	return state
}

func write(dir string, kind pinflow.PartKind, of string, rows []string) pinflow.Part {
	text := strings.Join(append(rows, ""), "\n")
	file := filepath.Join(dir, string(kind)+of)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		panic(err)
	}
	sum := sha256.Sum256([]byte(text))
	return pinflow.Part{Kind: kind, Of: of, File: file, Rows: int64(len(rows)), Size: int64(len(text)), SHA256: hex.EncodeToString(sum[:])}
}

func readParts(parts []pinflow.Part) (rows []string) {
	for _, p := range parts {
		f, err := os.Open(p.File)
		if err != nil {
			panic(err)
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			rows = append(rows, s.Text())
		}
		_ = f.Close()
	}
	return rows
}

// lines are rows of one column.
type lines []string

func (l lines) Scan(_ context.Context, f func([]any) error) error {
	for _, row := range l {
		if err := f([]any{row}); err != nil {
			return err
		}
	}
	return nil
}

// parts reads what counter writes.
type parts struct{}

func (parts) Rows(all []pinflow.Part, _ *pinflow.Table) pinflow.Relation {
	return lines(readParts(all))
}

func (parts) StateOf(ctx context.Context, all []pinflow.Part, _ *pinflow.Table, keys pinflow.Relation) (pinflow.Relation, error) {
	state := latestOf(readParts(all))
	var found lines
	err := keys.Scan(ctx, func(row []any) error {
		if v, ok := state[fmt.Sprint(row[0])]; ok {
			found = append(found, fmt.Sprint(row[0], " ", v))
		}
		return nil
	})
	return found, err
}

// table is a store of what counter counts.
type table struct {
	mu        sync.Mutex
	installed []pinflow.Installed
	rows      map[pinflow.Period][]string
	progress  map[pinflow.TopicPartition]pinflow.Progress
	reports   map[string][]string
	skips     int
	compared  []pinflow.Comparison
	again     int
	things    map[string]string
	fail      func() (before, after error)
	doubt     bool // every comparison finds a difference
}

func newTable() *table {
	return &table{rows: map[pinflow.Period][]string{}, progress: map[pinflow.TopicPartition]pinflow.Progress{}, reports: map[string][]string{}, things: map[string]string{},
		fail: func() (error, error) { return nil, nil }}
}

func (s *table) Prepare(context.Context, *pinflow.Plan) error { return nil }

func (s *table) Installed(context.Context, string) ([]pinflow.Installed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.installed), nil
}

func (s *table) Progress(context.Context, string) (map[pinflow.TopicPartition]pinflow.Progress, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.progress), nil
}

func (s *table) Install(ctx context.Context, in pinflow.Installation) (*pinflow.Comparison, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, after := s.fail()
	if before != nil {
		return nil, before
	}
	at := slices.IndexFunc(s.installed, func(i pinflow.Installed) bool { return i.Period == in.Period })
	ranges := make([]protocol.Range, len(in.Ranges))
	for i, r := range in.Ranges {
		ranges[i] = protocol.Range{TopicPartition: r.TopicPartition, Start: r.Start, End: r.End}
	}
	p := protocol.PlanInstall(s.progress, ranges, in.Next, at >= 0, in.Again)
	if p.Skip {
		s.skips++
		return &pinflow.Comparison{Period: in.Period, Unchanged: true}, nil
	}
	if len(p.Early) > 0 {
		return nil, &pinflow.Error{Op: "install", Kind: pinflow.Fenced}
	}
	var rows []string
	for _, a := range in.Added {
		err := a.Rows.Scan(ctx, func(row []any) error {
			if a.Table == "counted" {
				rows = append(rows, fmt.Sprint(row[0]))
				return nil
			}
			k, v, _ := strings.Cut(fmt.Sprint(row[0]), " ")
			state, err := in.StateOf(ctx, a.Table, lines{k})
			if err != nil {
				return err
			}
			if got := state.(lines); len(got) != 1 || got[0] != k+" "+v {
				return fmt.Errorf("the state of %s is %v, want %s", k, got, v)
			}
			held, err := pinflow.ParsePosition(s.things[k])
			if mine, _ := pinflow.ParsePosition(v); err != nil || held.Offset < mine.Offset {
				s.things[k] = v
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.rows[in.Period] = rows
	maps.Copy(s.progress, p.Moves)
	installed := pinflow.Installed{Period: in.Period, Ranges: in.Ranges, Parts: in.Parts}
	if at >= 0 {
		s.again++
		s.installed[at] = installed
	} else {
		s.installed = append(s.installed, installed)
	}
	c := &pinflow.Comparison{Period: in.Period, Why: p.Why}
	if p.Compare && s.doubt {
		c.Rows, c.Differing = 2, 1
	}
	s.compared = append(s.compared, *c)
	return c, after
}

func (s *table) Comparisons(context.Context, string) ([]pinflow.Comparison, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.compared), nil
}

func (s *table) PutReport(ctx context.Context, _, report string, asOf pinflow.Period, rows pinflow.Relation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports[report] = []string{fmt.Sprint(asOf)}
	return rows.Scan(ctx, func(row []any) error {
		s.reports[report] = append(s.reports[report], fmt.Sprint(row[0]))
		return nil
	})
}

var unkeyed = &pinflow.Plan{Generation: "g", Sources: []pinflow.PlannedSource{{Source: pinflow.Source{Name: "s", Topic: topic}}, {Source: pinflow.Source{Name: "u", Topic: "u"}}},
	Models: []pinflow.PlannedModel{{Name: "things", Source: "s"}}, Tables: []pinflow.Table{{Name: "counted", Kind: pinflow.Partials}},
	Reports: []pinflow.PlannedReport{{Name: "top", Columns: []pinflow.Column{{Name: "n", Type: "VARCHAR"}}}}}

func keyed() *pinflow.Plan {
	p := *unkeyed
	p.Tables = append(slices.Clone(p.Tables), pinflow.Table{Name: "things", Kind: pinflow.Entities, Key: []string{"id"}, Keep: "latest"})
	return &p
}

// yard is a runner's surroundings.
type yard struct {
	t       testing.TB
	vault   *vault
	counter *counter
	table   *table
	options refine.RunnerOptions
}

func newYard(t testing.TB, p *pinflow.Plan) *yard {
	y := &yard{t: t, vault: newVault(t), counter: &counter{}, table: newTable()}
	y.options = refine.RunnerOptions{Plan: p, PeriodLength: second, Raw: y.vault, Derived: y.vault, Engine: y.counter, Store: y.table, Parts: parts{},
		Scratch: t.TempDir(), Patience: -1}
	return y
}

func (y *yard) runner() *refine.Runner {
	y.t.Helper()
	r, err := refine.NewRunner(y.options)
	if err != nil {
		y.t.Fatal(err)
	}
	return r
}

// fill seals n periods, the first at 1000, of records by chance.
func (y *yard) fill(n int, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 5))
	for i := range n {
		p := pinflow.Period(1000 * (1 + i))
		y.vault.seal(topic, p, r.Int64N(9)*r.Int64N(2), r.Int64N(9))
		if i >= n/3 { // a topic that begins later
			y.vault.seal("u", p, r.Int64N(4))
		}
	}
}

// whole checks that all that is sealed is installed, each record once.
func (y *yard) whole() {
	y.t.Helper()
	want, state := map[pinflow.Period][]string{}, map[string]string{}
	for _, topic := range []string{topic, "u"} {
		for _, s := range y.vault.seals[topic] {
			for _, p := range s.Partitions {
				for o := p.Start; o < p.End; o++ {
					at := pinflow.Position{TopicPartition: pinflow.TopicPartition{Topic: topic, Partition: p.Partition}, Offset: o}
					want[s.Period] = append(want[s.Period], at.String())
					state[fmt.Sprint(at.TopicPartition, "/", o%residues)] = at.String()
				}
			}
		}
	}
	if n := len(y.vault.seals[topic]); len(y.table.installed) != n {
		y.t.Errorf("%d periods are installed of %d", len(y.table.installed), n)
	}
	for i, in := range y.table.installed {
		if in.Period != pinflow.Period(1000*(1+i)) {
			y.t.Errorf("installed as number %d: %d", i, in.Period)
		}
		if !slices.Equal(y.table.rows[in.Period], want[in.Period]) {
			y.t.Errorf("rows of %d: %v, want %v", in.Period, y.table.rows[in.Period], want[in.Period])
		}
	}
	if len(y.options.Plan.Tables) > 1 && !maps.Equal(y.table.things, state) {
		y.t.Errorf("entities %v, want %v", y.table.things, state)
	}
	for _, in := range y.table.installed {
		var from, named []string
		for _, p := range in.Parts {
			from = append(from, p.Name)
		}
		for _, p := range y.vault.manifests[in.Period].Parts {
			if p.Kind != pinflow.ReportPart {
				named = append(named, p.Name)
			}
		}
		if !slices.Equal(from, named) {
			y.t.Errorf("%d was installed from %v, its manifest names %v", in.Period, from, named)
		}
	}
	left, err := os.ReadDir(y.options.Scratch)
	if err != nil || len(left) > 0 {
		y.t.Errorf("scratch holds %v, %v", left, err)
	}
}
