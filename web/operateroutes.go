package web

import (
	"net/http"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/access"
	"github.com/pinflow/pinflow/problem"
)

// operateOperations returns the routes of the Operator's work.
func (s *Web) operateOperations() []operation {
	return []operation{
		{"GET", "/api/audit", takesRead, s.audits, textOfAudits()},
		{"POST", "/api/audit", takesAdmin, s.audit, textOfAudit()},
		{"POST", "/api/audit/acknowledge", takesAdmin, s.acknowledge, textOfAcknowledge()},
		{"GET", "/api/generations", takesRead, s.generations, textOfGenerations()},
		{"POST", "/api/generations/build", takesAdmin, s.build, textOfBuild()},
		{"POST", "/api/generations/switch", takesAdmin, s.switchTo, textOfSwitch()},
		{"POST", "/api/generations/drop", takesAdmin, s.drop, textOfDrop()},
		{"POST", "/api/batch", takesAdmin, s.batch, textOfBatch()},
		{"GET", "/api/batch/status", takesRead, s.batchStatus, textOfBatchStatus()},
	}
}

// Audits is what is known of audits without running one.
type Audits struct {
	Differing   int64                      `json:"differing" doc:"Rows of differences that stand: neither acknowledged nor settled by a later comparison"`
	Comparisons []pinflow.PeriodComparison `json:"comparisons" doc:"All that were recorded, oldest first"`
	Last        *pinflow.AuditReport       `json:"last" doc:"The last audit that this process has run; null if it has run none"`
}

func (s *Web) audits(w http.ResponseWriter, r *http.Request) error {
	values, err := queryOf(r)
	if err != nil {
		return err
	}
	var req AuditRequest
	run := false
	var faults problem.Faults
	for _, name := range sortedKeys(values) {
		on := values.Get(name)
		switch {
		case on != "true" && on != "false":
			faults = append(faults, problem.Detail{Path: name, Reason: "it is neither true nor false"})
		case name == "run":
			run = on == "true"
		case name == "deep":
			req.Deep = on == "true"
		default:
			faults = append(faults, problem.Detail{Path: name, Reason: "there is no such parameter"})
		}
	}
	if faults != nil {
		return &pinflow.Error{Op: "read parameters", On: "audit", Kind: pinflow.Invalid, Err: faults, Hint: "It takes run and deep."}
	}
	if run || req.Deep {
		if err := access.Require(r.Context(), access.Admin, "An audit"); err != nil {
			return err
		}
		if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
			return refusal{problem.New(http.StatusForbidden, "audit: a page of another site asks for it", "Only pages of this server may ask for that from a browser.")}
		}
		return s.runAudit(w, r, req)
	}
	all, err := s.Operate.Comparisons(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, Audits{standing(all), orEmpty(all), s.Operate.LastAudit()})
}

// standing is how many rows differ in differences that stand.
func standing(all []pinflow.PeriodComparison) (rows int64) {
	for _, c := range all {
		if c.Standing {
			rows += c.Differing
		}
	}
	return rows
}

func (s *Web) audit(w http.ResponseWriter, r *http.Request) error {
	var req AuditRequest
	if err := s.readRequest(w, r, &req); err != nil {
		return err
	}
	return s.runAudit(w, r, req)
}

func (s *Web) runAudit(w http.ResponseWriter, r *http.Request, req AuditRequest) error {
	return longWork(w, r, func(progress func(pinflow.Work)) (*pinflow.AuditReport, error) {
		return s.Operate.Audit(r.Context(), req, progress)
	})
}

func (s *Web) acknowledge(w http.ResponseWriter, r *http.Request) error {
	var req AcknowledgeRequest
	if err := s.readRequest(w, r, &req); err != nil {
		return err
	}
	if err := s.Operate.Acknowledge(r.Context(), req.Period); err != nil {
		return err
	}
	return writeJSON(w, req)
}

// generationList is the answer of GET /api/generations.
type generationList struct {
	Generations []GenerationInfo `json:"generations" doc:"Oldest first"`
}

func (s *Web) generations(w http.ResponseWriter, r *http.Request) error {
	all, err := s.Operate.Generations(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, generationList{orEmpty(all)})
}

func (s *Web) build(w http.ResponseWriter, r *http.Request) error {
	var req BuildRequest
	if err := s.readRequest(w, r, &req); err != nil {
		return err
	}
	return longWork(w, r, func(progress func(pinflow.Work)) (*GenerationInfo, error) {
		return s.Operate.BuildGeneration(r.Context(), req, progress)
	})
}

func (s *Web) switchTo(w http.ResponseWriter, r *http.Request) error {
	var req GenerationRequest
	if err := s.readRequest(w, r, &req); err != nil {
		return err
	}
	return longWork(w, r, func(progress func(pinflow.Work)) (*GenerationInfo, error) {
		return s.Operate.SwitchGeneration(r.Context(), req.Generation, progress)
	})
}

func (s *Web) drop(w http.ResponseWriter, r *http.Request) error {
	var req GenerationRequest
	if err := s.readRequest(w, r, &req); err != nil {
		return err
	}
	if err := s.Operate.DropGeneration(r.Context(), req.Generation); err != nil {
		return err
	}
	return writeJSON(w, req)
}

func (s *Web) batch(w http.ResponseWriter, r *http.Request) error {
	var req BatchRequest
	if err := s.readRequest(w, r, &req); err != nil {
		return err
	}
	if req.Period != "" && (req.From != "" || req.To != "") {
		return &pinflow.Error{Op: "run the batch", On: req.Period, Kind: pinflow.Invalid, Hint: "Give a period, or a range by from and to."}
	}
	return longWork(w, r, func(progress func(pinflow.Work)) (*BatchResult, error) {
		res, err := s.Operate.Batch(r.Context(), req, progress)
		if res != nil {
			res.Periods = orEmpty(res.Periods)
		}
		return res, err
	})
}

func (s *Web) batchStatus(w http.ResponseWriter, r *http.Request) error {
	st, err := s.Operate.BatchStatus(r.Context())
	if err != nil {
		return err
	}
	st.Periods = orEmpty(st.Periods)
	return writeJSON(w, st)
}
