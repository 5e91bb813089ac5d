package refine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/pinflow/pinflow"
)

// job is a period that a run is for.
type job struct {
	period    pinflow.Period
	seals     []pinflow.Seal // of the plan's topics, in their order; a topic that began later has none
	installed bool           // before the run
}

func (j *job) records() (n int64) {
	for _, r := range j.ranges() {
		n += r.Records
	}
	return n
}

func (j *job) objects() (n int64) {
	for _, s := range j.seals {
		for _, p := range s.Partitions {
			n += int64(len(p.Objects))
		}
	}
	return n
}

func (j *job) ranges() (all []pinflow.InstalledRange) {
	for _, s := range j.seals {
		for _, p := range s.Partitions {
			tp := pinflow.TopicPartition{Topic: s.Topic, Partition: p.Partition}
			all = append(all, pinflow.InstalledRange{TopicPartition: tp, Start: p.Start, End: p.End, Records: p.Records})
		}
	}
	return all
}

// sealed is what is sealed of the plan's topics.
type sealed struct {
	topics []string
	first  map[string]pinflow.Period // of each topic that has a seal
	last   pinflow.Period            // of all
	all    map[pinflow.Period]map[string]pinflow.Seal
	whole  bool // no topic is being sealed: one without a seal of the last period has none
}

// sealsFrom is a RawReader that need not read what lies before a period.
type sealsFrom interface {
	SealsFrom(ctx context.Context, topic string, from pinflow.Period) iter.Seq2[pinflow.Seal, error]
}

func (b *batch) seals(ctx context.Context, topic string, from pinflow.Period) iter.Seq2[pinflow.Seal, error] {
	if r, ok := b.Raw.(sealsFrom); ok {
		return r.SealsFrom(ctx, topic, from)
	}
	return b.Raw.Seals(ctx, topic)
}

// readSeals reads the seals of the plan's topics, from a period on if that saves reading. Of periods that keep does not want, or of all if it is nil, it keeps no more than that they are sealed.
func (b *batch) readSeals(ctx context.Context, from pinflow.Period, whole bool, keep func(pinflow.Period) bool) (*sealed, error) {
	s := &sealed{first: map[string]pinflow.Period{}, last: pinflow.NoPeriod, all: map[pinflow.Period]map[string]pinflow.Seal{}, whole: whole}
	for i := range b.Plan.Sources {
		if topic := b.Plan.Sources[i].Topic; !slices.Contains(s.topics, topic) {
			s.topics = append(s.topics, topic)
		}
	}
	for _, topic := range s.topics {
		for seal, err := range b.seals(ctx, topic, from) {
			if pinflow.KindOf(err) == pinflow.NotFound {
				break // the lake has nothing of the topic yet
			}
			if err != nil {
				return nil, err
			}
			if _, known := s.first[topic]; !known {
				s.first[topic] = seal.Period
			}
			if s.all[seal.Period] == nil {
				s.all[seal.Period] = map[string]pinflow.Seal{}
			}
			if keep == nil || !keep(seal.Period) {
				seal = pinflow.Seal{Topic: topic, Period: seal.Period}
			}
			s.all[seal.Period][topic] = seal
			s.last = max(s.last, seal.Period)
		}
	}
	return s, nil
}

// complete tells whether a period is sealed in every topic that had begun. Topics are sealed one after the other,
// so one that lacks the last period may only be about to get its seal.
func (s *sealed) complete(p pinflow.Period) bool {
	for _, topic := range s.topics {
		if _, ok := s.all[p][topic]; ok {
			continue
		}
		first, begun := s.first[topic]
		if begun && first < p || !begun && p == s.last && !s.whole {
			return false
		}
	}
	return true
}

// jobs returns the periods that are sealed, oldest first.
func (s *sealed) jobs() (jobs []job) {
	for _, p := range slices.Sorted(maps.Keys(s.all)) {
		if !s.complete(p) {
			break
		}
		j := job{period: p}
		for _, topic := range s.topics {
			if seal, ok := s.all[p][topic]; ok {
				j.seals = append(j.seals, seal)
			}
		}
		jobs = append(jobs, j)
	}
	return jobs
}

// has tells whether the request names a period; one that names none has all.
func (q *Request) has(p pinflow.Period) bool {
	if q.Period != nil {
		return p == *q.Period
	}
	return (q.From == nil || p >= *q.From) && (q.To == nil || p <= *q.To)
}

// named tells whether it names periods.
func (q *Request) named() bool { return q.Period != nil || q.From != nil || q.To != nil }

// target is the last period that the request names.
func (q *Request) target() *pinflow.Period {
	if q.Period != nil {
		return q.Period
	}
	return q.To
}

// since is the first period that need be looked at: periods are installed without a gap from the lake's first one on, so
// none is missing before the last of them.
func (q *Request) since(installed map[pinflow.Period]bool) pinflow.Period {
	if len(installed) == 0 || q.Rerun && !q.named() {
		return pinflow.NoPeriod
	}
	from := slices.Max(slices.Collect(maps.Keys(installed)))
	if q.Period != nil {
		from = min(from, *q.Period)
	}
	if q.From != nil {
		from = min(from, *q.From)
	}
	if q.From == nil && q.To != nil {
		return pinflow.NoPeriod
	}
	return from
}

// choose returns the periods that the run is to refine and install.
func (b *batch) choose(ctx context.Context, q Request, whole bool) ([]job, error) {
	installed, err := b.installed(ctx)
	if err != nil {
		return nil, err
	}
	wanted := func(p pinflow.Period) bool { return q.has(p) && (q.Rerun || !installed[p]) }
	seals, err := b.readSeals(ctx, q.since(installed), whole, wanted)
	if err != nil {
		return nil, err
	}
	all := seals.jobs()
	for i := range all {
		all[i].installed = installed[all[i].period]
	}
	chosen := slices.DeleteFunc(slices.Clone(all), func(j job) bool { return !wanted(j.period) })
	for i := range all {
		if q.named() && q.has(all[i].period) && !wanted(all[i].period) {
			b.outcome.add(PeriodOutcome{Period: all[i].period, Name: b.PeriodLength.Name(all[i].period), Unchanged: true})
		}
	}
	if len(chosen) == 0 {
		return nil, b.refuseUnsealed(q, all)
	}
	if err := b.refuseEarly(all, chosen[0].period); err != nil {
		return nil, err
	}
	b.meter.note(func(p *Progress) {
		p.Periods = len(chosen)
		for i := range chosen {
			p.Objects, p.Records = p.Objects+chosen[i].objects(), p.Records+chosen[i].records()
		}
	})
	return chosen, nil
}

// installed tells which periods are, and mends the newest.
func (b *batch) installed(ctx context.Context) (map[pinflow.Period]bool, error) {
	all, err := b.Store.Installed(ctx, b.Plan.Generation)
	if err != nil {
		return nil, err
	}
	if err := b.mend(ctx, all); err != nil {
		return nil, err
	}
	in := make(map[pinflow.Period]bool, len(all))
	for i := range all {
		in[all[i].Period] = true
	}
	return in, nil
}

// refuseUnsealed is the error that a period asked for by name is not sealed, nil if it is or none was named.
func (b *batch) refuseUnsealed(q Request, all []job) error {
	if q.Period == nil || slices.ContainsFunc(all, func(j job) bool { return j.period == *q.Period }) {
		return nil
	}
	e := &pinflow.Error{Op: "run the batch", On: b.PeriodLength.Name(*q.Period)}
	if len(all) > 0 && *q.Period < all[0].period {
		e.Kind, e.Err = pinflow.NotFound, errors.New("the lake begins later")
		e.Hint = "The first period is " + b.PeriodLength.Name(all[0].period) + "."
		return e
	}
	e.Kind, e.Err = pinflow.Unavailable, errors.New("it is not sealed yet")
	if b.outcome.Waiting != "" {
		e.Err = fmt.Errorf("it is not sealed yet: %s", b.outcome.Waiting)
	}
	e.Hint = "A period is sealed when it and the grace are over and the lake has all of it: use --wait."
	return e
}

// refuseEarly is the error that periods before the first one to install are missing.
func (b *batch) refuseEarly(all []job, first pinflow.Period) error {
	var missing []string
	for _, j := range all {
		if j.period < first && !j.installed {
			missing = append(missing, b.PeriodLength.Name(j.period))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	which := missing[0]
	if n := len(missing); n > 1 {
		which = fmt.Sprintf("%s to %s (%d periods)", missing[0], missing[n-1], n)
	}
	return &pinflow.Error{Op: "run the batch", On: b.PeriodLength.Name(first), Kind: pinflow.Invalid, Err: fmt.Errorf("%s must be installed before", which),
		Hint: "Periods are installed oldest first: run the batch from " + missing[0] + " on, or without naming a period."}
}
