package web

import (
	"errors"
	"net/http"

	"github.com/pinflow/pinflow"
)

// reportInfo is what the list of reports tells of one.
type reportInfo struct {
	Name        string           `json:"name" doc:"Its name, in SQL too"`
	Description string           `json:"description" doc:"What it tells"`
	Columns     []pinflow.Column `json:"columns" doc:"Its columns in their order, types in DuckDB's words"`
}

// reportList is the answer of GET /api/reports.
type reportList struct {
	Reports []reportInfo `json:"reports" doc:"In the definition's order"`
}

func (s *Web) listReports(w http.ResponseWriter, _ *http.Request) error {
	list := reportList{Reports: []reportInfo{}}
	for _, r := range s.plan().Reports {
		list.Reports = append(list.Reports, reportInfo{r.Name, r.Description, orEmpty(r.Columns)})
	}
	return writeJSON(w, list)
}

// report runs a report over everything up to now, or reads it as of the end of a period.
func (s *Web) report(w http.ResponseWriter, r *http.Request) error {
	p, err := s.findReport(r.PathValue("name"))
	if err != nil {
		return err
	}
	req, err := grammar{view: p.Name, controls: reportControls, maxWait: s.Limits.Wait}.parse(r)
	if err != nil {
		return err
	}
	if req.asOf == "" {
		req.query = pinflow.Query{SQL: p.SQL, MaxRows: s.Limits.SQLRows, Timeout: s.Limits.SQLTime}
		return s.answer(w, r, bySQL, p.Name, req)
	}
	if s.Operate == nil {
		return &pinflow.Error{Op: "read report", On: p.Name, Kind: pinflow.Invalid, Err: errors.New("this Pinflow runs no batch, and has no state of the past"), Hint: "Leave as_of out."}
	}
	if len(req.after) > 0 {
		return &pinflow.Error{Op: "read report", On: p.Name, Kind: pinflow.Invalid, Err: errors.New("after and as_of are both given"), Hint: "Give one of them: the state at the end of a period does not change."}
	}
	res, err := s.Operate.ReportAsOf(r.Context(), p.Name, req.asOf)
	if err != nil {
		return err
	}
	return writeResult(w, p.Name, req, res)
}
