package main

import (
	"context"
	"errors"
	"iter"
	"path/filepath"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/audit"
	"github.com/pinflow/pinflow/lake"
	"github.com/pinflow/pinflow/web"
)

// Audit implements web.Operator.
func (o *operator) Audit(ctx context.Context, q web.AuditRequest, progress func(pinflow.Work)) (*pinflow.AuditReport, error) {
	if q.Record && !q.Deep {
		return nil, &pinflow.Error{Op: "audit", Kind: pinflow.Invalid, Err: errors.New("only a deep audit compares what could be recorded"), Hint: "Add deep."}
	}
	end, err := o.begin(ctx, "audit", progress)
	if err != nil {
		return nil, err
	}
	defer end()
	tell := o.telling("audit", progress)
	if o.live == nil {
		tell(pinflow.Work{Step: "bringing the lake up to the journal"})
		if err := o.drain(ctx); err != nil {
			return nil, err
		}
	}
	plan := o.current().plan
	a, err := audit.New(audit.Options{
		Plan: plan, Period: o.period, Journal: o.journal, Lake: auditedLake{o.objects}, Raw: lake.NewRaw(o.objects), Derived: o.derived, Store: o.store, Parts: o.partFiles(),
		Engine: func(ctx context.Context, raw pinflow.RawReader) (pinflow.BatchEngine, error) {
			return o.batchEngine(ctx, plan, raw)
		},
		Still:   o.still,
		Scratch: filepath.Join(o.instance.Dir(), "audit"),
	})
	if err != nil {
		return nil, err
	}
	report, err := a.Run(ctx, audit.Request{Deep: q.Deep, Record: q.Record}, tell)
	if err == nil {
		o.mu.Lock()
		o.audited = report
		o.mu.Unlock()
	}
	return report, err
}

// LastAudit implements web.Operator.
func (o *operator) LastAudit() *pinflow.AuditReport {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.audited
}

// still runs f while no live worker of this process commits; they go on behind it. The caller has the turn, so no batch runs either.
func (o *operator) still(ctx context.Context, f func(context.Context) error) error {
	o.mu.Lock()
	live := o.live
	o.mu.Unlock()
	if live == nil {
		return f(ctx)
	}
	if err := live.stop(); err != nil {
		return err
	}
	err := f(ctx)
	again, failed := startLive(o.life, o.core, live.plan, o.workers)
	if failed != nil {
		return errors.Join(err, failed)
	}
	o.mu.Lock()
	o.live = again
	o.mu.Unlock()
	return err
}

// auditedLake is the lake's raw part as an audit reads it: past every cache.
type auditedLake struct{ objects pinflow.Objects }

// Partitions implements audit.Lake.
func (l auditedLake) Partitions(ctx context.Context, topic string) (int, error) {
	t, err := lake.OpenTopic(ctx, l.objects, topic)
	if err != nil {
		return 0, err
	}
	return t.PartitionCount(), nil
}

// Objects implements audit.Lake.
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

// Read implements audit.Lake.
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
