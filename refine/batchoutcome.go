package refine

import (
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/pinflow/pinflow"
)

// Outcome is what a run did.
type Outcome struct {
	Periods []PeriodOutcome `json:"periods"` // in the order in which they were installed
	Reports []string        `json:"reports,omitempty"`
	// Waiting tells what keeps the next period that has ended from being sealed, "" if nothing has to.
	Waiting     string  `json:"waiting,omitempty"`
	Differences bool    `json:"differences"` // a comparison found one
	Seconds     float64 `json:"seconds"`
}

// PeriodOutcome is what a run did with a period.
type PeriodOutcome struct {
	Period     pinflow.Period      `json:"-"`
	Name       string              `json:"period"`
	Records    int64               `json:"records"`
	Rows       int64               `json:"rows"`                // of all its parts
	Seconds    float64             `json:"seconds"`             // refining and installing it, without waiting
	Reused     bool                `json:"reused,omitempty"`    // an earlier run had refined it
	Unchanged  bool                `json:"unchanged,omitempty"` // it was installed already, or by somebody else meanwhile
	Comparison *pinflow.Comparison `json:"comparison,omitempty"`
}

func (o *Outcome) add(p PeriodOutcome) {
	o.Periods = append(o.Periods, p)
	if c := p.Comparison; c != nil && c.Differing > 0 {
		o.Differences = true
	}
}

// Progress is how far a run has come.
type Progress struct {
	Step        string         `json:"step"`   // what is being done: seal, refine, wait, install, report
	Period      pinflow.Period `json:"-"`      // with which period
	Name        string         `json:"period"` // its name; of a report, the report's
	Periods     int            `json:"periods"`
	PeriodsDone int            `json:"periods_done"`
	Objects     int64          `json:"objects"`
	ObjectsDone int64          `json:"objects_done"` // as read; of periods refined by an earlier run, all
	Records     int64          `json:"records"`
	RecordsDone int64          `json:"records_done"`
	Rows        int64          `json:"rows"` // cleaned
	RowsASecond float64        `json:"rows_a_second"`
	Waiting     string         `json:"waiting,omitempty"` // what for, while it waits
}

// Work returns the progress in the terms of all long work.
func (p Progress) Work() pinflow.Work {
	w := pinflow.Work{Step: p.Step, Done: int64(p.PeriodsDone), Total: int64(p.Periods), Objects: p.ObjectsDone, Rows: p.Rows}
	if p.Name != "" {
		w.Step = p.Name + ": " + w.Step
	}
	if p.Waiting != "" {
		w.Step += ": waiting for " + p.Waiting
	}
	return w
}

// meter keeps the Progress of a run and tells it. It may be used by several goroutines.
type meter struct {
	mu    sync.Mutex
	clock clockwork.Clock
	began time.Time
	now   Progress
	tell  func(Progress)
}

func newMeter(clock clockwork.Clock, tell func(Progress)) *meter {
	if tell == nil {
		tell = func(Progress) {}
	}
	return &meter{clock: clock, began: clock.Now(), tell: tell}
}

// note changes the progress and tells it.
func (m *meter) note(change func(p *Progress)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.now)
	if s := m.clock.Since(m.began).Seconds(); s > 0 {
		m.now.RowsASecond = float64(m.now.Rows) / s
	}
	m.tell(m.now)
}

// step tells what is being done now.
func (m *meter) step(step string, p pinflow.Period, name string) {
	m.note(func(now *Progress) { now.Step, now.Period, now.Name, now.Waiting = step, p, name, "" })
}
