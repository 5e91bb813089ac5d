package audit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/pinflow/pinflow"
)

const (
	installAgain = "Install the period again: pinflow batch --rerun with it."
	rebuild      = "Run pinflow audit --deep to see which rows; a generation that is dropped and built anew is right again."
)

// storeKey names what the store counts of a model.
type storeKey struct {
	cellKey
	model string
}

// compareCounts makes the table of counts, and holds what must add up beside one another.
func (r *run) compareCounts(ctx context.Context) error {
	if err := r.readManifests(ctx); err != nil {
		return err
	}
	inStore := map[storeKey]pinflow.StoreCount{}
	for _, c := range r.counts.Counts {
		key := cellKey{c.TopicPartition, c.Period}
		inStore[storeKey{key, c.Model}] = c
		if r.cells[key] == nil && slices.Contains(r.modelsOf(c.Topic), c.Model) {
			r.cells[key] = &cell{unknown: r.Journal == nil}
		}
	}
	installed := r.installedRanges()
	keys := slices.SortedFunc(maps.Keys(r.cells), func(a, b cellKey) int {
		return cmp.Or(cmp.Compare(a.Period, b.Period), a.TopicPartition.Compare(b.TopicPartition))
	})
	for _, key := range keys {
		c := r.cells[key]
		ranges, isInstalled := installed[key]
		row := pinflow.AuditCount{Period: r.name(key.Period), TopicPartition: key.TopicPartition, Start: c.start, End: c.end, State: pinflow.OpenPeriod, Sealed: c.sealed, Models: []pinflow.ModelAudit{}}
		row.Lake = &c.lake
		if !c.unknown {
			row.Journal = &c.journal
		}
		if c.sealed != nil {
			row.State = pinflow.SealedPeriod
		}
		if isInstalled {
			row.State = pinflow.InstalledPeriod
			r.compareRange(key, c, ranges)
		}
		for _, model := range r.modelsOf(key.Topic) {
			var store *pinflow.StoreCount
			if s, ok := inStore[storeKey{key, model}]; ok {
				store = &s
			}
			row.Models = append(row.Models, r.compareModel(key, c, model, store, isInstalled))
		}
		r.report.Counts = append(r.report.Counts, row)
	}
	return nil
}

func (r *run) installedRanges() map[cellKey]pinflow.InstalledRange {
	all := map[cellKey]pinflow.InstalledRange{}
	for _, in := range r.installed {
		for _, ir := range in.Ranges {
			all[cellKey{ir.TopicPartition, in.Period}] = ir
			if key := (cellKey{ir.TopicPartition, in.Period}); r.cells[key] == nil {
				r.cells[key] = &cell{start: ir.Start, end: ir.End, unknown: ir.Records > 0}
			}
		}
	}
	return all
}

// compareRange holds what was installed beside what is sealed.
func (r *run) compareRange(key cellKey, c *cell, in pinflow.InstalledRange) {
	switch {
	case c.sealed == nil && in.Start < in.End:
		r.findings.add(pinflow.Finding{Kind: pinflow.FindSeal, Where: r.where(key), What: "the period is installed, and its seal is not there",
			Do: "Restore the period's _SUCCESS from a copy."})
	case c.sealed != nil && (c.start != in.Start || c.end != in.End || *c.sealed != in.Records):
		r.findings.add(pinflow.Finding{Kind: pinflow.FindSeal, Where: r.where(key), What: "the period was installed with another range than its seal has",
			Expected: fmt.Sprintf("offsets %d to %d, %d records", in.Start, in.End-1, in.Records), Found: fmt.Sprintf("offsets %d to %d, %d records", c.start, c.end-1, *c.sealed),
			Do: "Restore the period's _SUCCESS from a copy."})
	}
}

// compareModel holds beside one another what became of a period's records in a model.
func (r *run) compareModel(key cellKey, c *cell, model string, store *pinflow.StoreCount, installed bool) pinflow.ModelAudit {
	m := pinflow.ModelAudit{Model: model}
	if store != nil {
		m.Store = &pinflow.Tally{Accepted: store.Accepted, Rejected: store.Rejected}
		if store.Rows >= 0 {
			m.Rows = &store.Rows
			r.compareRows(key, model, store)
		}
	}
	have := pinflow.Tally{}
	if m.Store != nil {
		have = *m.Store
	}
	where := r.where(key) + " " + model
	if !installed {
		if n := have.All(); n > c.counted || n < c.counted-c.erased {
			r.findings.add(pinflow.Finding{Kind: pinflow.FindStore, Where: where, What: "accepted and rejected are not all records that the store has counted",
				Expected: fmt.Sprintf("%d records", c.counted), Found: fmt.Sprintf("%d accepted, %d rejected", have.Accepted, have.Rejected),
				Do: "The period is right again once the batch has installed it. Find out why the live half counted otherwise."})
		}
		return m
	}
	if m.Batch = r.tally(key, model); m.Batch == nil {
		return m // the missing manifest is a finding
	}
	records := c.lake
	if c.sealed != nil {
		records = *c.sealed // that the lake holds others is a finding already
	}
	if m.Batch.All() != records {
		r.findings.add(pinflow.Finding{Kind: pinflow.FindDerived, Where: where, What: "accepted, rejected and erased are not all records of the period",
			Expected: fmt.Sprintf("%d records", records), Found: fmt.Sprintf("%d accepted, %d rejected, %d erased", m.Batch.Accepted, m.Batch.Rejected, m.Batch.Erased), Do: installAgain})
	}
	if m.Batch.Accepted != have.Accepted || m.Batch.Rejected != have.Rejected {
		r.findings.add(pinflow.Finding{Kind: pinflow.FindStore, Where: where, What: "the store does not count what the batch counted",
			Expected: fmt.Sprintf("%d accepted, %d rejected", m.Batch.Accepted, m.Batch.Rejected), Found: fmt.Sprintf("%d accepted, %d rejected", have.Accepted, have.Rejected), Do: installAgain})
	}
	return m
}

// compareRows holds a model's stored rows beside what was accepted, where there is one row per record.
func (r *run) compareRows(key cellKey, model string, store *pinflow.StoreCount) {
	for _, m := range r.Plan.Models {
		if m.Name == model && len(m.Key) == 0 && m.Rows == "all" && store.Rows != store.Accepted {
			r.findings.add(pinflow.Finding{Kind: pinflow.FindStore, Where: r.where(key) + " " + model, What: "the store does not have a row per accepted record",
				Expected: fmt.Sprint(store.Accepted), Found: fmt.Sprint(store.Rows), Do: installAgain})
		}
	}
}

// tally adds up what the manifest of a period says of a model in a partition; nil without a manifest.
func (r *run) tally(key cellKey, model string) *pinflow.Tally {
	m := r.derived[key.Period]
	if m == nil {
		return nil
	}
	var t pinflow.Tally
	for _, c := range m.Counts {
		if c.Model == model && c.TopicPartition == key.TopicPartition {
			t.Accepted += c.Accepted
			t.Rejected += c.Rejected
			t.Erased += c.Erased
		}
	}
	return &t
}

func (r *run) where(key cellKey) string {
	return r.name(key.Period) + " " + key.TopicPartition.String()
}
