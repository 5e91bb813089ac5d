package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
	"github.com/pinflow/pinflow/value"
)

const (
	maxTopicBody    = 8 << 20 // bytes; a larger bulk has the source's own route
	maxTopicRecords = 10_000
	restContent     = "application/vnd.kafka.v2+json"
)

// topics takes posts in the shape of the Kafka REST proxy, version 2:
//
//	{"records":[{"key":…,"value":{…},"partition":…}]} → {"offsets":[{"partition":…,"offset":…,"error_code":null,"error":null}]}
//
// Each value is judged as a post to the source's route. The answer is 200 if a record was taken: those that
// were not say so by error_code, 1 if sending it again won't help and 2 if it may. If none was taken, the answer's
// status tells why, where the proxy says 200 all the same. What is wrong with the body as a whole has the proxy's
// statuses: 400 if it is not JSON, 422 if it has no records or a member that nobody would heed. Problems also have the
// proxy's members error_code and message, and its content type if that is what the client accepts.
type topics struct{ in *Ingest }

// restRecord is one record of a post.
type restRecord struct {
	Key       json.RawMessage `json:"key"`
	Value     json.RawMessage `json:"value"`
	Partition *int32          `json:"partition"`
}

// restOffset is the result of one record.
type restOffset struct {
	Partition *int32  `json:"partition"`
	Offset    *int64  `json:"offset"`
	ErrorCode *int    `json:"error_code"`
	Error     *string `json:"error"`
}

// restResults is the answer.
type restResults struct {
	KeySchemaID   *int         `json:"key_schema_id"`
	ValueSchemaID *int         `json:"value_schema_id"`
	Offsets       []restOffset `json:"offsets"`
}

// restProblem is the answer if nothing was taken: a problem that is also the proxy's error.
type restProblem struct {
	problem.Problem
	ErrorCode int          `json:"error_code"`
	Message   string       `json:"message"`
	Offsets   []restOffset `json:"offsets,omitempty"`
}

// ServeHTTP takes one post.
func (t topics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.in.metrics.inFlight.Inc()
	defer t.in.metrics.inFlight.Dec()
	s := t.in.byTopic(r.PathValue("topic"))
	if s == nil {
		p := problem.Of(&pinflow.Error{Op: "find topic", On: r.PathValue("topic"), Kind: pinflow.NotFound, Hint: "The topics are those of the pipeline's sources."})
		writeREST(w, r, p, 40401, nil)
		return
	}
	fail := func(p problem.Problem) {
		s.metrics.posts(p.Status, 1)
		writeREST(w, r, p, p.Status, nil)
	}
	if r.Method != http.MethodPost {
		fail(notAPost(w, r))
		return
	}
	b := s.newBody(w, r, min(s.in.MaxBulk, maxTopicBody))
	defer b.close()
	p := checkREST(r.Header)
	if p == nil {
		p = checkIdempotencyKey(r.Header)
	}
	if p == nil {
		p = b.open(w, r)
	}
	if p != nil {
		fail(*p)
		return
	}
	// The body, its records, and their drafts.
	weight := 3*b.length + recordCost*min(b.length/8+1, maxTopicRecords)
	if weight = min(weight, s.in.Memory); !s.in.acquire(r.Context(), weight) {
		fail(noRoom())
		return
	}
	defer s.in.room.Release(weight)
	records, err := readREST(b)
	if err == nil && len(records) == 0 {
		err = faultREST("/records", "holds no record")
	}
	if err != nil {
		fail(bodyProblem(err))
		return
	}
	s.takeREST(w, r, records)
}

// Refuse words a refused key as the proxy does: a code of five digits that begins with the status.
func (t topics) Refuse(w http.ResponseWriter, r *http.Request, status int, detail, hint string) {
	p := problem.New(status, detail, hint)
	p.Instance = r.URL.Path
	writeREST(w, r, p, status*100+1, nil)
}

func (in *Ingest) byTopic(topic string) *source {
	for _, s := range in.sources {
		if s.Topic == topic {
			return s
		}
	}
	return nil
}

// checkREST looks at the content type: JSON, in the proxy's words or plain.
func checkREST(h http.Header) *problem.Problem {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	switch {
	case h.Get("Content-Type") == "", err == nil && (media == "application/vnd.kafka.json.v2+json" || media == restContent || media == "application/json"):
		return nil
	}
	p := problem.New(http.StatusUnsupportedMediaType, "The content type "+h.Get("Content-Type")+" is not taken here.", "Send application/vnd.kafka.json.v2+json.")
	return &p
}

// readREST reads the records of a post. An error says why it has none.
func readREST(b *body) ([]restRecord, error) {
	d := json.NewDecoder(b)
	d.DisallowUnknownFields()
	var records []restRecord
	err := expect(d, '{')
	for err == nil && d.More() {
		var name json.Token
		if name, err = d.Token(); err != nil {
			break
		}
		switch name {
		case "records":
			records, err = restArray(d)
		case "key_schema", "key_schema_id", "value_schema", "value_schema_id": // of other formats than JSON
			err = d.Decode(new(json.RawMessage))
		default:
			err = unknownREST(fmt.Sprint(name))
		}
	}
	if err == nil {
		err = expect(d, '}')
	}
	if err == nil {
		if _, after := d.Token(); after != io.EOF {
			err = notREST("something follows the object")
		}
	}
	return records, asREST(err)
}

func restArray(d *json.Decoder) (records []restRecord, err error) {
	open, err := d.Token()
	if err != nil || open == nil { // null is as good as none
		return nil, err
	}
	if open != json.Delim('[') {
		return nil, notREST("records should be a list")
	}
	for d.More() {
		var rec restRecord
		if err := d.Decode(&rec); err != nil {
			return nil, err
		}
		if len(records) == maxTopicRecords {
			return nil, &pinflow.Error{Op: "read the body", Kind: pinflow.TooLarge, Err: fmt.Errorf("it holds more than %d records", maxTopicRecords),
				Hint: "Send them in several posts, or as NDJSON to the source's own route."}
		}
		records = append(records, rec)
	}
	return records, expect(d, ']')
}

func expect(d *json.Decoder, delim json.Delim) error {
	t, err := d.Token()
	if err == nil && t != delim {
		return notREST("there should be a " + delim.String())
	}
	return err
}

// asREST tells what JSON's decoder found from what kept the body from being read.
func asREST(err error) error {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case err == io.EOF:
		return notREST("the body ends too early")
	case strings.HasPrefix(err.Error(), unknownField):
		return unknownREST(strings.Trim(strings.TrimPrefix(err.Error(), unknownField), `"`))
	case errors.As(err, &syntax), errors.As(err, &typ):
		return notREST(err.Error())
	}
	return err
}

// unknownField is how JSON's decoder begins to say that a member is none of the struct's.
const unknownField = "json: unknown field "

// howREST shows what to post.
const howREST = `Post {"records":[{"value":{…}}]}.`

func notREST(why string) error {
	return &pinflow.Error{Op: "read the records", Kind: pinflow.Invalid, Err: errors.New(why), Hint: howREST}
}

// faultREST says what is wrong with a body that is JSON.
func faultREST(path, reason string) error {
	return &pinflow.Error{Op: "read the records", Kind: pinflow.Invalid, Err: problem.Faults{{Path: path, Reason: reason}}, Hint: howREST}
}

// unknownREST refuses a member that would be dropped, such as a record's headers.
func unknownREST(name string) error { return faultREST("/"+name, "is not known here") }

// takeREST judges records, appends the good ones and answers.
func (s *source) takeREST(w http.ResponseWriter, r *http.Request, records []restRecord) {
	offsets := make([]restOffset, len(records))
	var drafts []pinflow.Draft
	var asked []int // the indexes of the drafts' records
	var first *problem.Problem
	key := r.Header.Get(idempotencyKey)
	refuse := func(i, code int, p problem.Problem) {
		if first == nil {
			first = &p
		}
		said := explainREST(p)
		offsets[i] = restOffset{ErrorCode: &code, Error: &said}
		s.metrics.posts(p.Status, 1)
	}
	for i, rec := range records {
		var d pinflow.Draft
		if no := s.judgeREST(rec, &d); no != nil {
			refuse(i, 1, no.problem())
			continue
		}
		d.Headers = bulkKeyHeaders(key, i)
		drafts, asked = append(drafts, d), append(asked, i)
	}
	taken := 0
	if len(drafts) > 0 {
		for n, receipt := range s.append(r.Context(), drafts) {
			if receipt.Err == nil {
				offsets[asked[n]] = restOffset{Partition: &receipt.Partition, Offset: &receipt.Offset}
				taken++
				continue
			}
			p := s.in.appendProblem(receipt.Err)
			if pinflow.KindOf(receipt.Err) == pinflow.NotFound && int(drafts[n].Partition) >= s.Partitions {
				p = invalidREST("/partition", "the topic has none of that number").problem()
			}
			code := 1
			if p.Status == http.StatusServiceUnavailable {
				code = 2
			}
			refuse(asked[n], code, p)
		}
		s.metrics.posts(http.StatusOK, taken)
	}
	if taken == 0 && first != nil {
		writeREST(w, r, *first, first.Status, offsets)
		return
	}
	w.Header().Set("Content-Type", restContent)
	_ = json.NewEncoder(w).Encode(restResults{Offsets: offsets}) // a client that has gone needs no answer
}

// judgeREST turns a record into a draft. The key of a source's record is that of its value; a post may repeat it.
func (s *source) judgeREST(rec restRecord, d *pinflow.Draft) *refusal {
	if len(rec.Value) == 0 {
		rec.Value = json.RawMessage("null")
	}
	if no := s.judge(rec.Value, d); no != nil {
		return no
	}
	if key := restKey(rec.Key); key != nil {
		if s.Key != "" && string(key) != string(d.Key) {
			return invalidREST("/key", "is not the value's "+s.Key+", which is the key")
		}
		d.Key = key
	}
	if rec.Partition != nil {
		if *rec.Partition < 0 {
			return invalidREST("/partition", "is negative")
		}
		if s.Key != "" && s.Partitions > 1 {
			return invalidREST("/partition", "follows from the key: leave it out")
		}
		d.Partition = *rec.Partition
	}
	return nil
}

func invalidREST(path, reason string) *refusal {
	return &refusal{http.StatusUnprocessableEntity, []value.Fault{{Path: path, Reason: reason}}}
}

// restKey is the text of a key: a string's, or else its JSON. nil if there is none.
func restKey(key json.RawMessage) []byte {
	if len(key) == 0 || string(key) == "null" {
		return nil
	}
	var text string
	if json.Unmarshal(key, &text) == nil {
		return []byte(text)
	}
	return value.Compact(nil, key)
}

// explainREST says a problem in one text.
func explainREST(p problem.Problem) string {
	said := make([]string, 0, len(p.Errors))
	for _, f := range p.Errors {
		said = append(said, strings.TrimPrefix(f.Path+" ", " ")+f.Reason)
	}
	if len(said) == 0 {
		return p.Detail
	}
	return strings.Join(said, "; ")
}

func writeREST(w http.ResponseWriter, r *http.Request, p problem.Problem, code int, offsets []restOffset) {
	h := w.Header()
	h.Set("Content-Type", problem.ContentType)
	if strings.Contains(r.Header.Get("Accept"), "application/vnd.kafka") {
		h.Set("Content-Type", restContent)
	}
	h.Set("Cache-Control", "no-store")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(restProblem{Problem: p, ErrorCode: code, Message: explainREST(p), Offsets: offsets})
}
