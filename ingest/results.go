package ingest

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
	"github.com/pinflow/pinflow/value"
)

const (
	resultsBlock = 128 << 10 // bytes of text that are compressed together
	resultsHeld  = 1 << 20   // compressed bytes in memory; more go to a file
	faultsText   = 32 << 10  // bytes of one record's faults that are told
)

// results is the text of a bulk's results, in order. The answer's status is known only when all are, so
// they wait here: compressed, in memory and then in a temporary file.
type results struct {
	text           []byte // not yet in a block
	packed         []byte // scratch
	blocks         []block
	held           int // compressed bytes in memory
	file           *os.File
	end            int64 // of the file
	size           int64 // bytes of text in blocks
	taken, refused int
	retry          bool // one of them is a 503
}

// block is a piece of the text, compressed.
type block struct {
	b  []byte // nil if it lies in the file
	at int64
	n  int // bytes in the file
}

// count is how many results there are, and so the index of the next.
func (r *results) count() int { return r.taken + r.refused }

// receipt adds the result of a record that was taken.
func (r *results) receipt(s *source, partition int32, offset int64) {
	r.begin(http.StatusOK)
	r.text = append(s.appendReceipt(append(r.text, ','), partition, offset), '}')
	r.taken++
}

// refusal adds the result of a record that was not taken; members are what appendMembers made of the problem.
func (r *results) refusal(status int, members []byte) {
	r.begin(status)
	r.text = append(append(r.text, members...), '}')
	r.refused++
	r.retry = r.retry || status == http.StatusServiceUnavailable
}

// begin writes {"index":…,"status":…
func (r *results) begin(status int) {
	if r.count() > 0 {
		r.text = append(r.text, ',', '\n')
	}
	r.text = append(r.text, `{"index":`...)
	r.text = strconv.AppendInt(r.text, int64(r.count()), 10)
	r.text = append(r.text, `,"status":`...)
	r.text = strconv.AppendInt(r.text, int64(status), 10)
}

// appendMembers appends a problem's members but for its status, each with a comma before it.
func appendMembers(dst []byte, p problem.Problem) []byte {
	for _, m := range [...]struct{ name, text string }{{"title", p.Title}, {"kind", p.Kind}, {"detail", p.Detail}, {"hint", p.Hint}} {
		if m.text != "" {
			dst = appendMember(append(dst, ','), m.name, m.text)
		}
	}
	if len(p.Errors) == 0 {
		return dst
	}
	dst = append(dst, `,"errors":`...)
	start := len(dst)
	for i, f := range p.Errors {
		if len(dst)-start > faultsText {
			more := "has " + strconv.Itoa(len(p.Errors)-i) + " more faults, too long to be listed"
			dst = appendFault(append(dst, ','), problem.Detail{Reason: more})
			break
		}
		dst = appendFault(append(dst, "[,"[min(i, 1)]), f)
	}
	return append(dst, ']')
}

func appendFault(dst []byte, f problem.Detail) []byte {
	dst = appendMember(append(dst, '{'), "path", f.Path)
	return append(appendMember(append(dst, ','), "reason", f.Reason), '}')
}

func appendMember(dst []byte, name, text string) []byte {
	dst = append(value.AppendString(dst, name), ':')
	return value.AppendString(dst, strings.ToValidUTF8(text, "\ufffd"))
}

// pack compresses the text once there is a block of it. After an error all the results are still
// there, but the memory for more is not.
func (r *results) pack(dir string) error {
	if len(r.text) < resultsBlock {
		return nil
	}
	r.packed = s2.Encode(r.packed[:cap(r.packed)], r.text)
	packed := r.packed
	r.size += int64(len(r.text))
	r.text = r.text[:0]
	b := block{at: r.end, n: len(packed)}
	var err error
	if r.held+len(packed) > resultsHeld {
		err = r.write(packed, dir)
	}
	if err != nil || r.held+len(packed) <= resultsHeld {
		b.b = bytes.Clone(packed)
		r.held += len(packed)
	}
	r.blocks = append(r.blocks, b)
	return err
}

// write puts a block at the end of the file.
func (r *results) write(packed []byte, dir string) (err error) {
	if r.file == nil {
		r.file, err = os.CreateTemp(dir, "pinflow-results-*")
		if err == nil {
			_ = os.Remove(r.file.Name()) // where that is not possible while it is open, close does it
		}
	}
	if err == nil {
		_, err = r.file.WriteAt(packed, r.end)
	}
	if err != nil {
		return &pinflow.Error{Op: "keep the results of a bulk", On: dir, Err: err, Hint: "Send the rest again, in smaller bulks."}
	}
	r.end += int64(len(packed))
	return nil
}

func (r *results) close() {
	if r.file != nil {
		_ = r.file.Close()
		_ = os.Remove(r.file.Name())
	}
}

// answer writes the one JSON document that holds all results; a reader that takes none of it for
// so long as timeout is left.
func (r *results) answer(w http.ResponseWriter, timeout time.Duration) error {
	const tail = "\n]}\n"
	head := fmt.Sprintf("{\"taken\":%d,\"refused\":%d,\"results\":[\n", r.taken, r.refused)
	h, status := w.Header(), http.StatusOK
	h["Content-Type"] = jsonContent
	h.Set("Content-Length", strconv.FormatInt(int64(len(head)+len(r.text)+len(tail))+r.size, 10))
	if r.refused > 0 {
		status = http.StatusMultiStatus
	}
	if r.retry {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	out := patient{w, http.NewResponseController(w), timeout}
	defer out.done()
	if _, err := out.Write([]byte(head)); err != nil {
		return err
	}
	var text []byte
	for _, b := range r.blocks {
		packed, err := r.read(b)
		if err == nil {
			text, err = s2.Decode(text[:cap(text)], packed)
		}
		if err == nil {
			_, err = out.Write(text)
		}
		if err != nil {
			return err
		}
	}
	_, err := out.Write(append(r.text, tail...))
	return err
}

// read returns a block's bytes, until the next is read.
func (r *results) read(b block) ([]byte, error) {
	if b.b != nil {
		return b.b, nil
	}
	r.packed = slices.Grow(r.packed[:0], b.n)[:b.n]
	_, err := r.file.ReadAt(r.packed, b.at)
	return r.packed, err
}

// patient writes to a client that has to go on reading.
type patient struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
}

// Write gives the client the timeout to take p. Servers that cannot do that have their own limits.
func (p patient) Write(b []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(p.timeout))
	return p.w.Write(b)
}

// done sends what is still buffered and lifts the deadline: the connection may be used again.
func (p patient) done() {
	_ = p.control.Flush()
	_ = p.control.SetWriteDeadline(time.Time{})
}
