package audit_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/audit"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/refine/refinetest"
)

// whole makes a world in which everything has happened as it should.
func whole(t testing.TB, seed uint64, which int) *world {
	w := newWorld(t, seed, which, 300)
	w.fill(0.9)
	w.live(0.95)
	out := w.batch()
	if len(out.Periods) == 0 || out.Differences {
		for _, p := range out.Periods {
			t.Logf("%s: %+v", p.Name, p.Comparison)
		}
		t.Fatalf("seed %d: the batch has done %+v", seed, out)
	}
	return w
}

func TestAllIsWell(t *testing.T) {
	for which, name := range []string{"shipped", "shop"} {
		for seed := range uint64(2) {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				w := whole(t, seed, which)
				for _, deep := range []bool{false, true} {
					r := w.audit(audit.Request{Deep: deep}, nil)
					if !r.OK || len(r.Findings) > 0 {
						t.Errorf("deep %v:\n%s", deep, describe(r))
					}
					if tabled, counted := tabled(t, r), w.before(r.Positions); tabled != counted || counted == 0 {
						t.Errorf("deep %v: %d records are in the table, %d were counted", deep, tabled, counted)
					}
				}
			})
		}
	}
}

// tabled is how many records the table of counts has.
func tabled(t *testing.T, r *pinflow.AuditReport) (n int64) {
	t.Helper()
	for _, c := range r.Counts {
		if c.Journal == nil || *c.Journal < *c.Lake {
			t.Errorf("%+v", c)
			continue
		}
		n += *c.Journal
	}
	return n
}

// before is how many records of the log lie before some positions.
func (w *world) before(positions []pinflow.AuditPosition) (n int64) {
	for _, p := range positions {
		for _, rec := range w.log[p.TopicPartition] {
			if rec.Offset < p.NextOffset {
				n++
			}
		}
	}
	return n
}

func TestNothingYet(t *testing.T) {
	w := newWorld(t, 1, 1, 50)
	for _, deep := range []bool{false, true} {
		if r := w.audit(audit.Request{Deep: deep}, nil); !r.OK {
			t.Error(describe(r))
		}
	}
	w.live(1)
	for _, deep := range []bool{false, true} {
		if r := w.audit(audit.Request{Deep: deep}, nil); !r.OK || len(r.Counts) == 0 {
			t.Error(describe(r))
		}
	}
}

func TestRetentionHasPassed(t *testing.T) {
	w := whole(t, 2, 1)
	for tp, records := range w.log {
		w.journal.start[tp] = records[len(records)/2].Offset
	}
	for _, deep := range []bool{false, true} {
		r := w.audit(audit.Request{Deep: deep}, nil)
		unknown := 0
		for _, c := range r.Counts {
			if c.Journal == nil {
				unknown++
			}
		}
		if !r.OK || unknown == 0 || unknown == len(r.Counts) {
			t.Errorf("%d of %d rows lack the journal's count: %s", unknown, len(r.Counts), describe(r))
		}
	}
	for tp, records := range w.log { // neither lake nor journal has what is between
		w.journal.start[tp] = records[len(records)*19/20].Offset
	}
	if r := w.audit(audit.Request{}, nil); !found(r, pinflow.FindLake) {
		t.Error(describe(r))
	}
}

func found(r *pinflow.AuditReport, kind string) bool {
	for _, f := range r.Findings {
		if f.Kind == kind && f.Where != "" && f.What != "" && f.Do != "" {
			return true
		}
	}
	return false
}

// growing is a journal and a lake that go on while they are looked at.
type growing struct {
	*journal
	grow func()
}

func (g *growing) Topic(ctx context.Context, topic string) (pinflow.Topic, error) {
	t, err := g.journal.Topic(ctx, topic)
	g.grow()
	return t, err
}

func TestTheLakeGoesOnMeanwhile(t *testing.T) {
	w := newWorld(t, 5, 1, 200)
	whole := w.log
	w.log = refinetest.Log{}
	for tp, records := range whole {
		w.log[tp] = records[:len(records)/2]
	}
	w.journal.log = w.log
	w.fill(1)
	w.live(1)
	grown := false
	g := &growing{w.journal, func() {
		if !grown {
			grown = true
			w.journal.log = whole
			for _, tp := range whole.Partitions() {
				last := w.log[tp][len(w.log[tp])-1]
				rest := whole[tp][len(w.log[tp]):]
				period := pinflow.NoPeriod
				for i := range w.log[tp] {
					period = length.Of(w.log[tp][i].Timestamp, period)
				}
				n := 1
				for n < len(rest) && length.Of(rest[n].Timestamp, length.Of(rest[0].Timestamp, period)) == length.Of(rest[0].Timestamp, period) {
					n++
				}
				w.put(lake.Object{TopicPartition: tp, Period: length.Of(rest[0].Timestamp, period), Start: last.Offset + 1}, rest[:n])
			}
		}
	}}
	if r := w.audit(audit.Request{}, func(o *audit.Options) { o.Journal = g }); !r.OK || !grown {
		t.Error(describe(r))
	}
}
