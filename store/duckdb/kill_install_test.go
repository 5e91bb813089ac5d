package duckdb_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/store/duckdb"
	"golang.org/x/sys/unix"
)

// installVar and fullVar tell a run of this test binary that it is a child: one that installs, and one whose disk is full.
const (
	installVar = "PINFLOW_TEST_INSTALL"
	fullVar    = "PINFLOW_TEST_FULL"
)

// killPlan is the small plan with an entity: the last record of each word.
func killPlan() *pinflow.Plan {
	p := smallPlan()
	p.Tables = append(p.Tables, pinflow.Table{Name: "last", Kind: pinflow.Entities, Keys: p.Table("things").Keys, Key: []string{"word"}, Keep: "latest"})
	p.Views = append(p.Views, pinflow.View{Name: "last", DuckDB: "SELECT * FROM {gen}.last"})
	return p
}

// periodRows are the rows of the records from start to end, all of one period, by table; also those that stand, by word.
func periodRows(period pinflow.Period, start, end int64) map[string]relation {
	all := map[string]relation{"totals": {{int64(period), int32(0), end - start}}}
	last := map[string][]any{}
	for at := start; at < end; at++ {
		word := strconv.FormatInt(at%1000, 36)
		all["words"] = append(all["words"], []any{int64(period), int32(0), word, int64(1)})
		row := []any{int64(period), benchTopic.Topic, word, int32(0), at}
		all["things"] = append(all["things"], row)
		last[word] = row
	}
	for _, row := range last {
		all["last"] = append(all["last"], row)
	}
	return all
}

func additions(all map[string]relation, tables ...string) []pinflow.Addition {
	var added []pinflow.Addition
	for _, t := range tables {
		added = append(added, pinflow.Addition{Table: t, Rows: all[t]})
	}
	return added
}

func periodDelta(period pinflow.Period, start, end int64) pinflow.Delta {
	all := periodRows(period, start, end)
	return pinflow.Delta{Generation: "g1", Close: func() {}, Advances: []pinflow.Advance{{TopicPartition: benchTopic, Start: start, End: end, Period: period}},
		Added: additions(all, "totals", "words", "things"),
		Changes: []pinflow.Change{{Table: "last", Rows: all["last"], Before: []pinflow.Column{{Name: "word", Type: "VARCHAR"}},
			Deltas: func(context.Context, pinflow.Relation) ([]pinflow.Addition, error) { return nil, nil }}}}
}

func periodInstall(period pinflow.Period, start, end int64) pinflow.Installation {
	return pinflow.Installation{Generation: "g1", Period: period, Next: period + 1, Added: additions(periodRows(period, start, end), "totals", "words", "things", "last"),
		Ranges:  []pinflow.InstalledRange{{TopicPartition: benchTopic, Start: start, End: end, Records: end - start}},
		StateOf: func(context.Context, string, pinflow.Relation) (pinflow.Relation, error) { return relation{}, nil }}
}

// TestKilledInInstall kills a process while it installs periods that overtake its commits.
func TestKilledInInstall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.duckdb")
	r := rand.New(rand.NewPCG(10, 9))
	for round := range 8 {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInstallingChild$", "-test.count=1")
		child.Env = append(os.Environ(), installVar+"="+path)
		told := kill(t, child, 1+r.IntN(12), time.Duration(r.IntN(40000))*time.Microsecond)
		checkKilled(t, path, round, told)
	}
}

func checkKilled(t *testing.T, path string, round int, told int64) {
	t.Helper()
	p := &place{path: path, options: duckdb.Options{Recent: 50, WAL: 64 << 10}}
	s := p.open(t)
	defer s.Close()
	positions, err := s.Positions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := positions[benchTopic].NextOffset
	if at < told {
		t.Errorf("round %d: position %d, but %d had been reported", round, at, told)
	}
	for sql, want := range map[string]int64{"SELECT n FROM totals": at, "SELECT count(*) FROM things": at, "SELECT count(DISTINCT _offset) FROM things": at, "SELECT sum(n)::BIGINT FROM words": at,
		"SELECT count(*) FROM last": min(at, 1000), "SELECT min(_offset) FROM last": max(0, at-1000), "SELECT max(_offset) FROM last": at - 1} {
		result, err := s.Query(t.Context(), pinflow.Query{SQL: sql})
		if err != nil {
			t.Fatal(err)
		}
		if got := result.Rows[0][0]; got != want && at > 0 {
			t.Errorf("round %d: %s is %v, want %d; the position is %d", round, sql, got, want, at)
		}
	}
	installed, err := s.Installed(t.Context(), "g1")
	if err != nil {
		t.Fatal(err)
	}
	end := int64(0)
	for i, one := range installed {
		if one.Period != pinflow.Period(i) || one.Ranges[0].Start != end {
			t.Errorf("round %d: installed %+v behind %d", round, one, end)
		}
		end = one.Ranges[0].End
	}
	comparisons, err := s.Comparisons(t.Context(), "g1")
	if err != nil || len(comparisons) != len(installed) || end > at {
		t.Errorf("round %d: %d comparisons of %d periods, which end at %d of %d, %v", round, len(comparisons), len(installed), end, at, err)
	}
	for _, c := range comparisons {
		if c.Differing != 0 {
			t.Errorf("round %d: %+v", round, c)
		}
	}
}

// TestInstallingChild is the child of TestKilledInInstall. Run by itself, it does nothing.
func TestInstallingChild(t *testing.T) {
	path := os.Getenv(installVar)
	if path == "" {
		return // nobody's child
	}
	p := &place{path: path, options: duckdb.Options{Recent: 50, WAL: 64 << 10}}
	s := p.open(t)
	if err := s.Prepare(t.Context(), killPlan()); err != nil {
		t.Fatal(err)
	}
	claimed, err := s.Claim(t.Context(), "g1", map[pinflow.TopicPartition]int64{benchTopic: 0})
	if err != nil {
		t.Fatal(err)
	}
	installed, err := s.Installed(t.Context(), "g1")
	if err != nil {
		t.Fatal(err)
	}
	at, begun, period := claimed[benchTopic].NextOffset, int64(0), pinflow.Period(len(installed))
	if len(installed) > 0 {
		begun = installed[len(installed)-1].Ranges[0].End
	}
	for ; ; period++ {
		for n := range int64(2) {
			end := at + 1 + (at+n)%97
			if err := s.Commit(t.Context(), periodDelta(period, at, end)); err != nil {
				t.Fatal(err)
			}
			at = end
		}
		end := at + max(0, at%150-50) // the live half is past the end, or before it
		if _, err := s.Install(t.Context(), periodInstall(period, begun, end)); err != nil {
			t.Fatal(err)
		}
		at, begun = end, end
		if err := binary.Write(os.Stdout, binary.LittleEndian, at); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDiskFull installs a period for which there is no room: an error says so, nothing of it stays, and with room again it goes in.
func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.duckdb")
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFullChild$", "-test.count=1", "-test.v")
	child.Env = append(os.Environ(), fullVar+"="+path)
	out, err := child.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "Look at the disk") {
		t.Errorf("the child said %s", out)
	}
	checkKilled(t, path, 0, 300)
	p := &place{path: path}
	s := p.open(t)
	if installed, err := s.Installed(t.Context(), "g1"); err != nil || len(installed) != 0 {
		t.Errorf("installed %+v, %v", installed, err)
	}
	if c, err := s.Install(t.Context(), periodInstall(0, 0, fullRecords)); err != nil || c.Why == "" {
		t.Errorf("installed with room: %+v, %v", c, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkKilled(t, path, 1, fullRecords)
}

const fullRecords = 200_000

// TestFullChild is the child of TestDiskFull: its files cannot grow. Run by itself, it does nothing.
func TestFullChild(t *testing.T) {
	path := os.Getenv(fullVar)
	if path == "" {
		return // nobody's child
	}
	p := &place{path: path}
	s := p.open(t)
	if err := s.Prepare(t.Context(), killPlan()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), "g1", map[pinflow.TopicPartition]int64{benchTopic: 0}); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), periodDelta(0, 0, 300)); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(unix.SIGXFSZ)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 512 << 10, Max: 512 << 10}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Install(context.Background(), periodInstall(0, 0, fullRecords))
	fmt.Println(pinflow.KindOf(err), err)
	os.Exit(0) // there is no room for an orderly end either
}
