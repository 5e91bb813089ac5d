package storetest

import (
	"context"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
)

// open prepares the plan and claims the partitions from 0.
func open(t testing.TB, env Env, p *pinflow.Plan, partitions ...int32) Store {
	t.Helper()
	s := env.Open(t)
	must(t, s.Prepare(t.Context(), p))
	claim(t, s, p, partitions...)
	return s
}

func claim(t testing.TB, s Store, p *pinflow.Plan, partitions ...int32) map[pinflow.TopicPartition]pinflow.Progress {
	t.Helper()
	start := map[pinflow.TopicPartition]int64{}
	for _, n := range partitions {
		start[partition(n)] = 0
	}
	claimed, err := s.Claim(t.Context(), p.Generation, start)
	must(t, err)
	return claimed
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, what string, err error, kind pinflow.Kind, says ...string) {
	t.Helper()
	if err == nil || pinflow.KindOf(err) != kind {
		t.Errorf("%s: got %v, want an error of kind %q", what, err, kind)
		return
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%s: %q does not say %q", what, err, s)
		}
	}
}

// testModel commits random deltas over several partitions and periods, some of them twice, and reopens in between.
func testModel(t *testing.T, env Env) {
	p := plan("g1")
	s := open(t, env, p, 0, 1, 2)
	m, makes := newModel(p), newMaker(env, p, 11)
	for n := range 60 {
		d := makes.delta(t, []int{0, 3, 40, 400}[n%4], []int32{int32(n % 3)}...)
		if n%5 == 0 {
			d = makes.delta(t, 30, 0, 2, 1)
		}
		if err := s.Commit(t.Context(), d.Delta); n%5 != 0 || err == nil {
			must(t, err)
			m.apply(d)
		} else {
			// The delta that was thrown away above moved the maker on: it goes back to the store's position.
			wantKind(t, "a delta behind a lost one", err, pinflow.Fenced)
			for tp, at := range claim(t, s, p, 0, 1, 2) {
				makes.at[tp.Partition] = at
			}
		}
		if n%20 == 7 {
			m.check(t, s)
		}
		if n%20 == 13 {
			must(t, s.Close())
			s = env.Open(t)
			m.check(t, s)
		}
	}
	m.check(t, s)
}

// testExtremes sends values at the ends of their types through rows, keys and merges.
func testExtremes(t *testing.T, env Env) {
	p := plan("g1")
	most, _ := new(big.Int).SetString("170141183460469231731687303715884105727", 10)
	least := new(big.Int).Neg(most)
	nines := strings.Repeat("9", 36) + ".99"
	things := [][]any{
		{int64(0), topic, int64(math.MaxInt64), int32(math.MaxInt32), "🙂é日本\n\t'\"\\", []any{"", nil, "a,b]"}, []byte{}, "9999999999999999999999999999.9999999999", math.MaxFloat64,
			time.Date(1900, 1, 1, 0, 0, 0, 1000, time.UTC), time.Date(2400, 12, 31, 0, 0, 0, 0, time.UTC), most, false, int32(0), int64(0)},
		{int64(0), topic, int64(math.MinInt64), int32(math.MinInt32), "", []any{}, []byte{0, 255, 128}, "-0.0000000001", -5e-324,
			time.Date(2400, 1, 1, 23, 59, 59, 999999000, time.UTC), time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC), least, true, int32(0), int64(1)},
		{int64(0), topic, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, int32(0), int64(2)},
	}
	sales := [][]any{
		{int64(0), int32(0), nil, nil, nil, nil, nil, int64(1), most, nines, nil, least, nil, nil, nil, nil, nil, nil, "999999.9999"},
		{int64(0), int32(0), nil, nil, nil, nil, nil, int64(1), least, "-" + nines, nil, most, nil, nil, nil, nil, nil, nil, "-999999.9999"},
		{int64(0), int32(0), "", nil, nil, nil, nil, int64(1), nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil},
		{int64(86400000), int32(1), "", nil, nil, nil, nil, int64(math.MaxInt64 - 1), nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil},
	}
	natives := []bool{false}
	if env.Native != nil {
		natives = append(natives, true)
	}
	s := env.Open(t)
	must(t, s.Prepare(t.Context(), p))
	claim(t, s, p, 0)
	m := newModel(p)
	for i, native := range natives {
		d := made{rows: map[string][][]any{"things": things}, Delta: pinflow.Delta{Generation: p.Generation, Close: func() {},
			Advances: []pinflow.Advance{{TopicPartition: partition(0), Start: int64(i), End: int64(i) + 1, Period: 0}}}}
		if i == 0 {
			d.rows["sales"] = sales
		}
		for table, all := range d.rows {
			relation := pinflow.Relation(rows(all))
			if native {
				relation = env.Native(t, columnsOf(p, table), all)
			}
			d.Added = append(d.Added, pinflow.Addition{Table: table, Rows: relation})
		}
		must(t, s.Commit(t.Context(), d.Delta))
		m.apply(d)
		m.check(t, s)
	}
}

// testFence has workers of the same partitions commit what they hold, zombies among them, in random order.
func testFence(t *testing.T, env Env) {
	p := plan("g1")
	s := open(t, env, p, 0, 1)
	m, r := newModel(p), rand.New(rand.NewPCG(3, 3))
	workers := []*maker{newMaker(env, p, 1), newMaker(env, p, 2), newMaker(env, p, 3)}
	var last made
	committed, fenced := 0, 0
	for n := range 80 {
		w := workers[r.IntN(len(workers))]
		held := w.delta(t, 5, []int32{0, 1}[:1+r.IntN(2)]...)
		current := !slices.ContainsFunc(held.Advances, func(a pinflow.Advance) bool { return m.positions[a.TopicPartition].NextOffset != a.Start })
		err := s.Commit(t.Context(), held.Delta)
		switch {
		case current:
			must(t, err)
			m.apply(held)
			last = held
			committed++
		default:
			wantKind(t, "a zombie's delta", err, pinflow.Fenced)
			fenced++
			for tp, at := range claim(t, s, p, 0, 1) {
				w.at[tp.Partition] = at
			}
		}
		if n%10 == 9 && last.Advances[0].End > last.Advances[0].Start {
			wantKind(t, "a delta committed again", s.Commit(t.Context(), last.Delta), pinflow.Fenced)
		}
	}
	if committed < 10 || fenced < 10 {
		t.Errorf("%d committed, %d fenced: the test tells nothing", committed, fenced)
	}
	m.check(t, s)
	unclaimed := newMaker(env, p, 4).delta(t, 5, 7)
	wantKind(t, "a partition nobody claimed", s.Commit(t.Context(), unclaimed.Delta), pinflow.Fenced, topic+":7")
	m.check(t, s)
}

var errBroken = errors.New("the rows ended early")

// broken is a relation that fails after its rows.
type broken struct{ rows }

func (b broken) Scan(ctx context.Context, f func(row []any) error) error {
	if err := b.rows.Scan(ctx, f); err != nil {
		return err
	}
	return errBroken
}

// testFailedCommit breaks commits in every part of them: nothing of them may stay, and the same rows go in after.
func testFailedCommit(t *testing.T, env Env) {
	p := plan("g1")
	s := open(t, env, p, 0, 1)
	m, makes := newModel(p), newMaker(env, p, 21)
	for n := range 8 {
		good := makes.delta(t, 40, 0, 1)
		for len(good.Added) < 5 {
			good = newMaker(env, p, uint64(100+n)).delta(t, 40, 0, 1)
			for i := range good.Advances {
				at := m.positions[good.Advances[i].TopicPartition]
				good.Advances[i].End += at.NextOffset - good.Advances[i].Start
				good.Advances[i].Start = at.NextOffset
				makes.at[good.Advances[i].Partition] = pinflow.Progress{NextOffset: good.Advances[i].End, Period: max(at.Period, good.Advances[i].Period)}
			}
		}
		for i := range good.Added {
			bad := good.Delta
			bad.Added = slices.Clone(good.Added)
			table := good.Added[i].Table
			bad.Added[i].Rows = broken{rows(good.rows[table])}
			err := s.Commit(t.Context(), bad)
			if !errors.Is(err, errBroken) {
				t.Errorf("rows of %s that break: got %v", table, err)
			}
			bad.Added[i].Rows = rows{append(slices.Clone(good.rows[table][0]), int64(1), int64(2))}
			if err := s.Commit(t.Context(), bad); err == nil {
				t.Errorf("rows of %s with too many values were taken", table)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantKind(t, "a commit that was given up", s.Commit(ctx, good.Delta), pinflow.Unavailable)
		m.check(t, s)
		must(t, s.Commit(t.Context(), good.Delta))
		m.apply(good)
	}
	m.check(t, s)
}
