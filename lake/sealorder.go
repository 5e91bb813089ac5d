package lake

import (
	"slices"

	"github.com/pinflow/pinflow"
)

// lastOfAll returns the newest period that is sealed in every topic that has begun; NoPeriod if that is not known of a topic.
func lastOfAll(views []*view) pinflow.Period {
	last, newest := pinflow.NoPeriod, newestOf(views)
	for _, v := range views {
		switch {
		case v.last != nil && (last == pinflow.NoPeriod || v.last.Period < last):
			last = v.last.Period
		case v.last == nil && newest != pinflow.NoPeriod && v.begins(views, newest) == newest:
			return pinflow.NoPeriod
		}
	}
	return last
}

// newestOf returns the newest period that is sealed in some topic.
func newestOf(views []*view) pinflow.Period {
	newest := pinflow.NoPeriod
	for _, v := range views {
		if v.last != nil {
			newest = max(newest, v.last.Period)
		}
	}
	return newest
}

// begins returns the first period of a topic without a seal, in a lake that has seals up to newest: behind that, unless newest was sealed for it too and the
// sealer did not come to this topic.
func (v *view) begins(views []*view, newest pinflow.Period) pinflow.Period {
	for _, o := range views {
		if o.last != nil && o.last.Period == newest && slices.Contains(o.last.topics, v.Topic.Topic) {
			return newest
		}
	}
	return v.PeriodLength().Next(newest)
}

// following returns the next period of a topic; first is that of a lake without seals.
func (v *view) following(views []*view, newest, first pinflow.Period) pinflow.Period {
	switch {
	case v.last != nil:
		return v.PeriodLength().Next(v.last.Period)
	case newest != pinflow.NoPeriod:
		return v.begins(views, newest)
	}
	return first
}

// first returns the first period that has a record; false if there is none.
func first(views []*view) (p pinflow.Period, ok bool) {
	for _, v := range views {
		for _, c := range v.chains {
			if len(c.objects) > 0 && (!ok || c.objects[0].Period < p) {
				p, ok = c.objects[0].Period, true
			}
		}
	}
	return p, ok
}

// next returns the period to be sealed next, and in which topics.
func next(views []*view) (p pinflow.Period, which []*view) {
	newest := newestOf(views)
	begin, any := first(views)
	if newest == pinflow.NoPeriod && !any {
		return pinflow.NoPeriod, nil
	}
	for _, v := range views {
		switch f := v.following(views, newest, begin); {
		case len(which) == 0 || f < p:
			p, which = f, []*view{v}
		case f == p:
			which = append(which, v)
		}
	}
	return p, which
}

// together returns the topics for which a period is or becomes sealed.
func together(views []*view, p pinflow.Period) []string {
	newest := newestOf(views)
	topics := []string{}
	for _, v := range views {
		if v.last != nil && v.last.Period >= p || v.following(views, newest, p) <= p {
			topics = append(topics, v.Topic.Topic)
		}
	}
	return topics
}
