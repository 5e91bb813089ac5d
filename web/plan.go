package web

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/pinflow/pinflow"
)

// plan returns the definition that readers see now.
func (s *Web) plan() *pinflow.Plan { return s.served.Load() }

// SetPlan says that the store's views are those of another generation now. Event streams end, and begin anew when their
// clients come back; the API's documentation tells of the new metrics.
func (s *Web) SetPlan(p *pinflow.Plan) {
	s.served.Store(p)
	s.hub.renew()
	s.describe()
}

// documented is an OpenAPI document that may change while it is shown.
type documented interface {
	Change(f func(*huma.OpenAPI))
}

// forget takes an operation's earlier version out of the document.
func forget(doc *huma.OpenAPI, o *huma.Operation) {
	item := doc.Paths[o.Path]
	if item == nil {
		return
	}
	switch o.Method {
	case http.MethodGet:
		item.Get = nil
	case http.MethodPost:
		item.Post = nil
	}
}

// describe writes the routes into the document, if there is one.
func (s *Web) describe() {
	if s.api == nil {
		return
	}
	write := func(doc *huma.OpenAPI) {
		for _, op := range s.operations() {
			o := op.describe(doc.Components.Schemas)
			forget(doc, o)
			doc.AddOperation(o)
		}
	}
	if d, ok := s.api.(documented); ok {
		d.Change(write)
	} else if !s.described {
		write(s.api.OpenAPI())
	}
	s.described = true
}
