package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/duckdb/duckdb-go/v2/mapping"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/value"
)

// source is the table function that yields the accepted records of one source in a bench's batch. One
// record may be read several times: for each model, and again where cleaning has failed.
type source struct {
	name     string // of the function
	schema   *value.Schema
	home     homes
	columns  []column
	infos    []duckdb.ColumnInfo
	pool     *sync.Pool
	numbered numbered
	threads  int // that read at once, at most
	from, to int // the numbers of the records to yield, set between statements

	mu    sync.Mutex
	heaps []*textHeap    // of the statement that runs
	wrong map[int]string // why a record is not accepted, by its number
}

// The columns behind those of the schema. SQL of the compiler's own reads the home; the last is for those who join periods to
// clean rows.
const (
	atPartition = iota
	atOffset
	atTimestamp
	atKey
	atHeaders
	atHome
	atPeriod
	ownColumns
)

func newSource(name string, p *pinflow.PlannedSource, schema *value.Schema, pool *sync.Pool) (*source, error) {
	s := &source{name: name, schema: schema, home: homesOf(p, schema), pool: pool, wrong: map[int]string{}}
	all := append(schema.Columns(), pinflow.Column{Name: "_partition", Type: "INTEGER"}, pinflow.Column{Name: "_offset", Type: "BIGINT"},
		pinflow.Column{Name: "_timestamp", Type: "TIMESTAMPTZ"}, pinflow.Column{Name: "_key", Type: "VARCHAR"},
		pinflow.Column{Name: "_headers", Type: "JSON"}, pinflow.Column{Name: "_home", Type: "INTEGER"}, pinflow.Column{Name: "_period", Type: "BIGINT"})
	for i, c := range all {
		k, info, err := columnOf(c.Type)
		if err != nil {
			return nil, &pinflow.Error{Op: "start live engine", On: p.Name + "." + c.Name, Kind: pinflow.Invalid, Err: err}
		}
		col := column{kind: k, own: -1}
		if own := i - (len(all) - ownColumns); own >= 0 {
			col.own = own
		}
		s.columns = append(s.columns, col)
		s.infos = append(s.infos, duckdb.ColumnInfo{Name: c.Name, T: info})
	}
	return s, nil
}

// register makes the function, and the view by which SQL knows it: JSON is read here by DuckDB's own
// function, so that it is written as read_json writes it.
func (s *source) register(ctx context.Context, conn *sql.Conn, p *pinflow.PlannedSource) error {
	f := duckdb.ParallelChunkTableFunction{BindArguments: func(map[string]any, ...any) (duckdb.ParallelChunkTableSource, error) {
		return &scan{source: s}, nil
	}}
	if err := duckdb.RegisterTableUDF(conn, s.name, f); err != nil {
		return err
	}
	var list []string
	for i, info := range s.infos[:len(s.infos)-1] {
		text := duck.Quote(info.Name)
		if s.columns[i].kind == asJSON {
			text = "json(" + text + ") AS " + text
		}
		list = append(list, text)
	}
	_, err := conn.ExecContext(ctx, fmt.Sprintf("CREATE OR REPLACE TEMP VIEW %s AS SELECT %s FROM %s()", duck.Quote(p.Name), strings.Join(list, ", "), s.name))
	return err
}

// load takes the records of a batch.
func (s *source) load(n numbered) {
	s.numbered = n
	s.from, s.to = 0, n.n
}

// settle frees what the last statement needed.
func (s *source) settle() {
	for _, h := range s.heaps {
		h.reset()
	}
	s.heaps = s.heaps[:0]
}

// unload forgets the batch.
func (s *source) unload() {
	s.settle()
	s.numbered = numbered{}
	s.from, s.to = 0, 0
	clear(s.wrong)
}

func (s *source) reject(number int, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong[number] = reason
}

// scan is one use of the function in one statement.
type scan struct {
	*source
	next atomic.Int64 // the next record, counted from source.from
}

func (s *scan) ColumnInfos() []duckdb.ColumnInfo { return s.infos }

func (s *scan) Cardinality() *duckdb.CardinalityInfo {
	return &duckdb.CardinalityInfo{Cardinality: uint(max(s.to-s.from, 0))}
}

func (s *scan) Init() duckdb.ParallelTableSourceInfo {
	s.next.Store(int64(s.from))
	return duckdb.ParallelTableSourceInfo{MaxThreads: min((s.to-s.from)/vectorSize+1, s.threads)}
}

func (s *scan) NewLocalState() any {
	h := &textHeap{pool: s.pool}
	s.mu.Lock()
	s.heaps = append(s.heaps, h)
	s.mu.Unlock()
	return &filler{source: s.source, heap: h, cells: make([]value.Cell, len(s.columns)-ownColumns), all: make([]writer, len(s.columns))}
}

// FillChunk fills the chunk with the next records, as many as it takes.
func (s *scan) FillChunk(local any, chunk duckdb.DataChunk) error {
	f := local.(*filler)
	raw, err := rawChunkOf(chunk, len(s.columns))
	if err != nil {
		return err
	}
	f.bind(&raw)
	for {
		from := int(s.next.Add(vectorSize)) - vectorSize
		if from >= s.to {
			return chunk.SetSize(0)
		}
		if n := f.fill(from, min(from+vectorSize, s.to)); n > 0 {
			return chunk.SetSize(n)
		}
	}
}

// vectorSize is how many rows a vector of DuckDB has.
const vectorSize = 2048

// filler writes records to vectors, on one thread.
type filler struct {
	*source
	heap   *textHeap
	cells  []value.Cell
	all    []writer  // by column
	wanted []*writer // those asked for
	check  bool
}

// bind finds the vectors of the columns that are asked for.
func (f *filler) bind(raw *rawChunk) {
	f.wanted = f.wanted[:0]
	f.check = true
	for i := range f.columns {
		if p := raw.projection[i]; p < 0 {
			continue
		}
		w := &f.all[i]
		w.column, w.index, w.items, w.nulls = f.columns[i], i, w.items[:0], w.nulls[:0]
		w.vector, w.data, w.validity = raw.vector(i)
		f.wanted = append(f.wanted, w)
		f.check = f.check && w.own != atPeriod
	}
}

// fill writes the records numbered from to to, and returns how many rows they make.
func (f *filler) fill(from, to int) (rows int) {
	slice, index := f.numbered.at(from)
	for number := from; number < to; number++ {
		for index == len(slice.Records) {
			slice, index = f.numbered.at(number)
		}
		r := &slice.Records[index]
		if f.check {
			if faults := f.schema.CheckCells(r.Value, f.cells); faults != nil {
				f.reject(number, reasonOf(faults))
				index++
				continue
			}
		}
		for _, w := range f.wanted {
			if w.own >= 0 {
				f.putOwn(w, rows, r, slice.Periods[index])
			} else {
				f.put(w, rows, r.Value, &f.cells[w.index])
			}
		}
		rows++
		index++
	}
	for _, w := range f.wanted {
		w.flush()
	}
	return rows
}

func (f *filler) putOwn(w *writer, row int, r *pinflow.Record, period pinflow.Period) {
	switch w.own {
	case atPartition:
		*(*int32)(unsafe.Add(w.data, row*4)) = r.Partition
	case atOffset:
		*(*int64)(unsafe.Add(w.data, row*8)) = r.Offset
	case atTimestamp:
		*(*int64)(unsafe.Add(w.data, row*8)) = value.Time(r.Timestamp) * 1000
	case atPeriod:
		*(*int64)(unsafe.Add(w.data, row*8)) = int64(period)
	case atHome:
		home, ok := f.home.of(f.schema, r.Value)
		if !ok {
			setNull(w.validity, row)
			return
		}
		*(*int32)(unsafe.Add(w.data, row*4)) = home
	case atKey:
		if r.Key == nil {
			setNull(w.validity, row)
			return
		}
		f.putText(w.data, row, value.AppendKey(f.heap.room(4*len(r.Key)/3+20), r.Key))
	case atHeaders:
		if len(r.Headers) == 0 {
			setNull(w.validity, row)
			return
		}
		f.putText(w.data, row, value.AppendHeaders(f.heap.room(headersSize(r.Headers)), r.Headers))
	}
}

// headersSize is at least what AppendHeaders appends.
func headersSize(headers []pinflow.Header) int {
	n := 2
	for _, h := range headers {
		n += 60 + 6*(len(h.Key)+len(h.Value))
	}
	return n
}

// put writes the value of a cell.
func (f *filler) put(w *writer, row int, v []byte, c *value.Cell) {
	if w.kind.list {
		f.putList(w, row, v, c)
		return
	}
	if c.IsNull() {
		setNull(w.validity, row)
		return
	}
	f.putScalar(w.kind.scalar, w.data, row, v, c)
}

func (f *filler) putScalar(k scalar, data unsafe.Pointer, row int, v []byte, c *value.Cell) {
	switch k {
	case varchar:
		f.putText(data, row, c.AppendText(f.heap.room(c.Len()), v))
	case json:
		f.putText(data, row, append(f.heap.room(c.Len()), c.JSON(v)...))
	case bigint:
		*(*int64)(unsafe.Add(data, row*8)) = c.Int(v)
	case double:
		*(*float64)(unsafe.Add(data, row*8)) = c.Float(v)
	case boolean:
		*(*bool)(unsafe.Add(data, row)) = c.Bool()
	}
}

func (f *filler) putText(data unsafe.Pointer, row int, text []byte) {
	putText(unsafe.Add(data, row*textSize), text)
	if len(text) > maxInline {
		f.heap.keep(text)
	}
}

// putList collects the items of a list; flush writes them.
func (f *filler) putList(w *writer, row int, v []byte, c *value.Cell) {
	entry := mapping.NewListEntry(uint64(len(w.nulls)), 0)
	at := (*mapping.ListEntry)(unsafe.Add(w.data, row*int(unsafe.Sizeof(entry))))
	if c.IsNull() {
		setNull(w.validity, row)
		*at = entry
		return
	}
	size := w.kind.scalar.size()
	first := len(w.nulls)
	for item := range c.Items(v) {
		n := len(w.nulls)
		w.nulls = append(w.nulls, item.IsNull())
		w.items = append(w.items, make([]byte, size)...)
		if !item.IsNull() {
			f.putScalar(w.kind.scalar, unsafe.Pointer(&w.items[n*size]), 0, v, &item)
		}
	}
	*at = mapping.NewListEntry(uint64(first), uint64(len(w.nulls)-first))
}
