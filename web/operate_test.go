package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
)

// fakeOperator does what it is told: steps of progress, then err or a result that repeats the request.
type fakeOperator struct {
	steps       int
	err         error
	comparisons []pinflow.PeriodComparison
	last        *pinflow.AuditReport
	asked       any
	ended       chan error // told how the work's context ended, if not nil
}

func (o *fakeOperator) work(ctx context.Context, asked any, progress func(pinflow.Work)) error {
	o.asked = asked
	for i := range o.steps {
		progress(pinflow.Work{Step: "working", Done: int64(i), Total: int64(o.steps)})
	}
	if o.ended != nil {
		<-ctx.Done()
		o.ended <- ctx.Err()
	}
	return o.err
}

func (o *fakeOperator) Comparisons(context.Context) ([]pinflow.PeriodComparison, error) {
	return o.comparisons, o.err
}
func (o *fakeOperator) LastAudit() *pinflow.AuditReport { return o.last }
func (o *fakeOperator) Audit(ctx context.Context, req AuditRequest, progress func(pinflow.Work)) (*pinflow.AuditReport, error) {
	return &pinflow.AuditReport{OK: true, Deep: req.Deep}, o.work(ctx, req, progress)
}
func (o *fakeOperator) Acknowledge(ctx context.Context, period string) error {
	return o.work(ctx, period, nil)
}
func (o *fakeOperator) ReportAsOf(ctx context.Context, report, period string) (*pinflow.Result, error) {
	return &pinflow.Result{Columns: []pinflow.Column{{Name: "color", Type: "VARCHAR"}}, Rows: [][]any{{period}}}, o.work(ctx, report, nil)
}
func (o *fakeOperator) Generations(context.Context) ([]GenerationInfo, error) {
	return []GenerationInfo{{Generation: pinflow.Generation{Name: "g1", Current: true}, Positions: []Position{{"t", 0, 7}}}}, o.err
}
func (o *fakeOperator) BuildGeneration(ctx context.Context, req BuildRequest, progress func(pinflow.Work)) (*GenerationInfo, error) {
	return &GenerationInfo{Generation: pinflow.Generation{Name: "g2"}}, o.work(ctx, req, progress)
}
func (o *fakeOperator) SwitchGeneration(ctx context.Context, generation string, progress func(pinflow.Work)) (*GenerationInfo, error) {
	return &GenerationInfo{Generation: pinflow.Generation{Name: generation, Current: true}}, o.work(ctx, generation, progress)
}
func (o *fakeOperator) DropGeneration(ctx context.Context, generation string) error {
	return o.work(ctx, generation, nil)
}
func (o *fakeOperator) Batch(ctx context.Context, req BatchRequest, progress func(pinflow.Work)) (*BatchResult, error) {
	return &BatchResult{Waits: "for nothing"}, o.work(ctx, req, progress)
}
func (o *fakeOperator) BatchStatus(context.Context) (*BatchStatus, error) {
	return &BatchStatus{Installed: 3, Next: "2026-11-24"}, o.err
}

func operated(t testing.TB, o *fakeOperator) *served {
	return serve(t, 3, func(opts *Options) { opts.Operate = o })
}

const jsonMedia = "application/json"

func TestOperatorIsAsked(t *testing.T) {
	o := &fakeOperator{}
	s := operated(t, o)
	for _, c := range []struct {
		method, path, body string
		asked              any
		holds              string
	}{
		{"POST", "/api/audit", `{"deep":true}`, AuditRequest{Deep: true}, `{"result":{`},
		{"GET", "/api/audit?run=true&deep=true", "", AuditRequest{Deep: true}, `"deep":true`},
		{"POST", "/api/audit/acknowledge", `{"period":"2026-11-22"}`, "2026-11-22", "2026-11-22"},
		{"POST", "/api/batch", `{"from":"a","to":"b","rerun":true,"wait":true}`, BatchRequest{From: "a", To: "b", Rerun: true, Wait: true}, `{"result":{"periods":[],"waits":"for nothing"}}`},
		{"GET", "/api/batch/status", "", nil, `{"installed":3,"periods":[],"next":"2026-11-24"}`},
		{"GET", "/api/generations", "", nil, `"positions":[{"topic":"t","partition":0,"next_offset":7}]`},
		{"POST", "/api/generations/build", `{"switch":true}`, BuildRequest{Switch: true}, `"generation":"g2"`},
		{"POST", "/api/generations/switch", `{"generation":"g7"}`, "g7", `"generation":"g7"`},
		{"POST", "/api/generations/drop", `{"generation":"g7"}`, "g7", `"generation":"g7"`},
		{"GET", "/api/reports/fast_cars?as_of=2026-11-22", "", "fast_cars", `{"color":"2026-11-22"}`},
	} {
		o.asked = nil
		media := ""
		if c.body != "" {
			media = jsonMedia
		}
		status, _, body := s.do(t, c.method, c.path, media, c.body, nil)
		if status != http.StatusOK || !strings.Contains(body, c.holds) || o.asked != c.asked {
			t.Errorf("%s %s: %d %s, asked %+v", c.method, c.path, status, body, o.asked)
		}
	}
}

func TestWorkIsNotAskedForByOthers(t *testing.T) {
	o := &fakeOperator{}
	s := operated(t, o)
	paths := []string{"/api/audit", "/api/audit/acknowledge", "/api/batch", "/api/generations/build", "/api/generations/switch", "/api/generations/drop"}
	for _, path := range paths {
		for _, c := range []struct {
			media, body, site string
			status            int
		}{
			{"", "{}", "", 415}, {"text/plain", "{}", "", 415}, {"application/x-www-form-urlencoded", "{}", "", 415},
			{jsonMedia, "{}", "cross-site", 403}, {jsonMedia, `{"nothing":1}`, "", 400}, {jsonMedia, "", "", 400}, {jsonMedia, "{} {}", "", 400},
			{jsonMedia, `{"x":"` + strings.Repeat("x", maxRequest) + `"}`, "", 413},
		} {
			status, header, body := s.do(t, "POST", path, c.media, c.body, map[string]string{"Sec-Fetch-Site": c.site})
			if status != c.status || header.Get("Content-Type") != problem.ContentType {
				t.Errorf("%s with %+.60v: %d %.200s", path, c, status, body)
			}
		}
		if status, _, _ := s.get(t, path); path != "/api/audit" && status != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %d", path, status)
		}
	}
	if status, _, _ := s.do(t, "GET", "/api/audit?run=true", "", "", map[string]string{"Sec-Fetch-Site": "cross-site"}); status != 403 {
		t.Errorf("a page of another site may audit: %d", status)
	}
	if o.asked != nil {
		t.Errorf("the operator was asked %v", o.asked)
	}
}

func TestWorkTellsItsProgress(t *testing.T) {
	o := &fakeOperator{steps: 1000}
	s := operated(t, o)
	_, header, body := s.do(t, "POST", "/api/batch", jsonMedia, "{}", nil)
	got := strings.Split(strings.TrimSpace(body), "\n")
	if header.Get("Content-Type") != lines || len(got) < 2 || len(got) > 100 {
		t.Fatalf("%d lines of %s", len(got), header.Get("Content-Type"))
	}
	for i, line := range got {
		var l workLine[BatchResult]
		if err := json.Unmarshal([]byte(line), &l); err != nil || (l.Result != nil) != (i == len(got)-1) || (l.Progress == nil) != (i == len(got)-1) {
			t.Errorf("line %d is %s: %v", i, line, err)
		}
	}
	o.err = &pinflow.Error{Op: "batch", Kind: pinflow.Unavailable, Err: errors.New("the disk is full")}
	_, _, body = s.do(t, "POST", "/api/batch", jsonMedia, "{}", nil)
	if !strings.Contains(body, `{"problem":{`) || !strings.Contains(body, "the disk is full") || strings.Contains(body, "result") {
		t.Errorf("a failure is told as %s", body)
	}
	o.steps, o.err = 0, &pinflow.Error{Op: "batch", Kind: pinflow.Exists, Err: errors.New("an audit runs")}
	if status, _, body := s.do(t, "POST", "/api/batch", jsonMedia, "{}", nil); status != http.StatusConflict {
		t.Errorf("a conflict is told as %d %s", status, body)
	}
}

func TestWorkEndsWithItsClient(t *testing.T) {
	o := &fakeOperator{steps: 1, ended: make(chan error, 1)}
	s := operated(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", s.url+"/api/audit", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", jsonMedia)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	cancel()
	select {
	case err := <-o.ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the work goes on")
	}
}

func TestDifferencesAreTold(t *testing.T) {
	at := func(p pinflow.Period, differing int64, why string, standing bool) pinflow.PeriodComparison {
		return pinflow.PeriodComparison{Name: fmt.Sprint(p), Comparison: pinflow.Comparison{Period: p, Differing: differing, Why: why}, Standing: standing}
	}
	o := &fakeOperator{last: &pinflow.AuditReport{Generation: "g1"}, comparisons: []pinflow.PeriodComparison{at(1000, 3, "", true), at(2000, 5, "", false), at(5000, 0, "", false), at(9000, 0, "the live half was away", false)}}
	s := operated(t, o)
	_, _, body := s.get(t, "/api/audit")
	var got Audits
	if err := json.Unmarshal([]byte(body), &got); err != nil || got.Differing != 3 || len(got.Comparisons) != 4 || got.Last == nil || got.Last.Generation != "g1" || got.Comparisons[0].Name != "1000" {
		t.Errorf("%v: %s", err, body)
	}
	_, _, text := s.get(t, "/metrics")
	for _, want := range []string{"pinflow_audit_differing_rows 3\n", "pinflow_audit_difference 1\n", "pinflow_audit_last_compared_period_seconds 5\n", "pinflow_audit_comparisons 3\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestEntityByItsKey(t *testing.T) {
	s := serve(t, 3, nil)
	s.store.commit(0, func() {
		s.store.views["plates"] = &pinflow.Result{Columns: s.plan().Models[2].Columns, Rows: [][]any{{"K-AB/1", "de", "red"}, {"K-AB/1", "at", "blue"}, {"W 2", "at", nil}}}
	})
	for path, want := range map[string]string{
		"K-AB%2F1/de": `"row":{"plate":"K-AB/1","land":"de","color":"red"}}`,
		"K-AB%2F1/at": `"color":"blue"}}`,
		"W%202/at":    `"row":{"plate":"W 2","land":"at","color":null}}`,
	} {
		status, header, body := s.get(t, "/api/models/plates/"+path+"?after=t:0:2")
		if status != http.StatusOK || !strings.Contains(body, want) || !json.Valid([]byte(body)) || header.Get(positionHeader) != "t:0:3" {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _, _ := s.get(t, "/api/models/plates/W%202/at?after=t:0:9&timeout=1ms"); status != http.StatusServiceUnavailable {
		t.Errorf("what is not counted is answered: %d", status)
	}
}

func TestReportRunsNow(t *testing.T) {
	s := serve(t, 3, nil)
	s.store.answerSQL(func(_ context.Context, q pinflow.Query) (*pinflow.Result, error) {
		return &pinflow.Result{Columns: []pinflow.Column{{Name: "color", Type: "VARCHAR"}}, Rows: [][]any{{q.SQL}},
			Positions: map[pinflow.TopicPartition]pinflow.Progress{{Topic: "t"}: {NextOffset: 3}}}, nil
	})
	status, header, body := s.get(t, "/api/reports/fast_cars")
	if status != 200 || !strings.Contains(body, `{"color":"SELECT 1"}`) || header.Get(positionHeader) != "t:0:3" {
		t.Errorf("%d %s", status, body)
	}
	if _, _, body := s.get(t, "/api/reports/fast_cars?format=csv"); body != "color\nSELECT 1\n" {
		t.Errorf("CSV is %q", body)
	}
}

func TestAnotherPlanIsServed(t *testing.T) {
	s := serve(t, 3, func(o *Options) { o.Operate = &fakeOperator{} })
	var names []string
	ended := make(chan struct{})
	res := s.open(t, t.Context(), "/api/metrics/totals/events", "")
	first := make(chan struct{})
	go func() {
		defer close(ended)
		events(bufio.NewReader(res.Body), func(e event) bool {
			if names = append(names, e.name); len(names) == 1 {
				close(first)
			}
			return true
		})
	}()
	<-first
	next := testPlan()
	next.Generation = "g2"
	next.Metrics = slices.Delete(next.Metrics, 3, 4)
	next.Metrics[0].Name = "new_cars"
	s.store.commit(0, func() { s.store.views["new_cars"] = s.store.views["cars_per_color"] })
	s.SetPlan(next)
	<-ended
	if names[0] != "snapshot" {
		t.Errorf("events are %v", names)
	}
	if _, _, body := s.get(t, "/api/metrics"); !strings.Contains(body, `"generation":"g2"`) || strings.Contains(body, "totals") || !strings.Contains(body, "new_cars") {
		t.Errorf("metrics are %s", body)
	}
	if status, _, _ := s.get(t, "/api/metrics/totals/events"); status != http.StatusNotFound {
		t.Errorf("a metric that has gone is watched: %d", status)
	}
	if _, _, body := s.get(t, "/api/status"); !strings.Contains(body, `"generation":"g2"`) {
		t.Errorf("the status is %s", body)
	}
	if _, _, body := s.get(t, "/"); !strings.Contains(body, "new_cars") || strings.Contains(body, `data-metric="totals"`) {
		t.Error("the page shows the old metrics")
	}
	if text, err := json.Marshal(s.api.OpenAPI()); err != nil || strings.Contains(string(text), `"totals"`) || !strings.Contains(string(text), `"new_cars"`) {
		t.Errorf("the document tells of the old metrics: %v", err)
	}
	events(bufio.NewReader(s.open(t, t.Context(), "/api/metrics/new_cars/events", "").Body), func(e event) bool {
		if e.name != "snapshot" {
			t.Errorf("then came %+v", e)
		}
		return false
	})
}
