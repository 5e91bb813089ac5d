package refinetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"golang.org/x/sync/errgroup"
)

// Engine runs the suite for a live engine; open makes one for a plan, to be closed with t.
func Engine(t *testing.T, open func(t testing.TB, p *pinflow.Plan) pinflow.LiveEngine) {
	for _, c := range Cases(t) {
		t.Run(c.Name, func(t *testing.T) {
			for _, size := range []int{0, 1, 60, 250} {
				t.Run(fmt.Sprint(size), func(t *testing.T) { testSplits(t, &c, uint64(size), size, open) })
			}
			if c.Name != "shipped" { // the others have all its types and more
				t.Run("Large", func(t *testing.T) { testLarge(t, &c, open) })
			}
		})
	}
}

// testLarge compares a batch of more records than a vector of DuckDB or a thread takes at a time with small ones.
func testLarge(t *testing.T, c *Case, open func(t testing.TB, p *pinflow.Plan) pinflow.LiveEngine) {
	const size = 4500
	r := rand.New(rand.NewPCG(size, 8))
	log := NewLog(c, r, size)
	engine := open(t, c.Plan)
	whole, small := NewTables(t, c.Plan), NewTables(t, c.Plan)
	refineAll(t, c.Plan, engine, Split(log, r, size), whole)
	refineAll(t, c.Plan, engine, Split(log, r, 500), small)
	countsAddUp(t, c, log, whole)
	sameTables(t, c.Plan, "in batches of up to 500, and whole", small, whole)
}

func sameTables(t testing.TB, p *pinflow.Plan, how string, got, want *Tables) {
	t.Helper()
	for i := range p.Tables {
		name := p.Tables[i].Name
		same(t, name+" "+how, got.Merged(name), want.Merged(name))
	}
}

// testSplits cuts one log in different ways and compares what comes out.
func testSplits(t *testing.T, c *Case, seed uint64, size int, open func(t testing.TB, p *pinflow.Plan) pinflow.LiveEngine) {
	r := rand.New(rand.NewPCG(seed, 7))
	log := NewLog(c, r, size)
	oracle := NewOracle(t, c.Definition, c.Plan, log)
	engine := open(t, c.Plan)
	var whole *Tables
	for _, most := range []int{size + 1, size/3 + 1, 7} {
		tables := NewTables(t, c.Plan)
		refineAll(t, c.Plan, engine, Split(log, r, most), tables)
		countsAddUp(t, c, log, tables)
		oracle.Check(t, tables)
		if whole == nil {
			whole = tables
			continue
		}
		sameTables(t, c.Plan, fmt.Sprintf("in batches of up to %d, and whole", most), tables, whole)
		if t.Failed() {
			t.Fatalf("seed %d, %d records, batches of up to %d", seed, size, most)
		}
	}
}

// refineAll refines batches, two at a time, and adds their deltas in order.
func refineAll(t *testing.T, p *pinflow.Plan, engine pinflow.LiveEngine, batches []pinflow.Batch, tables *Tables) {
	t.Helper()
	var g errgroup.Group
	g.SetLimit(2)
	before := make(chan struct{}) // closed when the delta before is in the tables, or will never be
	close(before)
	for _, b := range batches {
		turn, done := before, make(chan struct{})
		before = done
		g.Go(func() error {
			defer close(done)
			delta, err := engine.Refine(t.Context(), b)
			if err != nil {
				return err
			}
			defer delta.Close()
			<-turn
			checkAdvances(t, p, b, delta)
			tables.Add(delta)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// checkAdvances holds a delta's positions to its batch.
func checkAdvances(t testing.TB, p *pinflow.Plan, b pinflow.Batch, d pinflow.Delta) {
	t.Helper()
	want := make([]pinflow.Advance, len(b.Slices))
	for i, s := range b.Slices {
		want[i] = pinflow.Advance{TopicPartition: s.TopicPartition, Start: s.Start, End: s.End, Period: s.Floor}
		if len(s.Periods) > 0 {
			want[i].First = s.Periods[0]
		}
	}
	if d.Generation != p.Generation || !slices.Equal(d.Advances, want) {
		t.Errorf("the delta advances %v of %s, its batch %v of %s", d.Advances, d.Generation, want, p.Generation)
	}
}

// countsAddUp checks accepted + rejected = appended per model, and that the rows of one without a key are as many as were accepted.
func countsAddUp(t testing.TB, c *Case, log Log, tables *Tables) {
	t.Helper()
	for i := range c.Plan.Models {
		m := &c.Plan.Models[i]
		appended := 0
		for _, s := range c.Plan.Sources {
			for tp, records := range log {
				if s.Name == m.Source && tp.Topic == s.Topic {
					appended += len(records)
				}
			}
		}
		count := func(what string) string {
			rows, _ := tables.db.rows("SELECT " + what)
			return rows[0][0]
		}
		accepted := count("coalesce(sum(n), 0)::BIGINT FROM gen." + duck.Quote(m.Accepted.Table))
		rejected := count("count(*) FROM gen.rejects WHERE model = " + duck.Literal(m.Name))
		if got := count(accepted + " + " + rejected); got != fmt.Sprint(appended) {
			t.Errorf("%s: %d records were appended, %s accepted and %s rejected", m.Name, appended, accepted, rejected)
		}
		if m.Table == "" || len(m.Key) > 0 {
			continue
		}
		if rows := count("count(*) FROM gen." + duck.Quote(m.Table)); rows != accepted {
			t.Errorf("%s: %s rows, %s records were accepted", m.Name, rows, accepted)
		}
	}
}

// Split cuts a log into batches of up to most records, each of slices of some partitions. Each partition is in order.
func Split(log Log, r *rand.Rand, most int) []pinflow.Batch {
	type reader struct {
		at    int
		next  int64
		floor pinflow.Period
	}
	readers := map[pinflow.TopicPartition]*reader{}
	for tp := range log {
		readers[tp] = &reader{floor: pinflow.NoPeriod}
	}
	var batches []pinflow.Batch
	for left := log.Partitions(); len(left) > 0; {
		var b pinflow.Batch
		room := 1 + r.IntN(most)
		r.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
		for _, tp := range left {
			at := readers[tp]
			n := min(room, len(log[tp])-at.at)
			if most < len(log[tp]) && n > 0 {
				n = r.IntN(n + 1)
			}
			s := pinflow.Slice{TopicPartition: tp, Start: at.next, Records: log[tp][at.at : at.at+n]}
			for i := range s.Records {
				at.floor = Hour.Of(s.Records[i].Timestamp, at.floor)
				at.next = s.Records[i].Offset + 1
				s.Periods = append(s.Periods, at.floor)
			}
			s.End, s.Floor = at.next, at.floor
			at.at += n
			room -= n
			b.Slices = append(b.Slices, s)
		}
		batches = append(batches, b)
		left = slices.DeleteFunc(left, func(tp pinflow.TopicPartition) bool { return readers[tp].at == len(log[tp]) })
	}
	return batches
}
