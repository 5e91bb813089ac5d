package refine_test

import (
	"context"
	"iter"
	"path/filepath"
	"slices"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/audit"
	"github.com/pinflow/pinflow/lake"
	live "github.com/pinflow/pinflow/refine/duckdb"
)

// auditedLake is the lake as an audit looks at it.
type auditedLake struct{ objects pinflow.Objects }

func (l auditedLake) Partitions(ctx context.Context, topic string) (int, error) {
	t, err := lake.OpenTopic(ctx, l.objects, topic)
	if err != nil {
		return 0, err
	}
	return t.PartitionCount(), nil
}

func (l auditedLake) Objects(ctx context.Context, tp pinflow.TopicPartition) iter.Seq2[audit.Object, error] {
	return func(yield func(audit.Object, error) bool) {
		t, err := lake.OpenTopic(ctx, l.objects, tp.Topic)
		if err != nil {
			yield(audit.Object{}, err)
			return
		}
		for o, err := range t.PartitionObjects(ctx, tp.Partition) {
			if !yield(audit.Object{TopicPartition: o.TopicPartition, Name: o.Name(t.PeriodLength()), Period: o.Period, Start: o.Start, Size: o.Size}, err) || err != nil {
				return
			}
		}
	}
}

func (l auditedLake) Read(ctx context.Context, o audit.Object) iter.Seq2[pinflow.Line, error] {
	return func(yield func(pinflow.Line, error) bool) {
		t, err := lake.OpenTopic(ctx, l.objects, o.Topic)
		if err != nil {
			yield(pinflow.Line{}, err)
			return
		}
		t.Read(ctx, lake.Object{TopicPartition: o.TopicPartition, Period: o.Period, Start: o.Start, Size: o.Size})(yield)
	}
}

// audit runs one over all that there is.
func (w *cosmos) audit(g *lineage, deep bool) {
	w.t.Helper()
	derived, err := lake.NewDerived(lake.DerivedOptions{Objects: w.objects, PeriodLength: w.length})
	if err != nil {
		w.t.Fatal(err)
	}
	a, err := audit.New(audit.Options{Plan: g.Plan, Period: w.length, Lake: auditedLake{w.objects}, Raw: w.raw, Derived: derived, Store: w.store, Parts: live.Parts{Instance: w.db},
		Journal: w.broker, Scratch: filepath.Join(w.dir, "spool", "audit"), Engine: func(ctx context.Context, raw pinflow.RawReader) (pinflow.BatchEngine, error) {
			return live.NewBatchEngine(ctx, live.BatchOptions{Instance: w.db, Plan: g.Plan, Raw: raw})
		}})
	if err != nil {
		w.t.Fatal(err)
	}
	report, err := a.Run(w.t.Context(), audit.Request{Deep: deep}, nil)
	if err != nil {
		w.t.Fatalf("audit: %v", err)
	}
	if w.beyond {
		report.Findings = slices.DeleteFunc(report.Findings, func(f pinflow.Finding) bool { return f.Kind == pinflow.FindRecorded })
		report.OK = len(report.Findings) == 0
	}
	if !report.OK {
		w.t.Errorf("the audit (deep: %v) finds %+v", deep, report.Findings)
	}
}
