// Package ingest takes posts over HTTP: it judges each record by its source's schema, appends it to
// the journal and answers when the journal has it. Nothing is kept in memory only, so an answer of 2xx is
// a record that survives a crash.
//
//	POST /pin/           one JSON object → its receipt; a JSON array or NDJSON → one result per record
//	POST /topics/{topic} the Kafka REST proxy's v2 shape
//
// A body may be gzip. A UTF-8 byte order mark before it is skipped; it is no part of a record. A record's
// value is the posted object without the whitespace between its tokens, its key the text of the source's key
// field. An Idempotency-Key header (1 to 255 visible ASCII characters) is passed on as a header of the record, of
// several records in one body as the key, a colon and the record's index from 0. Nobody is kept from posting twice: a model with keep: first drops what is
// sent again.
//
// A bulk is answered by one JSON document: 200 if all its records were taken, else 207:
//
//	{"taken":1,"refused":1,"results":[
//	{"index":0,"status":200,"topic":"…","partition":0,"offset":7},
//	{"index":1,"status":422,"title":"…","kind":"invalid","detail":"…","errors":[{"path":"/index","reason":"is missing"}]}]}
//
// A record's problem has the status that it would have been answered with if posted alone. Once the journal has
// failed to take a record, the later pieces of the bulk are not tried (503 each). If the body cannot be read to its
// end, the last result says why, and no record from its index on was taken.
//
// Memory is bounded: a bulk is read and appended in pieces, and what all posts of a process hold at a
// time is limited (Options.Memory); a post that finds no room within Options.Timeout is answered 503.
package ingest

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/access"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
)

// Options are what an Ingest needs. Zero limits take the defaults.
type Options struct {
	Sources   []pinflow.Source // each with its own route and topic
	Journal   pinflow.Appender
	Log       *slog.Logger
	Metrics   prometheus.Registerer
	MaxRecord int           // bytes of one record as posted; 1 MiB
	MaxBulk   int64         // bytes of a body, compressed and decompressed; 64 MiB
	Memory    int64         // bytes that posts hold at a time; 128 MiB
	Timeout   time.Duration // for room, for the next piece of a body, and for an acknowledgement; 10 s
	Spool     string        // folder for the results of large bulks until they are answered; "" for the system's
}

// Ingest takes posts. It has no goroutines of its own: when the HTTP server has shut down, it has ended.
type Ingest struct {
	Options
	sources []*source
	room    *semaphore.Weighted
	metrics metrics
	logged  throttle
}

// New compiles the sources' schemas and registers the metrics. A source that cannot be served is an Invalid error.
func New(o Options) (*Ingest, error) {
	if o.MaxRecord <= 0 {
		o.MaxRecord = 1 << 20
	}
	if o.MaxBulk <= 0 {
		o.MaxBulk = 64 << 20
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Memory <= 0 {
		o.Memory = 128 << 20
	}
	in := &Ingest{Options: o}
	in.Memory = max(o.Memory, in.bulkWeight(in.MaxBulk))
	in.room = semaphore.NewWeighted(in.Memory)
	in.metrics = newMetrics()
	if err := in.metrics.register(o.Metrics); err != nil {
		return nil, &pinflow.Error{Op: "register the metrics of ingest", Err: err}
	}
	var faults []error
	used := map[string]string{}
	for _, src := range o.Sources {
		for _, place := range []string{"route " + trimRoute(src.Route), "topic " + src.Topic} {
			if other, ok := used[place]; ok {
				faults = append(faults, fmt.Errorf("the sources %s and %s have the same %s", other, src.Name, place))
			}
			used[place] = src.Name
		}
		s, err := newSource(in, src)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		in.sources = append(in.sources, s)
	}
	if len(faults) > 0 {
		return nil, &pinflow.Error{Op: "serve the sources", Kind: pinflow.Invalid, Err: errors.Join(faults...), Hint: "pinflow check shows all faults of a definition."}
	}
	return in, nil
}

// Register puts the routes on mux and describes them in api's document. They take every method and
// answer all but POST with 405.
func (in *Ingest) Register(mux access.Routes, api huma.API) {
	for _, s := range in.sources {
		path := trimRoute(s.Route)
		mux.Handle(path+"/{$}", access.NeedScope(access.Post, s))
		if path != "" {
			mux.Handle(path, access.NeedScope(access.Post, s))
		}
	}
	mux.Handle("/topics/{topic}", access.NeedScope(access.Post, topics{in}))
	if api != nil {
		in.describe(api.OpenAPI())
	}
}
