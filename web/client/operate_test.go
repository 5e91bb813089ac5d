package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/web"
	"github.com/pinflow/pinflow/web/client"
)

// operator tells of a step and answers with what it was asked, or err.
type operator struct {
	web.Operator // nil: what is not here is not asked
	quiet        bool
	err          error
}

func (o *operator) told(progress func(pinflow.Work)) error {
	if !o.quiet {
		progress(pinflow.Work{Step: "one", Done: 1, Total: 2})
	}
	return o.err
}

func (o *operator) Comparisons(context.Context) ([]pinflow.PeriodComparison, error) {
	return []pinflow.PeriodComparison{{Name: "2026-11-22", Comparison: pinflow.Comparison{ID: 1, Differing: 2, Tables: []pinflow.TableComparison{{Table: "m", Differing: 2}}}, Standing: true}}, o.err
}
func (o *operator) LastAudit() *pinflow.AuditReport { return nil }
func (o *operator) Audit(_ context.Context, req web.AuditRequest, progress func(pinflow.Work)) (*pinflow.AuditReport, error) {
	return report(req.Deep), o.told(progress)
}
func (o *operator) Acknowledge(_ context.Context, period string) error {
	return errors.Join(o.err, &pinflow.Error{Op: "acknowledge", On: period, Kind: pinflow.NotFound})
}
func (o *operator) Generations(context.Context) ([]web.GenerationInfo, error) {
	return []web.GenerationInfo{{Generation: pinflow.Generation{Name: "g1"}, Positions: []web.Position{{Topic: "t", NextOffset: 1 << 60}}}}, o.err
}
func (o *operator) BuildGeneration(_ context.Context, req web.BuildRequest, progress func(pinflow.Work)) (*web.GenerationInfo, error) {
	return &web.GenerationInfo{Generation: pinflow.Generation{Name: "g2", Current: req.Switch}}, o.told(progress)
}
func (o *operator) SwitchGeneration(_ context.Context, generation string, progress func(pinflow.Work)) (*web.GenerationInfo, error) {
	return &web.GenerationInfo{Generation: pinflow.Generation{Name: generation}}, o.told(progress)
}
func (o *operator) DropGeneration(context.Context, string) error { return o.err }
func (o *operator) Batch(_ context.Context, req web.BatchRequest, progress func(pinflow.Work)) (*web.BatchResult, error) {
	return &web.BatchResult{Periods: []web.BatchPeriod{{Period: req.Period, Comparison: &pinflow.Comparison{Differing: 1}}}}, o.told(progress)
}
func (o *operator) BatchStatus(context.Context) (*web.BatchStatus, error) {
	return &web.BatchStatus{Installed: 7, Periods: []web.PeriodStatus{{Period: "2026-11-22", Rows: 3}}}, o.err
}

func report(deep bool) *pinflow.AuditReport {
	n := int64(1) << 60
	return &pinflow.AuditReport{Generation: "g1", Deep: deep, OK: true, Positions: []pinflow.AuditPosition{{TopicPartition: pinflow.TopicPartition{Topic: "t"}, NextOffset: 5}},
		Counts: []pinflow.AuditCount{{Period: "2026-11-22", TopicPartition: pinflow.TopicPartition{Topic: "t", Partition: 2}, Lake: &n, State: pinflow.SealedPeriod,
			Models: []pinflow.ModelAudit{{Model: "m", Store: &pinflow.Tally{Accepted: 3}}}}},
		Findings: []pinflow.Finding{{Kind: pinflow.FindLake, Where: "t:2:7", Samples: []pinflow.Divergence{{Live: `{"a":1}`}}}}, Notes: []string{"x"}, Comparisons: []pinflow.PeriodComparison{}}
}

func operated(t *testing.T, o *operator) client.Client {
	t.Helper()
	s := &store{res: sample()}
	s.res.Rows = s.res.Rows[:1]
	plan := &pinflow.Plan{Pipeline: "p", Models: []pinflow.PlannedModel{{Name: "rows", Table: "rows", Key: []string{"text", "day"}, Columns: s.res.Columns}},
		Reports: []pinflow.PlannedReport{{Name: "r", Description: "about", SQL: "SELECT 7"}}}
	w, err := web.New(web.Options{Store: s, Plan: plan, Operate: o})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	w.Register(mux, nil)
	srv := httptest.NewServer(mux)
	t.Cleanup(func() { w.Close(); srv.Close() })
	return client.Client{Base: srv.URL}
}

func TestWorkArrives(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		c := operated(t, &operator{quiet: quiet})
		var steps []pinflow.Work
		progress := func(w pinflow.Work) { steps = append(steps, w) }
		if got, err := c.Audit(t.Context(), web.AuditRequest{Deep: true}, progress); err != nil || !reflect.DeepEqual(got, report(true)) {
			t.Errorf("audit: %v %+v", err, got)
		}
		if got, err := c.Batch(t.Context(), web.BatchRequest{Period: "2026-11-22"}, progress); err != nil || !got.Differing() || got.Periods[0].Period != "2026-11-22" {
			t.Errorf("batch: %v %+v", err, got)
		}
		if got, err := c.BuildGeneration(t.Context(), web.BuildRequest{Switch: true}, nil); err != nil || got.Name != "g2" || !got.Current {
			t.Errorf("build: %v %+v", err, got)
		}
		if got, err := c.SwitchGeneration(t.Context(), "g7", progress); err != nil || got.Name != "g7" {
			t.Errorf("switch: %v %+v", err, got)
		}
		if want := map[bool]int{false: 3, true: 0}[quiet]; len(steps) != want || want > 0 && steps[0] != (pinflow.Work{Step: "one", Done: 1, Total: 2}) {
			t.Errorf("progress is %+v", steps)
		}
	}
}

func TestOthersArrive(t *testing.T) {
	c := operated(t, &operator{})
	if got, err := c.Audits(t.Context()); err != nil || got.Differing != 2 || got.Comparisons[0].Name != "2026-11-22" || got.Comparisons[0].Tables[0].Table != "m" || got.Last != nil {
		t.Errorf("audits: %v %+v", err, got)
	}
	if err := c.Acknowledge(t.Context(), "2026-11-22"); pinflow.KindOf(err) != pinflow.NotFound {
		t.Errorf("acknowledge: %v", err)
	}
	if got, err := c.Generations(t.Context()); err != nil || len(got) != 1 || got[0].Name != "g1" || got[0].Positions[0].NextOffset != 1<<60 {
		t.Errorf("generations: %v %+v", err, got)
	}
	if err := c.DropGeneration(t.Context(), "g1"); err != nil {
		t.Errorf("drop: %v", err)
	}
	if got, err := c.BatchStatus(t.Context()); err != nil || got.Installed != 7 || got.Periods[0].Rows != 3 {
		t.Errorf("status: %v %+v", err, got)
	}
	if got, err := c.Reports(t.Context()); err != nil || len(got) != 1 || got[0].Description != "about" {
		t.Errorf("reports: %v %+v", err, got)
	}
	want := sample().Rows[0]
	if got, err := c.Report(t.Context(), "r", url.Values{"timeout": {"1s"}}); err != nil || !reflect.DeepEqual(got.Rows[0], want) {
		t.Errorf("report: %v %+v", err, got)
	}
	if got, err := c.Entity(t.Context(), "rows", []string{"a/b", "2026-11-22"}, nil); err != nil || len(got.Rows) != 1 || !reflect.DeepEqual(got.Rows[0], want) {
		t.Errorf("entity: %v %+v", err, got)
	}
}

func TestWorkThatFails(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		c := operated(t, &operator{quiet: quiet, err: &pinflow.Error{Op: "batch", Kind: pinflow.Exists, Err: errors.New("an audit runs"), Hint: "Wait."}})
		_, err := c.Batch(t.Context(), web.BatchRequest{}, nil)
		if pinflow.KindOf(err) != pinflow.Exists || !strings.Contains(err.Error(), "an audit runs") || pinflow.HintOf(err) != "Wait." {
			t.Errorf("it is told as %v", err)
		}
	}
	for name, answer := range map[string]string{"no result": `{"progress":{}}` + "\n", "broken": `{"resu`} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) }))
		_, err := client.Client{Base: srv.URL}.Audit(t.Context(), web.AuditRequest{}, nil)
		if pinflow.KindOf(err) != pinflow.Unavailable || !strings.Contains(err.Error(), "breaks off") {
			t.Errorf("%s: %v", name, err)
		}
		srv.Close()
	}
}
