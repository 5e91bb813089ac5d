package refine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/refine"
	"github.com/pinflow/pinflow/refine/plan"
	"github.com/pinflow/pinflow/refine/refinetest"
)

// TestMetamorphic: whatever posts come, and whatever fails or is killed in lake, live half, batch, install and switch, at the end every metric is
// its SQL over all accepted records, live and batch rows are equal in every period that was compared, and every record is in the lake once.
// PINFLOW_SEED runs one seed, PINFLOW_SEEDS so many.
func TestMetamorphic(t *testing.T) {
	cases := append(refinetest.Cases(t), marks(t, "all"))
	for i := range cases {
		cases[i] = small(cases[i])
	}
	later := make([]refinetest.Case, len(cases))
	for i := range cases {
		later[i] = changed(t, cases[i])
	}
	first, seeds := uint64(0), uint64(100)
	if testing.Short() {
		seeds = 10
	}
	if n, err := strconv.ParseUint(os.Getenv("PINFLOW_SEEDS"), 10, 64); err == nil {
		seeds = n
	}
	if n, err := strconv.ParseUint(os.Getenv("PINFLOW_SEED"), 10, 64); err == nil {
		first, seeds = n, 1
	}
	var compared, installed, took atomic.Int64
	t.Run("seeds", func(t *testing.T) {
		for seed := first; seed < first+seeds; seed++ {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				began := time.Now()
				synctest.Test(t, func(t *testing.T) {
					which := 3
					if large, ok := map[uint64]int{0: 1, 10: 0, 15: 2}[seed%20]; ok {
						which = large
					}
					var next *refinetest.Case
					if seed%3 == 1 {
						next = &later[which]
					}
					w := newCosmos(t, seed, &cases[which], next, 120)
					w.beyond = seed%11 == 6
					defer w.close()
					stop := w.watch()
					w.live(seed)
					w.settle()
					stop()
					w.check(seed, &compared, &installed)
				})
				took.Add(int64(time.Since(began)))
			})
		}
	})
	t.Logf("%d seeds: %d periods installed, %d of them compared; %s a seed", seeds, installed.Load(), compared.Load(), time.Duration(took.Load()/int64(seeds)).Round(time.Millisecond))
	if seeds >= 10 && compared.Load() < int64(seeds) {
		t.Errorf("only %d of %d periods were compared", compared.Load(), installed.Load())
	}
}

// changed is a case with one more metric and with fewer rows kept.
func changed(t *testing.T, c refinetest.Case) refinetest.Case {
	t.Helper()
	d := *c.Definition
	again := d.Metrics[0]
	again.Name += "_again"
	d.Metrics = append(slices.Clone(d.Metrics), again)
	d.Models = slices.Clone(d.Models)
	for i := range d.Models {
		if len(d.Models[i].Key) == 0 {
			d.Models[i].Rows = "recent"
		}
	}
	p, faults, err := plan.Compile(t.Context(), &d)
	if err != nil || len(faults) > 0 {
		t.Fatal(faults, err)
	}
	return refinetest.Case{Name: c.Name + " changed", Definition: &d, Plan: p, Values: c.Values}
}

// live lets time pass, and happen what may.
func (w *cosmos) live(seed uint64) {
	var writers []func(bool)
	var workers []func()
	leave := func(i int) {
		writers[i](w.intN(2) == 0)
		writers = slices.Delete(writers, i, i+1)
	}
	neverLive := seed%7 == 3
	steps := 8 + w.intN(14)
	for step := range steps {
		w.append(w.intN(2 * (len(w.ready)/(steps-step) + 1)))
		<-time.After(time.Duration(w.intN(int(w.length) * 2 / 3)))
		if w.intN(12) == 0 { // a quiet time, of empty periods
			<-time.After(3 * time.Duration(w.length))
		}
		switch n := w.intN(20); {
		case len(writers) == 0 || n == 0 && len(writers) < 3:
			writers = append(writers, w.write())
		case n < 3:
			leave(w.intN(len(writers)))
		case n == 3:
			w.broker.Rebalance()
		case n < 7 && !neverLive && len(workers) < 3:
			workers = append(workers, w.count(w.first))
		case n < 9 && len(workers) > 0:
			i := w.intN(len(workers))
			workers[i]()
			workers = slices.Delete(workers, i, i+1)
		case n == 9:
			w.first.journal.rebalance(w.t.Context(), rand.New(rand.NewPCG(uint64(w.intN(1<<30)), 1)), true)
		case n < 14:
			w.batch(w.first)
		case n < 16 && w.next != nil:
			w.batch(w.next)
		case n == 18 && w.next != nil:
			w.build()
		case n == 19:
			w.forget()
		}
	}
	w.mu.Lock()
	w.calm = true
	w.mu.Unlock()
	for len(writers) > 0 {
		leave(0)
	}
	for _, stop := range workers {
		stop()
	}
}

// build builds the next generation and switches to it, for some time.
func (w *cosmos) build() {
	r := w.runner(w.next)
	patience := time.Duration(w.intN(int(5 * w.length)))
	w.running.Go(func() {
		ctx, cancel := context.WithTimeout(w.t.Context(), patience)
		defer cancel()
		_ = w.buildWith(ctx, r) // it is tried again
	})
}

func (w *cosmos) buildWith(ctx context.Context, r *refine.Runner) error {
	stop := func() {}
	defer func() { stop() }()
	return refine.Build(ctx, refine.BuildOptions{Runner: r, Store: &shaky{Store: w.store, w: w}, Near: int64(1 + w.intN(50)), Hold: time.Duration(1+w.intN(5)) * time.Second,
		Live: func(context.Context) (func(), error) {
			stop = w.count(w.next)
			return func() {}, nil
		}}, nil)
}

// settle lets everything that was begun end well.
func (w *cosmos) settle() {
	w.append(len(w.ready))
	w.running.Wait() // batches under way, with their faults
	w.late.Wait()
	stopWriter, stopWorker := w.write(), w.count(w.first)
	current := w.first
	if w.next != nil {
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Hour)
		defer cancel()
		if err := w.buildWith(ctx, w.runner(w.next)); err != nil {
			w.t.Fatalf("the next generation is not built: %v", err)
		}
		stopWorker()
		current, stopWorker = w.next, w.count(w.next)
	}
	w.eventually("not everything is counted", func() (bool, string) { return w.counted(current) })
	w.eventually("not everything is installed", func() (bool, string) {
		out, err := w.runner(current).Run(w.t.Context(), refine.Request{}, nil)
		if err != nil {
			return false, err.Error()
		}
		in, err := w.store.Installed(w.t.Context(), current.Plan.Generation)
		if err != nil {
			w.t.Fatal(err)
		}
		left := w.ends()
		for i := range in {
			for _, r := range in[i].Ranges {
				if r.End >= left[r.TopicPartition] {
					delete(left, r.TopicPartition)
				}
			}
		}
		return len(left) == 0, fmt.Sprintf("%d periods are installed without %v, waiting for %s", len(in), left, out.Waiting)
	})
	stopWorker()
	stopWriter(false)
	w.running.Wait()
}

// check holds what there is at the end to what was appended.
func (w *cosmos) check(seed uint64, compared, installed *atomic.Int64) {
	t, current := w.t, w.first
	if w.next != nil {
		current = w.next
	}
	for tp, log := range w.log {
		n := 0
		for line, err := range w.raw.ReadFrom(t.Context(), tp, 0) {
			if err != nil || n == len(log) || line.Offset != log[n].Offset || line.Timestamp != log[n].Timestamp {
				t.Errorf("the lake holds as record number %d of %s: %+v, %v", n, tp, line.Position(), err)
				break
			}
			n++
		}
		if n != len(log) {
			t.Errorf("the lake holds %d records of %s, %d were appended", n, tp, len(log))
		}
	}
	shown := refinetest.Store(t, w.store)
	refinetest.NewOracle(t, current.Definition, current.Plan, w.log).Check(t, shown)
	for _, g := range w.lineages() {
		all, err := w.store.Comparisons(t.Context(), g.Plan.Generation)
		if err != nil {
			t.Error(err)
		}
		for _, c := range all {
			if c.Why == "" {
				compared.Add(1)
			}
			if c.Differing > 0 && !w.beyond {
				t.Errorf("live and batch differ in %s of %s: %+v", w.length.Name(c.Period), g.Name, c.Tables)
			}
		}
		in, err := w.store.Installed(t.Context(), g.Plan.Generation)
		if err != nil {
			t.Error(err)
		}
		installed.Add(int64(len(in)))
		for i := 1; i < len(in); i++ {
			if in[i].Period != w.length.Next(in[i-1].Period) {
				t.Errorf("%s: %d was installed behind %d", g.Name, in[i].Period, in[i-1].Period)
			}
		}
	}
	if seed%2 == 0 {
		w.audit(current, seed%8 == 0)
	}
	// With a clock beyond the grace, what a period counts may differ until the next one is installed; the views are right.
	for _, r := range current.Plan.Reports { // all is installed, so they are as of now
		if strings.Contains(r.SQL, "rejects") {
			continue // a live reject's payload is as it was posted, the batch's as the lake keeps it
		}
		got, _ := shown.Rows("SELECT * FROM " + shown.From(r.Name))
		want, _ := shown.Rows(r.SQL)
		if !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("report %s shows\n%v, its SQL says\n%v", r.Name, got, want)
		}
	}
}

var _ pinflow.LocalObjects = (*places)(nil)
