package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/config"
	"github.com/pinflow/pinflow/internal/datalock"
	"github.com/pinflow/pinflow/journal/kafka"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/store/postgres"
)

// doctorCmd looks at every place before, or while, Pinflow runs there.
type doctorCmd struct {
	config.Settings
	Output string `help:"table, json (an array of row objects) or csv." enum:"table,json,csv" default:"table" short:"o" placeholder:"FORMAT"`
}

// Help is shown by --help.
func (doctorCmd) Help() string {
	return `Looks at the definition, the journal and its topics, the lake and the store: whether they answer, whether rights and settings are right, and what to do if not. It keeps nothing there; in a bucket it tries whether it can write.

Exit code 1: something is broken.

Examples:

  pinflow doctor
  pinflow doctor --journal kafka://127.0.0.1:9092 --lake 's3://bucket/lake?region=eu-west-1' --store postgres://pinflow@127.0.0.1/pinflow`
}

// placeTime is how long a place may take to answer.
const placeTime = 30 * time.Second

// Run looks at all of it.
func (c *doctorCmd) Run(ctx context.Context, t terminal) (err error) {
	d := &doctor{Settings: &c.Settings}
	defer func() { err = errors.Join(err, d.closers.close()) }()
	d.examine(ctx)
	rows := &pinflow.Result{Columns: []pinflow.Column{{Name: "severity", Type: "VARCHAR"}, {Name: "place", Type: "VARCHAR"}, {Name: "what", Type: "VARCHAR"}, {Name: "do", Type: "VARCHAR"}}}
	broken := 0
	for _, a := range d.found {
		if a.Severity == pinflow.Broken {
			broken++
		}
		rows.Rows = append(rows.Rows, []any{a.Severity.String(), a.Place, a.What, a.Do})
	}
	if c.Output != "table" {
		err = printResult(t.out, c.Output, rows)
	} else {
		err = d.print(t)
	}
	if err == nil && broken > 0 {
		err = &pinflow.Error{Op: "examine", Err: fmt.Errorf("%s found", count(broken, "fault")), Hint: "Do what stands behind each."}
	}
	return err
}

// doctor collects what is to be said.
type doctor struct {
	*config.Settings
	closers
	plan    *pinflow.Plan
	journal *journal
	objects pinflow.Objects
	held    *datalock.Info // by whom the data folder is
	found   []pinflow.Advice
}

func (d *doctor) examine(ctx context.Context) {
	d.look(ctx, "definition", d.definition)
	d.look(ctx, "data "+d.Data, d.data)
	d.look(ctx, "lake", d.lake)
	d.look(ctx, "journal", d.topics)
	d.look(ctx, "store", d.store)
}

// look has a place looked at; an error is what is to be said of it.
func (d *doctor) look(ctx context.Context, place string, f func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, placeTime)
	defer cancel()
	if err := f(ctx); err != nil {
		d.say(pinflow.Broken, place, withoutHint(err), pinflow.HintOf(err))
	}
}

// withoutHint is an error's text, whose hint stands elsewhere.
func withoutHint(err error) string {
	return strings.TrimSpace(strings.ReplaceAll(err.Error(), "("+pinflow.HintOf(err)+")", ""))
}

func (d *doctor) say(s pinflow.Severity, place, what, do string) {
	d.found = append(d.found, pinflow.Advice{Severity: s, Place: place, What: what, Do: do})
}

func (d *doctor) definition(ctx context.Context) error {
	_, plan, faults, err := compile(ctx, d.Pipeline)
	if err != nil {
		return err
	}
	for _, f := range faults {
		d.say(pinflow.Broken, "definition", f.String(), "Change it, then: pinflow check "+d.Pipeline)
	}
	if len(faults) > 0 {
		return nil
	}
	d.plan = plan
	d.say(pinflow.Note, "definition", fmt.Sprintf("%s, generation %s", plan.Pipeline, plan.Generation), "")
	return nil
}

func (d *doctor) data(context.Context) (err error) {
	if d.held, err = datalock.Holder(d.Data); err == nil && d.held != nil {
		d.say(pinflow.Note, "data "+d.Data, "held by "+d.held.String(), "")
	}
	return err
}

func (d *doctor) lake(ctx context.Context) (err error) {
	folder, _, err := config.ParseLake(d.LakeURL())
	if err != nil {
		return err
	}
	if _, missing := os.Stat(folder); folder != "" && missing != nil {
		d.say(pinflow.Note, "lake", folder+" is not there yet: the first start makes it", "")
		return nil
	}
	if d.objects, err = openLake(ctx, d.Settings, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), &d.closers); err != nil {
		return err
	}
	d.say(pinflow.Note, "lake", d.objects.String()+" can be read and written", "")
	return nil
}

// topics looks at the journal, and holds its topics to the definition and the lake.
func (d *doctor) topics(ctx context.Context) error {
	s := *d.Settings
	place, err := config.ParseJournalURL(s.Journal)
	switch {
	case err != nil:
		return err
	case place.Embedded && d.held == nil:
		d.say(pinflow.Note, "journal", "embedded, at rest in "+s.JournalDir(), "")
		return nil
	case place.Embedded:
		s.Journal = "kafka://" + d.held.Kafka
	}
	var dial dialFunc
	if place.Embedded {
		dial = only(s.Journal)
	}
	if d.journal, err = openJournalBy(ctx, &s, dial, leastFetch, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), &d.closers); err != nil || d.plan == nil {
		return err
	}
	for _, source := range d.plan.Sources {
		if err := d.topic(ctx, source); err != nil {
			return err
		}
	}
	return nil
}

func (d *doctor) topic(ctx context.Context, source pinflow.PlannedSource) error {
	needs := kafka.TopicNeeds{Partitions: source.Partitions, Fixed: isKeyed(d.plan, source.Name)}
	if d.objects != nil {
		if kept, err := lake.OpenTopic(ctx, d.objects, source.Topic); err == nil {
			if needs.LakeEnds, err = lakeEndsOf(ctx, kept); err != nil {
				return err
			}
			if err := checkEnds(ctx, d.journal, kept); err != nil {
				return err
			}
		}
	}
	advice, err := d.journal.CheckTopic(ctx, source.Topic, needs)
	if pinflow.KindOf(err) == pinflow.NotFound {
		d.say(pinflow.Note, "topic "+source.Topic, "it is not there yet: the first start makes it", "")
		return nil
	}
	d.found = append(d.found, advice...)
	if err == nil && len(advice) == 0 {
		d.say(pinflow.Note, "topic "+source.Topic, "as it should be", "")
	}
	return err
}

// lakeEndsOf tells where the lake ends in each partition.
func lakeEndsOf(ctx context.Context, kept *lake.Topic) (map[int32]int64, error) {
	tails, err := kept.Ends(ctx)
	ends := map[int32]int64{}
	for partition, tail := range tails {
		ends[partition] = tail.End
	}
	return ends, err
}

func (d *doctor) store(ctx context.Context) error {
	file, server, err := config.ParseStore(d.StoreURL())
	switch {
	case err != nil:
		return err
	case server != nil:
		return d.database(ctx)
	case file != "" && d.held != nil:
		d.say(pinflow.Note, "store", file+" is in use by "+d.held.String(), "")
		return nil
	case file != "" && !mayServe(d.Settings):
		d.say(pinflow.Note, "store", file+" is not there yet: the first start makes it", "")
		return nil
	}
	dir, _, err := takeFolder(d.Places, &d.closers)
	if err != nil {
		return err
	}
	_, kept, err := openStore(ctx, d.Settings, duckDBOf(d.Settings, dir), d.objects, nil, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), &d.closers)
	if err != nil {
		return err
	}
	current, err := kept.Current(ctx)
	if err == nil {
		d.serves(current)
	}
	return err
}

// database looks at the store on a server, without making it one.
func (d *doctor) database(ctx context.Context) error {
	pipeline := ""
	if d.plan != nil {
		pipeline = d.plan.Pipeline
	}
	advice, err := postgres.Examine(ctx, postgres.Options{URL: d.StoreURL()}, pipeline)
	d.found = append(d.found, advice...)
	if err == nil && len(advice) == 0 {
		d.say(pinflow.Note, "store", "as it should be", "")
	}
	return err
}

// serves tells what a store serves.
func (d *doctor) serves(current string) {
	switch {
	case current == "":
		d.say(pinflow.Note, "store", "it serves nothing yet", "")
	case d.plan != nil && current != d.plan.Generation:
		d.say(pinflow.Warning, "store", "it serves generation "+current+", the definition is "+d.plan.Generation, "pinflow generation build --switch")
	default:
		d.say(pinflow.Note, "store", "it serves generation "+current, "")
	}
}

// print shows the advice as text, what is worst last, where people look first.
func (d *doctor) print(t terminal) error {
	for s := pinflow.Note; s <= pinflow.Broken; s++ {
		for _, a := range d.found {
			if a.Severity != s {
				continue
			}
			fmt.Fprintf(t.out, "%-8s %s: %s\n", s, a.Place, a.What)
			if a.Do != "" {
				fmt.Fprintf(t.out, "         %s\n", a.Do)
			}
		}
	}
	return nil
}
