package lake

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/pinflow/pinflow"
)

var errUnsealed = errors.New("it is not sealed")

// rawTopic is a topic and what is known of its seals, which never change.
type rawTopic struct {
	*Topic
	mu    sync.Mutex
	first pinflow.Period // the first sealed period, once it is known
	seals map[pinflow.Period]pinflow.Seal
	held  int            // objects in seals
	whole pinflow.Period // up to this one, periods are sealed in all topics that belong to them
}

// maxHeld is how many objects' names are kept in memory with their seals.
const maxHeld = 100_000

// Seals implements pinflow.RawReader. A period counts as sealed once it is for all topics that it was sealed for together.
func (r *Raw) Seals(ctx context.Context, topic string) iter.Seq2[pinflow.Seal, error] {
	return r.SealsFrom(ctx, topic, pinflow.NoPeriod)
}

// SealsFrom yields those of Seals from a period on, without reading what lies before.
func (r *Raw) SealsFrom(ctx context.Context, topic string, from pinflow.Period) iter.Seq2[pinflow.Seal, error] {
	return func(yield func(pinflow.Seal, error) bool) {
		t, err := r.topic(ctx, topic)
		if err == nil {
			err = t.findFirst(ctx)
		}
		if errors.Is(err, errUnsealed) || err != nil && pinflow.KindOf(err) == pinflow.NotFound {
			return
		}
		if err != nil {
			yield(pinflow.Seal{}, err)
			return
		}
		for p := max(t.first, from); ; p = t.PeriodLength().Next(p) {
			s, err := r.seal(ctx, t, p)
			if err != nil && pinflow.KindOf(err) == pinflow.NotFound {
				return
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// findFirst finds the first sealed period, or returns errUnsealed.
func (t *rawTopic) findFirst(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.first != pinflow.NoPeriod {
		return nil
	}
	p, err := t.firstSeal(ctx)
	if err == nil {
		t.first = p
	}
	return err
}

// seal returns a period's seal; NotFound unless it is sealed in all topics that belong to it.
func (r *Raw) seal(ctx context.Context, t *rawTopic, p pinflow.Period) (pinflow.Seal, error) {
	t.mu.Lock()
	known, ok := t.seals[p]
	whole := t.whole
	t.mu.Unlock()
	if ok {
		return known, nil
	}
	s, err := t.readSeal(ctx, p)
	if err != nil {
		return pinflow.Seal{}, err
	}
	if p > whole {
		if err := r.isWhole(ctx, t, s); err != nil {
			return pinflow.Seal{}, err
		}
	}
	n := 0
	for _, part := range s.Partitions {
		n += len(part.Objects) + 1
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.whole = max(t.whole, p)
	if t.held+n <= maxHeld {
		t.seals[p] = s.Seal
		t.held += n
	}
	return s.Seal, nil
}

// isWhole returns a NotFound error unless the period is sealed in all topics that it was sealed for together.
func (r *Raw) isWhole(ctx context.Context, t *rawTopic, s *seal) error {
	for _, name := range s.topics {
		if name == t.Topic.Topic {
			continue
		}
		other, err := r.topic(ctx, name)
		if err != nil {
			return err
		}
		is, err := other.sealed(ctx, s.Period)
		if err != nil {
			return err
		}
		if !is {
			return &pinflow.Error{Op: "read the seal of a period", On: other.sealName(s.Period), Kind: pinflow.NotFound, Err: errUnsealed}
		}
	}
	return nil
}

// firstSeal finds the first sealed period, or returns errUnsealed: that of the first folder, unless a broker's clock had once stepped back to before
// the lake began.
func (t *Topic) firstSeal(ctx context.Context) (pinflow.Period, error) {
	folders, err := t.periods(ctx)
	if err != nil {
		return pinflow.NoPeriod, err
	}
	for i, p := range folders {
		if is, err := t.sealed(ctx, p); err != nil || is {
			return p, err
		}
		if i > 0 {
			continue
		}
		// Before all are tried, it is worth to know that there is one.
		if last, err := t.lastSeal(ctx, folders); err != nil || last == nil {
			return pinflow.NoPeriod, cmp.Or(err, errUnsealed)
		}
	}
	return pinflow.NoPeriod, errUnsealed
}
