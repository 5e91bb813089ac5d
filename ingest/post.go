package ingest

import (
	"net/http"
	"strconv"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
)

// smallBody is how many bytes a post may hold without asking for room.
const smallBody = 16 << 10

// ServeHTTP takes one post to a source's route.
func (s *source) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.in.metrics.inFlight.Inc()
	defer s.in.metrics.inFlight.Dec()
	if r.Method != http.MethodPost {
		s.fail(w, notAPost(w, r))
		return
	}
	lines, p := isLines(r.Header)
	if p == nil {
		p = checkIdempotencyKey(r.Header)
	}
	b := s.newBody(w, r, s.in.MaxBulk)
	defer b.close()
	if p == nil {
		p = b.open(w, r)
	}
	if p != nil {
		s.fail(w, *p)
		return
	}
	s.take(w, r, b, lines)
}

// take reads the beginning of a body and decides whether it is a bulk.
func (s *source) take(w http.ResponseWriter, r *http.Request, b *body, lines bool) {
	buf := takeBuffer()
	defer buf.giveBack()
	whole, err := buf.fill(b, smallBody)
	switch first := firstByte(buf.b); {
	case lines:
		s.bulk(w, r, b, head{buf, whole, err}, &ndjson{})
	case first == '[':
		s.bulk(w, r, b, head{buf, whole, err}, &array{})
	case err != nil:
		s.fail(w, bodyProblem(err))
	case whole:
		s.one(w, r, buf)
	default:
		s.large(w, r, b, buf)
	}
}

// large reads the rest of a single record that is not small.
func (s *source) large(w http.ResponseWriter, r *http.Request, b *body, buf *buffer) {
	weight := min(b.length, int64(s.in.MaxRecord)+1)
	if !s.in.acquire(r.Context(), weight) {
		s.fail(w, noRoom())
		return
	}
	defer s.in.room.Release(weight)
	whole, err := buf.fill(b, s.in.MaxRecord)
	switch {
	case err != nil:
		s.fail(w, bodyProblem(err))
	case !whole:
		s.fail(w, s.tooLarge().problem())
	default:
		s.one(w, r, buf)
	}
}

// one judges and appends a single record and answers with its receipt.
func (s *source) one(w http.ResponseWriter, r *http.Request, buf *buffer) {
	v := trimBOM(buf.b)
	if firstByte(v) == 0 {
		s.fail(w, problem.New(http.StatusBadRequest, "The body is empty.", "Post one JSON object."))
		return
	}
	buf.drafts = append(buf.drafts[:0], pinflow.Draft{Headers: keyHeaders(r.Header.Get(idempotencyKey))})
	if no := s.judge(v, &buf.drafts[0]); no != nil {
		s.fail(w, no.problem())
		return
	}
	receipts := s.append(r.Context(), buf.drafts)
	receipt := receipts[0]
	if receipt.Err != nil {
		buf.keep()
		s.fail(w, s.in.appendProblem(receipt.Err))
		return
	}
	s.metrics.posts(http.StatusOK, 1)
	buf.b = append(s.appendReceipt(append(buf.b[:0], '{'), receipt.Partition, receipt.Offset), '}', '\n')
	w.Header()["Content-Type"] = jsonContent
	_, _ = w.Write(buf.b) // a client that has gone needs no answer
}

var jsonContent = []string{"application/json"}

// appendReceipt appends a receipt's members: "topic":…,"partition":…,"offset":…
func (s *source) appendReceipt(dst []byte, partition int32, offset int64) []byte {
	dst = append(dst, s.receipt...)
	dst = strconv.AppendInt(dst, int64(partition), 10)
	dst = append(dst, `,"offset":`...)
	return strconv.AppendInt(dst, offset, 10)
}

// fail answers with a problem of the post as a whole.
func (s *source) fail(w http.ResponseWriter, p problem.Problem) {
	s.metrics.posts(p.Status, 1)
	problem.Write(w, p)
}

func notAPost(w http.ResponseWriter, r *http.Request) problem.Problem {
	w.Header().Set("Allow", http.MethodPost)
	return problem.New(http.StatusMethodNotAllowed, r.URL.Path+" does not take "+r.Method+".", "It takes POST.")
}
