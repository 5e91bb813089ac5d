package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/journal/embedded"
	"github.com/pinflow/pinflow/journal/kafka"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/lake/folder"
	"github.com/pinflow/pinflow/refine"
	live "github.com/pinflow/pinflow/refine/duckdb"
	"github.com/pinflow/pinflow/store/duckdb"
)

// aPin is a post that is accepted.
const aPin = `{"index":1,"unique_id":"u","title":"t","description":"d","follower_count":"1k","tag_list":"a","is_image_or_video":"image","image_src":"s",` +
	`"downloaded":1,"save_location":"Local save in /d","category":"art"}`

// TestPeriodsAgree gives the broker a clock that runs and steps back, and has two writers fill one lake and two workers one store, each seeing every
// record, starting anew again and again: so they take one another's turns all the time. Every offset ends in the same log
// period in both places, which is that of the latest append time so far.
func TestPeriodsAgree(t *testing.T) {
	const rounds, perRound = 8, 40
	r := rand.New(rand.NewPCG(3, 14))
	data := t.TempDir()
	var clock atomic.Int64
	clock.Store(time.Date(2026, 11, 22, 23, 59, 50, 0, time.UTC).UnixMilli())
	broker, err := embedded.Open(t.Context(), embedded.Options{Dir: filepath.Join(data, "journal"), Listen: "127.0.0.1:0",
		Clock: func() time.Time { return time.UnixMilli(clock.Load()) }})
	must(t, err)
	defer broker.Close()
	j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{broker.Addr()}})
	must(t, err)
	defer j.Close()
	plan, err := mustCompile(t.Context(), "", io.Discard)
	must(t, err)
	instance, err := duck.Open(t.Context(), duck.Options{Path: filepath.Join(data, "store.duckdb"), Dir: filepath.Join(data, "scratch")})
	must(t, err)
	defer instance.Close()
	store, err := duckdb.Open(t.Context(), duckdb.Options{Instance: instance})
	must(t, err)
	defer store.Close()
	must(t, store.Prepare(t.Context(), plan))
	engine, err := live.NewEngine(t.Context(), live.Options{Instance: instance, Plan: plan})
	must(t, err)
	defer engine.Close()
	objects, err := folder.OpenURL("file://" + filepath.Join(data, "lake"))
	must(t, err)
	defer objects.Close()
	source := plan.Sources[0]
	topic, err := j.EnsureTopic(t.Context(), source.Topic, 1)
	must(t, err)
	const period = pinflow.PeriodLength(time.Second)
	kept, err := lake.EnsureTopic(t.Context(), objects, topic, period, true)
	must(t, err)

	var want []pinflow.Period // by offset
	floor := pinflow.NoPeriod
	for round := range rounds {
		ctx, stop := context.WithCancel(t.Context())
		var parts sync.WaitGroup
		for n := range 2 {
			group := fmt.Sprintf("%d-%d", round, n)
			parts.Go(func() {
				s, err := refine.NewStream(refine.Options{Journal: j, Engine: engine, Store: store, Plan: plan, Period: period, Group: "live-" + group,
					MaxRecords: 7, Gather: -1, Metrics: prometheus.NewRegistry()})
				if err == nil {
					err = s.Run(ctx)
				}
				if err != nil {
					t.Errorf("live: %v", err)
				}
			})
			parts.Go(func() {
				w, err := lake.NewWriter(lake.Options{Journal: j, Objects: objects, Topics: []string{source.Topic}, Group: "lake-" + group,
					FlushAge: 20 * time.Millisecond, FlushCount: 5, Log: slog.New(slog.DiscardHandler)})
				if err == nil {
					err = w.Run(ctx)
				}
				if err != nil {
					t.Errorf("lake: %v", err)
				}
			})
		}
		for range perRound {
			now := clock.Add(int64(r.IntN(1500)) - 600)
			floor = period.Of(now, floor)
			value := aPin
			if r.IntN(3) == 0 {
				value = `{"rejected":true}`
			}
			receipts := j.Append(t.Context(), []pinflow.Draft{{Topic: source.Topic, Value: []byte(value)}})
			must(t, receipts[0].Err)
			want = append(want, floor)
		}
		if round == rounds-1 {
			eventually(t, "all is counted and in the lake", func() bool {
				at, err := store.Positions(t.Context())
				must(t, err)
				tail, err := kept.Last(t.Context(), 0)
				must(t, err)
				return tail.End == int64(len(want)) && at[pinflow.TopicPartition{Topic: source.Topic}].NextOffset == tail.End
			})
		}
		stop()
		parts.Wait()
	}

	inLake := map[int64]pinflow.Period{}
	for o, err := range kept.Objects(t.Context()) {
		must(t, err)
		for line, err := range kept.Read(t.Context(), o) {
			must(t, err)
			if p, twice := inLake[line.Offset]; twice {
				t.Errorf("offset %d is in the lake twice, in %d and %d", line.Offset, p, o.Period)
			}
			inLake[line.Offset] = o.Period
		}
	}
	inStore := map[int64]pinflow.Period{}
	rows, err := instance.File.QueryContext(t.Context(), fmt.Sprintf(`SELECT _offset, _period FROM "_gen_%[1]s".posts UNION ALL SELECT "offset", period FROM "_gen_%[1]s".rejects WHERE model = 'posts'`, plan.Generation))
	must(t, err)
	must(t, duck.EachRow(rows, func(row []any) error {
		offset := row[0].(int64)
		if p, twice := inStore[offset]; twice {
			t.Errorf("offset %d is in the store twice, in %d and %d", offset, p, row[1])
		}
		inStore[offset] = pinflow.Period(row[1].(int64))
		return nil
	}))
	for offset, p := range want {
		if inLake[int64(offset)] != p || inStore[int64(offset)] != p {
			t.Errorf("offset %d: period %d in the lake, %d in the store, want %d", offset, inLake[int64(offset)], inStore[int64(offset)], p)
		}
	}
	if len(inLake) != len(want) || len(inStore) != len(want) {
		t.Errorf("%d in the lake, %d in the store, want %d", len(inLake), len(inStore), len(want))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
