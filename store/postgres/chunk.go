package postgres

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strings"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// A table of DuckDB's is read chunk by chunk, straight from DuckDB's memory into a COPY: made into Go values first, a row takes three times as long. That
// is most of what a commit costs on this side.

// vector is a column of a chunk.
type vector struct {
	data  unsafe.Pointer
	valid unsafe.Pointer // bits, nil if there is no NULL
	child *vector        // of a list
}

func (v *vector) isNull(row int) bool {
	if v.valid == nil {
		return false
	}
	word := *(*uint64)(unsafe.Add(v.valid, row/64*8))
	return word>>(row%64)&1 == 0
}

func at[T any](v *vector, row int) T {
	var zero T
	return *(*T)(unsafe.Add(v.data, row*int(unsafe.Sizeof(zero))))
}

// bytesAt are a text's or a blob's bytes, in DuckDB's memory: up to 12 of them in the vector itself, more behind a pointer.
func bytesAt(v *vector, row int) []byte {
	at := unsafe.Add(v.data, row*16)
	n := int(*(*uint32)(at))
	if n <= 12 {
		return unsafe.Slice((*byte)(unsafe.Add(at, 4)), n)
	}
	return unsafe.Slice(*(**byte)(unsafe.Add(at, 8)), n)
}

// vectorEncoder appends a value that is not NULL, without its length.
type vectorEncoder func(to []byte, v *vector, row int) []byte

// vectorEncoderOf is encoderOf for values in DuckDB's memory.
func vectorEncoderOf(columnType string) (vectorEncoder, error) {
	t := stagedType(columnType)
	if element, ok := strings.CutSuffix(t, "[]"); ok {
		return listVectorEncoder(element)
	}
	switch t {
	case "BOOLEAN":
		return func(to []byte, v *vector, row int) []byte { return append(to, at[byte](v, row)) }, nil
	case "INTEGER":
		return func(to []byte, v *vector, row int) []byte {
			return binary.BigEndian.AppendUint32(to, at[uint32](v, row))
		}, nil
	case "BIGINT", "DOUBLE":
		return func(to []byte, v *vector, row int) []byte {
			return binary.BigEndian.AppendUint64(to, at[uint64](v, row))
		}, nil
	case "VARCHAR":
		return appendText, nil
	case "BLOB":
		return func(to []byte, v *vector, row int) []byte { return append(to, bytesAt(v, row)...) }, nil
	case "TIMESTAMP", "TIMESTAMPTZ":
		return func(to []byte, v *vector, row int) []byte {
			return binary.BigEndian.AppendUint64(to, uint64(storedMicros(at[int64](v, row))))
		}, nil
	case "DATE":
		return func(to []byte, v *vector, row int) []byte {
			return binary.BigEndian.AppendUint32(to, uint32(storedDays(at[int32](v, row))))
		}, nil
	case "HUGEINT":
		return func(to []byte, v *vector, row int) []byte { return appendHuge(to, at[huge](v, row), 0) }, nil
	}
	var width, scale int
	if n, err := fmt.Sscanf(t, "DECIMAL(%d,%d)", &width, &scale); n != 2 || err != nil {
		return nil, fmt.Errorf("a %s is not read by chunks", columnType)
	}
	return decimalVectorEncoder(width, scale), nil
}

func appendText(to []byte, v *vector, row int) []byte {
	text := bytesAt(v, row)
	if bytes.IndexByte(text, 0) >= 0 || bytes.IndexByte(text, escape) >= 0 {
		return append(to, storedText(string(text))...)
	}
	return append(to, text...) // DuckDB's text is UTF-8
}

// storedMicros is storedTime for microseconds from 1970.
func storedMicros(micros int64) int64 {
	switch {
	case micros == math.MaxInt64: // none is beyond PostgreSQL's
		return math.MaxInt64
	case micros == -math.MaxInt64 || micros < leastMicros+epoch*1e6:
		return math.MinInt64
	}
	return micros - epoch*1e6
}

// storedDays is storedDate for days from 1970.
func storedDays(days int32) int32 {
	switch d := int64(days) - epoch/86400; {
	case d > mostDays:
		return math.MaxInt32
	case d < leastDays:
		return math.MinInt32
	default:
		return int32(d)
	}
}

// huge is a number of 128 bits in DuckDB's memory.
type huge struct {
	low  uint64
	high int64
}

// appendHuge appends a number in units of 10^-scale.
func appendHuge(to []byte, n huge, scale int) []byte {
	if n.high == 0 && n.low <= math.MaxInt64 || n.high == -1 && n.low > math.MaxInt64 {
		return appendScaled(to, int64(n.low), scale)
	}
	b := new(big.Int).Lsh(big.NewInt(n.high), 64)
	b.Add(b, new(big.Int).SetUint64(n.low))
	to, _ = appendDecimal(to, decimalText(b, scale)) // it is a number
	return to
}

func appendScaled(to []byte, n int64, scale int) []byte {
	if scale == 0 {
		return appendInt(to, n)
	}
	to, _ = appendDecimal(to, decimalText(n, scale)) // it is a number
	return to
}

// decimalVectorEncoder takes numbers of as many bytes as their digits need.
func decimalVectorEncoder(width, scale int) vectorEncoder {
	switch {
	case width <= 4:
		return func(to []byte, v *vector, row int) []byte { return appendScaled(to, int64(at[int16](v, row)), scale) }
	case width <= 9:
		return func(to []byte, v *vector, row int) []byte { return appendScaled(to, int64(at[int32](v, row)), scale) }
	case width <= 18:
		return func(to []byte, v *vector, row int) []byte { return appendScaled(to, at[int64](v, row), scale) }
	}
	return func(to []byte, v *vector, row int) []byte { return appendHuge(to, at[huge](v, row), scale) }
}

func listVectorEncoder(element string) (vectorEncoder, error) {
	encode, err := vectorEncoderOf(element)
	if err != nil {
		return nil, err
	}
	oid, err := oidOf(element)
	type entry struct{ offset, length uint64 }
	return func(to []byte, v *vector, row int) []byte {
		e := at[entry](v, row)
		first, n := int(e.offset), int(e.length)
		nulls := uint32(0)
		for i := range n {
			if v.child.isNull(first + i) {
				nulls = 1
			}
		}
		to = appendListHead(to, n, nulls, oid)
		for i := range n {
			to = appendFrom(to, encode, v.child, first+i)
		}
		return to
	}, err
}

// appendFrom appends a value with its length before it, -1 for NULL.
func appendFrom(to []byte, encode vectorEncoder, v *vector, row int) []byte {
	start := len(to)
	to = append(to, 0xff, 0xff, 0xff, 0xff)
	if v.isNull(row) {
		return to
	}
	to = encode(to, v, row)
	binary.BigEndian.PutUint32(to[start:], uint32(len(to)-start-4))
	return to
}

// chunks writes the rows of a table of DuckDB's for columns; ok is false, and nothing is written, if they cannot be read by chunks. each, if not nil, sees the first
// column of each row, a BIGINT.
func (w *copyWriter) chunks(ctx context.Context, t *duck.Table, columns []pinflow.Column, each func(int64)) (ok bool, err error) {
	if len(t.Columns) != len(columns) {
		return true, fmt.Errorf("a row has %d values, the table %d columns", len(t.Columns), len(columns))
	}
	encode, list := make([]vectorEncoder, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		if encode[i], err = vectorEncoderOf(c.Type); err != nil {
			return false, nil
		}
		list[i] = "CAST(" + quote(t.Columns[i].Name) + " AS " + stagedType(c.Type) + ")"
	}
	conn, err := t.Instance.DB.Conn(ctx)
	if err != nil {
		return true, err
	}
	defer conn.Close()
	err = conn.Raw(func(c any) error {
		var raw mapping.Connection
		if raw, ok = connectionOf(c); !ok {
			return nil
		}
		return eachChunk(ctx, raw, "SELECT "+strings.Join(list, ", ")+" FROM "+t.Name, func(vectors []vector, rows int) error {
			return w.chunk(encode, vectors, rows, each)
		})
	})
	return ok, err
}

func (w *copyWriter) chunk(encode []vectorEncoder, vectors []vector, rows int, each func(int64)) error {
	for row := range rows {
		w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(len(encode)))
		for i := range encode {
			w.buf = appendFrom(w.buf, encode[i], &vectors[i], row)
		}
		if each != nil {
			each(at[int64](&vectors[0], row))
		}
		if len(w.buf) >= chunk {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// connectionOf is the C API's handle of a driver's connection, for which the driver has no method; ok is false should it not be where it is expected.
func connectionOf(c any) (conn mapping.Connection, ok bool) {
	if _, ok := c.(driver.Conn); !ok {
		return conn, false
	}
	v := reflect.ValueOf(c)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return conn, false
	}
	field := v.Elem().FieldByName("conn")
	if !field.IsValid() || field.Type() != reflect.TypeFor[mapping.Connection]() {
		return conn, false
	}
	conn.Ptr = field.FieldByName("Ptr").UnsafePointer()
	return conn, conn.Ptr != nil
}

// eachChunk calls f with each chunk of an answer. f must not keep what it is given.
func eachChunk(ctx context.Context, conn mapping.Connection, query string, f func(vectors []vector, rows int) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { mapping.Interrupt(conn) })
	defer stop()
	var result mapping.Result
	defer mapping.DestroyResult(&result)
	if mapping.Query(conn, query, &result) == mapping.StateError {
		if err := ctx.Err(); err != nil {
			return err
		}
		return errors.New(mapping.ResultError(&result))
	}
	for {
		c := mapping.FetchChunk(result)
		if c.Ptr == nil {
			return ctx.Err()
		}
		err := useChunk(c, f)
		mapping.DestroyDataChunk(&c)
		if err != nil {
			return err
		}
	}
}

func useChunk(c mapping.DataChunk, f func(vectors []vector, rows int) error) error {
	vectors := make([]vector, mapping.DataChunkGetColumnCount(c))
	for i := range vectors {
		vectors[i] = vectorOf(mapping.DataChunkGetVector(c, mapping.IdxT(i)))
	}
	return f(vectors, int(mapping.DataChunkGetSize(c)))
}

func vectorOf(from mapping.Vector) vector {
	v := vector{data: mapping.VectorGetData(from), valid: mapping.VectorGetValidity(from)}
	logical := mapping.VectorGetColumnType(from)
	defer mapping.DestroyLogicalType(&logical)
	if mapping.GetTypeId(logical) == mapping.TypeList {
		child := vectorOf(mapping.ListVectorGetChild(from))
		v.child = &child
	}
	return v
}
