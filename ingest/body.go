package ingest

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/problem"
	"github.com/prometheus/client_golang/prometheus"
)

// body reads a post's body, decompressed and limited.
type body struct {
	raw     io.ReadCloser
	unzip   *gzip.Reader // nil if not compressed
	control *http.ResponseController
	timeout time.Duration
	waited  time.Duration // for the client
	length  int64         // bytes that may come, decompressed
	max     int64
	read    int64 // bytes read so far, decompressed
	bytes   prometheus.Counter
	ended   bool
}

func (s *source) newBody(w http.ResponseWriter, r *http.Request, limit int64) *body {
	return &body{raw: r.Body, control: http.NewResponseController(w), max: limit, length: limit, timeout: s.in.Timeout, bytes: s.metrics.bytes}
}

// open looks at the headers; a nil problem means that the body can be read.
func (b *body) open(w http.ResponseWriter, r *http.Request) *problem.Problem {
	if r.ContentLength > b.max {
		p := bodyProblem(errTooLarge(b.max))
		return &p
	}
	encoding := r.Header.Get("Content-Encoding")
	switch {
	case encoding == "" || encoding == "identity":
		if r.ContentLength >= 0 {
			b.length = r.ContentLength
		}
		return nil
	case !strings.EqualFold(encoding, "gzip"):
		w.Header().Set("Accept-Encoding", "gzip")
		p := problem.New(http.StatusUnsupportedMediaType, "The content encoding "+encoding+" is not known here.", "Send the body as it is, or as gzip.")
		return &p
	}
	if err := b.decompress(); err != nil {
		p := bodyProblem(err)
		return &p
	}
	return nil
}

func (b *body) decompress() (err error) {
	from := &counted{from: b.raw, left: b.max, limit: b.max}
	b.await()
	unzip, _ := unzippers.Get().(*gzip.Reader)
	if unzip == nil {
		unzip, err = gzip.NewReader(from)
	} else {
		err = unzip.Reset(from)
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // not even a header
	}
	if err == nil {
		b.unzip = unzip
	}
	return err
}

// unzippers keeps gzip readers for reuse: each has a window of 32 KiB and tables.
var unzippers sync.Pool

// Read reads the decompressed body and fails beyond its limit, or if the client is too slow.
func (b *body) Read(p []byte) (n int, err error) {
	if left := b.max - b.read; int64(len(p)) > left+1 {
		p = p[:left+1]
	}
	start := b.await()
	if b.unzip != nil {
		n, err = b.unzip.Read(p)
	} else {
		n, err = b.raw.Read(p)
	}
	b.waited += time.Since(start)
	b.read += int64(n)
	b.bytes.Add(float64(n))
	if b.read > b.max {
		return n - 1, errTooLarge(b.max)
	}
	if err == io.EOF {
		b.ended = true
		b.rest()
	}
	return n, err
}

// slowest is how many bytes a second a client must send once it has used up the timeout: else a few that
// dawdle could hold all the memory.
const slowest = 64 << 10

// await gives the client the timeout to send the next piece, less what it is behind the slowest
// pace. It returns the time. Servers that cannot do that have their own limits.
func (b *body) await() time.Time {
	now := time.Now()
	left := b.timeout + time.Duration(b.read)*time.Second/slowest - b.waited
	_ = b.control.SetReadDeadline(now.Add(min(left, b.timeout)))
	return now
}

// rest lifts the deadline, at which the server would take the client for gone.
func (b *body) rest() { _ = b.control.SetReadDeadline(time.Time{}) }

// drain reads what is left and forgets it, within the limit: a client that is still sending would not see the answer.
// If it doesn't get to the end the deadline stays, since the server will try to read on.
func (b *body) drain() {
	if b.ended {
		return
	}
	b.ended = true
	for buf, left := make([]byte, 16<<10), b.max; left > 0; {
		start := b.await()
		n, err := b.raw.Read(buf)
		if err == io.EOF {
			b.rest()
		}
		if err != nil {
			return
		}
		b.waited += time.Since(start)
		b.read += int64(n)
		left -= int64(n)
	}
}

func (b *body) close() {
	b.drain()
	if b.unzip != nil {
		unzippers.Put(b.unzip)
		b.unzip = nil
	}
}

// counted fails beyond limit bytes.
type counted struct {
	from        io.Reader
	left, limit int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, errTooLarge(c.limit)
	}
	return n, err
}

func errTooLarge(limit int64) error {
	return &pinflow.Error{Op: "read the body", Kind: pinflow.TooLarge, Err: fmt.Errorf("it is larger than %d bytes", limit),
		Hint: "Send the records in several bulks."}
}

// bodyProblem says why a body could not be read to its end.
func bodyProblem(err error) problem.Problem {
	var ours *pinflow.Error
	if errors.As(err, &ours) {
		return problem.Of(ours)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return problem.New(http.StatusRequestTimeout, "The body did not come in time.", "Send it faster, or in several bulks.")
	}
	return problem.Of(&pinflow.Error{Op: "read the body", Kind: pinflow.Invalid, Err: err})
}

// isLines tells by the content type whether the body is a record per line (NDJSON) rather than JSON, which
// is meant if there is none.
func isLines(h http.Header) (bool, *problem.Problem) {
	content := h.Get("Content-Type")
	if content == "application/json" || content == "" {
		return false, nil
	}
	media, params, err := mime.ParseMediaType(content)
	charset, named := params["charset"]
	if err == nil && (!named || strings.EqualFold(charset, "utf-8")) {
		switch media {
		case "application/json":
			return false, nil
		case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines":
			return true, nil
		}
	}
	p := problem.New(http.StatusUnsupportedMediaType, "The content type "+content+" is not taken here.",
		"Send application/json (with curl: --json) or application/x-ndjson, in UTF-8.")
	return false, &p
}

const (
	idempotencyKey    = "Idempotency-Key"
	maxIdempotencyKey = 255 // bytes
)

// checkIdempotencyKey refuses a key that cannot be kept with every record as it is.
func checkIdempotencyKey(h http.Header) *problem.Problem {
	var why string
	switch keys := h.Values(idempotencyKey); {
	case len(keys) == 0:
		return nil
	case len(keys) > 1:
		why = "is given more than once"
	case keys[0] == "":
		why = "is empty"
	case len(keys[0]) > maxIdempotencyKey:
		why = fmt.Sprintf("is longer than %d bytes", maxIdempotencyKey)
	case strings.ContainsFunc(keys[0], func(c rune) bool { return c <= ' ' || c > '~' }):
		why = "holds something else than visible ASCII characters"
	default:
		return nil
	}
	p := problem.New(http.StatusBadRequest, "The header "+idempotencyKey+" "+why+".", "Send one of 1 to 255 visible ASCII characters, such as a UUID, or none.")
	return &p
}

// keyHeaders are the headers of a record that was posted alone with a key; none without one.
func keyHeaders(key string) []pinflow.Header {
	if key == "" {
		return nil
	}
	return []pinflow.Header{{Key: idempotencyKey, Value: []byte(key)}}
}

// bulkKeyHeaders are those of the n-th record of several: so a bulk that is sent again repeats the key of each.
func bulkKeyHeaders(key string, n int) []pinflow.Header {
	if key == "" {
		return nil
	}
	return []pinflow.Header{{Key: idempotencyKey, Value: strconv.AppendInt(append([]byte(key), ':'), int64(n), 10)}}
}
