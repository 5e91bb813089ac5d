package emulate

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
)

// Row is something to post.
type Row struct {
	JSON  []byte        // on one line; not checked, so that what is wrong can be posted too
	Pause time.Duration // how long after the row before it it is due
}

// Rows are rows in the order in which they are posted. They are for one goroutine.
type Rows interface {
	Next() (Row, error) // io.EOF after the last
	Close() error
}

// maxLine is how long a line of a file may be.
const maxLine = 64 << 20

// OpenRows opens the rows of a file, in its order and without pauses: NDJSON, or CSV if it ends in .csv or does
// not begin with a JSON object. A byte order mark is skipped, and so are empty lines.
//
// A line of NDJSON is posted as it stands, even if it is no JSON. A row of CSV becomes an object with the header's
// names, and its cells what columns say of these: a string for VARCHAR, a number for BIGINT and DOUBLE, true or false for BOOLEAN,
// the cell's own text for JSON and lists. A cell that its column's type can't hold is posted as a string, so that the
// source says what is wrong with it. For a column that columns does not name, the whole file is
// looked at first: it holds numbers if every cell is a number as JSON writes it (007 and +1 are strings), booleans if every cell is
// true or false, else strings. Empty cells are the empty string in a column of strings, and left out in any other.
func OpenRows(path string, columns []pinflow.Column) (Rows, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	r := newFileReader(f)
	isCSV, err := looksLikeCSV(path, r)
	if err == nil && !isCSV {
		return &lines{path: path, file: f, in: r}, nil
	}
	_ = f.Close()
	if err != nil {
		return nil, fileError(path, err)
	}
	return openCSV(path, columns)
}

func fileError(path string, err error) error {
	return &pinflow.Error{Op: "read rows from", On: path, Kind: kindOfFile(err), Err: err, Hint: "Give a file of NDJSON (one object per line) or of CSV with a header."}
}

func kindOfFile(err error) pinflow.Kind {
	if errors.Is(err, os.ErrNotExist) {
		return pinflow.NotFound
	}
	return pinflow.Invalid
}

// newFileReader reads f from its start, without a byte order mark.
func newFileReader(f io.Reader) *bufio.Reader {
	r := bufio.NewReaderSize(f, 64<<10)
	if mark, _ := r.Peek(3); bytes.Equal(mark, []byte("\ufeff")) {
		_, _ = r.Discard(3)
	}
	return r
}

func looksLikeCSV(path string, r *bufio.Reader) (bool, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv":
		return true, nil
	case ".ndjson", ".jsonl", ".json":
		return false, nil
	}
	head, err := r.Peek(4 << 10)
	if err != nil && err != io.EOF {
		return false, err
	}
	head = bytes.TrimSpace(head)
	return len(head) > 0 && head[0] != '{', nil
}

// lines are the rows of a file of NDJSON.
type lines struct {
	path string
	file io.Closer
	in   *bufio.Reader
	line int
}

func (l *lines) Next() (Row, error) {
	for {
		line, err := readLine(l.in)
		l.line++
		if line = bytes.TrimSpace(line); len(line) > 0 && (err == nil || err == io.EOF) {
			return Row{JSON: line}, nil
		}
		if err == io.EOF {
			return Row{}, io.EOF
		}
		if err != nil {
			return Row{}, fileError(fmt.Sprintf("%s:%d", l.path, l.line), err)
		}
	}
}

func (l *lines) Close() error { return l.file.Close() }

// readLine returns the next line, which is the caller's, and io.EOF with the last.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			return nil, fmt.Errorf("the line is longer than %d bytes", maxLine)
		}
		line = append(line, part...)
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}
