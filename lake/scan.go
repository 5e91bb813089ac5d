package lake

import (
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/pinflow/pinflow"
)

// scanBytes of lines are read at a time.
const scanBytes = 256 << 10

// scan calls f with each line of a gzip stream of about that size, without its end, until it returns false. Lines lie in large pieces of memory
// and are f's to keep and change; who keeps one keeps its piece.
func (r *lineReader) scan(source io.Reader, size int64, f func(line []byte) bool) error {
	if err := r.open(source); err != nil {
		return err
	}
	piece := make([]byte, min(max(16*size, 4<<10), scanBytes))
	for start, seen, end := 0, 0, 0; ; { // of the line, of what was searched for its end, of what was read
		n, err := r.unzip.Read(piece[end:])
		end += n
		for {
			i := bytes.IndexByte(piece[seen:end], '\n')
			if i < 0 {
				seen = end
				break
			}
			if line := piece[start : seen+i : seen+i]; !f(line) {
				return nil
			}
			start = seen + i + 1
			seen = start
		}
		switch {
		case errors.Is(err, io.EOF) && start == end:
			return nil
		case errors.Is(err, io.EOF):
			return errNoEnd
		case err != nil:
			return err
		case end == len(piece):
			rest := piece[start:end]
			piece = make([]byte, max(scanBytes, 2*len(rest)))
			end = copy(piece, rest)
			start, seen = 0, end
		}
	}
}

var errNoEnd = errors.New("the last line has no end")

// The parts of a line that value.AppendLine writes behind the record's own fields.
var (
	partitionMark = []byte(`,"_partition":`)
	bareMark      = []byte(`{"_partition":`)
	offsetMark    = []byte(`,"_offset":`)
	timeMark      = []byte(`,"_timestamp":"`)
	keyMark       = []byte(`,"_key":`)
	headersMark   = []byte(`,"_headers":[`)
	rawMark       = []byte(`{"_raw":`)
)

// quickLine reads a line of the form that nearly all have: own fields, a key that is null or text without escapes, headers likewise. Of
// other lines it returns false, and value.ParseLine reads them. It relies on the object's checksum for what is within the own
// fields, and makes them the record's value where they lie.
func quickLine(line []byte, r *pinflow.Record) bool {
	// In a string the quote would stand behind a backslash, and a field of that name deeper in the value comes before the lake's.
	own := bytes.LastIndex(line, partitionMark)
	if own < 0 && !bytes.HasPrefix(line, bareMark) || bytes.HasPrefix(line, rawMark) {
		return false
	}
	c := cursor{b: line[max(own, 0)+len(partitionMark):], ok: true}
	partition := c.integer()
	c.skip(offsetMark)
	r.Offset = c.integer()
	c.skip(timeMark)
	r.Timestamp = c.time()
	c.skip(keyMark)
	r.Key = c.text()
	r.Headers = nil
	if bytes.HasPrefix(c.b, headersMark) {
		c.skip(headersMark)
		r.Headers = c.headers()
	}
	if !c.ok || len(c.b) != 1 || c.b[0] != '}' || partition > 1<<31-1 {
		return false
	}
	r.Partition = int32(partition)
	if own < 0 {
		r.Value = append(line[:1:1], '}') // {}
		return true
	}
	line[own] = '}'
	r.Value = line[: own+1 : own+1]
	return true
}

// cursor goes through the lake's own part of a line. After something unexpected ok is false.
type cursor struct {
	b  []byte
	ok bool
}

func (c *cursor) skip(mark []byte) {
	if !bytes.HasPrefix(c.b, mark) {
		c.ok, c.b = false, nil
		return
	}
	c.b = c.b[len(mark):]
}

// integer reads one of at most 18 digits without a sign.
func (c *cursor) integer() (n int64) {
	i := 0
	for i < len(c.b) && c.b[i]-'0' <= 9 {
		n = n*10 + int64(c.b[i]-'0')
		i++
	}
	if i == 0 || i > 18 || i > 1 && c.b[0] == '0' {
		c.ok = false
	}
	c.b = c.b[i:]
	return n
}

// time reads 2026-11-22T10:00:00.000Z and the quote behind it.
func (c *cursor) time() int64 {
	const form = `dddd-dd-ddTdd:dd:dd.dddZ"`
	if len(c.b) < len(form) {
		c.ok = false
		return 0
	}
	for i := range len(form) {
		if b := c.b[i]; form[i] == 'd' && b-'0' > 9 || form[i] != 'd' && b != form[i] {
			c.ok = false
			return 0
		}
	}
	two := func(i int) int { return int(c.b[i]-'0')*10 + int(c.b[i+1]-'0') }
	year, month, day, hour, minute, second := two(0)*100+two(2), two(5), two(8), two(11), two(14), two(17)
	ms := int(c.b[20]-'0')*100 + two(21)
	if month < 1 || month > 12 || day < 1 || day > 28 && day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		c.ok = false
		return 0
	}
	c.b = c.b[len(form):]
	return time.Date(year, time.Month(month), day, hour, minute, second, ms*1e6, time.UTC).UnixMilli()
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// text reads null or a string without escapes, where it lies.
func (c *cursor) text() []byte {
	if bytes.HasPrefix(c.b, []byte("null")) {
		c.b = c.b[4:]
		return nil
	}
	if len(c.b) == 0 || c.b[0] != '"' {
		c.ok = false
		return nil
	}
	end := bytes.IndexByte(c.b[1:], '"') + 1
	if end == 0 || bytes.IndexByte(c.b[:end], '\\') >= 0 {
		c.ok = false
		return nil
	}
	text := c.b[1:end:end]
	c.b = c.b[end+1:]
	return text
}

// headers reads them and the bracket behind them.
func (c *cursor) headers() (all []pinflow.Header) {
	for c.ok {
		var h pinflow.Header
		c.skip([]byte(`{"key":`))
		key := c.text()
		c.ok = c.ok && key != nil
		h.Key = string(key)
		c.skip([]byte(`,"value":`))
		h.Value = c.text()
		c.skip([]byte(`}`))
		all = append(all, h)
		if len(c.b) == 0 || c.b[0] != ',' {
			break
		}
		c.b = c.b[1:]
	}
	c.skip([]byte(`]`))
	return all
}
