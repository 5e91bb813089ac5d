package web

import (
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/pinflow/pinflow"
)

// workText is true of every answer in lines.
const workText = "The answer is NDJSON: any number of lines with progress, then one with the result, or with the problem that ended the work. " +
	"An error before the first line is the HTTP answer. The work ends when the client goes. Only one batch, audit or building of a generation runs at a time (409)."

var workErrors = []int{403, 404, 409, 413, 415, 422, 503}

func (s *Web) textOfEntity() text {
	var keyed []string
	about := "The row that stands for a key. Several key columns are several segments of the path, in their order; a slash in a value is escaped as %2F. " + numbersText
	for _, m := range s.plan().Models {
		if len(m.Key) > 0 && m.Table != "" {
			keyed = append(keyed, m.Name)
			about += "\n\n- `" + m.Name + "`: `/api/models/" + m.Name + "/{" + strings.Join(m.Key, "}/{") + "}`"
		}
	}
	key := &huma.Param{Name: "key", In: "path", Required: true, Description: "The key", Schema: &huma.Schema{Type: huma.TypeString}}
	return text{id: "get-entity", tag: "Models", summary: "Read the row of a key", about: about,
		params: append([]*huma.Param{pathParam("model", keyed), key}, params(keyControls, nil)...), answer: entityAnswer{}, errors: rowErrors}
}

func textOfReports() text {
	return text{id: "list-reports", tag: "Reports", summary: "List reports", about: "All reports of the pipeline with their columns.", answer: reportList{}}
}

func (s *Web) textOfReport() text {
	var names []string
	for _, r := range s.plan().Reports {
		names = append(names, r.Name)
	}
	return text{id: "get-report", tag: "Reports", summary: "Run a report",
		about: "The rows of a report over everything up to now, exact for the position told; with as_of, over the state at the end of that period, for which the batch must have installed it. " +
			"It runs within " + s.Limits.SQLTime.String() + ". " + numbersText,
		params: append([]*huma.Param{pathParam("report", names)}, params(reportControls, nil)...),
		answer: rowsAnswer{}, media: []string{"application/json", "text/csv"}, errors: rowErrors}
}

func textOfAudits() text {
	on := func(name, about string) *huma.Param {
		return &huma.Param{Name: name, In: "query", Description: about, Schema: &huma.Schema{Type: huma.TypeBoolean}}
	}
	return text{id: "get-audit", tag: "Audit", summary: "What audits and comparisons have found",
		about:  "Every comparison of live and batch rows, and the last audit. With run it runs one, as POST does.",
		params: []*huma.Param{on("run", "Run an audit now."), on("deep", "Run one that computes everything anew.")}, answer: Audits{}, errors: []int{403, 409, 422, 503}}
}

func textOfAudit() text {
	return text{id: "run-audit", tag: "Audit", summary: "Run an audit",
		about: "Holds journal, lake, derived files and store beside one another, and lists what does not hold. " + workText,
		body:  AuditRequest{}, jsonBody: true, answer: workLine[pinflow.AuditReport]{}, media: []string{lines}, errors: workErrors}
}

func textOfAcknowledge() text {
	return text{id: "acknowledge-difference", tag: "Audit", summary: "Take a recorded difference",
		about: "The differences recorded of a period no longer stand: somebody has seen them.",
		body:  AcknowledgeRequest{}, jsonBody: true, answer: AcknowledgeRequest{}, errors: []int{403, 404, 413, 415, 422, 503}}
}

func textOfGenerations() text {
	return text{id: "list-generations", tag: "Generations", summary: "List generations", about: "What each definition of the pipeline has computed, and how far it is.", answer: generationList{}, errors: []int{503}}
}

func textOfBuild() text {
	return text{id: "build-generation", tag: "Generations", summary: "Build a generation",
		about: "Computes what the definition as it is now makes of all records, from the lake and then the journal, while readers see the current one. " + workText,
		body:  BuildRequest{}, jsonBody: true, answer: workLine[GenerationInfo]{}, media: []string{lines}, errors: workErrors}
}

func textOfSwitch() text {
	return text{id: "switch-generation", tag: "Generations", summary: "Switch to a generation",
		about: "Readers see it from one moment to the next, once it has all that the current one has; going back is a switch too. " + workText,
		body:  GenerationRequest{}, jsonBody: true, answer: workLine[GenerationInfo]{}, media: []string{lines}, errors: workErrors}
}

func textOfDrop() text {
	return text{id: "drop-generation", tag: "Generations", summary: "Drop a generation",
		about: "Removes its tables and derived files. The current one cannot be dropped.",
		body:  GenerationRequest{}, jsonBody: true, answer: GenerationRequest{}, errors: workErrors}
}

func textOfBatch() text {
	return text{id: "run-batch", tag: "Batch", summary: "Run the batch",
		about: "Seals what can be sealed, computes closed periods from the lake, compares them with the live rows and installs them. Without a period: every sealed one that is not installed. " + workText,
		body:  BatchRequest{}, jsonBody: true, answer: workLine[BatchResult]{}, media: []string{lines}, errors: workErrors}
}

func textOfBatchStatus() text {
	return text{id: "get-batch-status", tag: "Batch", summary: "Where the batch stands", about: "Installed periods with their comparisons, and what the next one waits for.", answer: BatchStatus{}, errors: []int{503}}
}
