package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// chunk is how many bytes of rows are gathered before they are sent.
const chunk = 64 << 10

// copyHeader begins a binary COPY: signature, flags, nothing more.
const copyHeader = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// errEnough is how a reader that goes before the end stops a Scan.
var errEnough = errors.New("the rows are not wanted any more")

// copyInto copies rows into a table with these columns and returns how many there were. each, if not nil, sees the first
// value of each row, a BIGINT.
func (s *Store) copyInto(ctx context.Context, conn *pgx.Conn, table string, columns []pinflow.Column, rows pinflow.Relation, each func(int64)) (int64, error) {
	encode, err := encoders(columns)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out, in := io.Pipe()
	scanned := make(chan error, 1)
	go func() {
		w := &copyWriter{to: in, encode: encode, buf: append(make([]byte, 0, chunk+chunk/4), copyHeader...)}
		err := w.all(ctx, rows, columns, each)
		_ = in.CloseWithError(err) // nil for the end
		scanned <- err
	}()
	limit := 2 * s.o.silence
	quiet := time.AfterFunc(limit, func() { cancel(errSilent) })
	defer quiet.Stop()
	tag, err := conn.PgConn().CopyFrom(ctx, &moving{out, quiet, limit}, "COPY "+table+" FROM STDIN (FORMAT binary)")
	_ = out.CloseWithError(errEnough)
	scan := <-scanned
	if scan != nil && !errors.Is(scan, errEnough) && ctx.Err() == nil {
		return 0, scan
	}
	return tag.RowsAffected(), silent(ctx, err)
}

// copyWriter encodes rows.
type copyWriter struct {
	to     io.Writer
	encode []encoder
	buf    []byte
}

// all writes all rows, and the end.
func (w *copyWriter) all(ctx context.Context, rows pinflow.Relation, columns []pinflow.Column, each func(int64)) error {
	if t, ok := rows.(*duck.Table); ok {
		if done, err := w.chunks(ctx, t, columns, each); err != nil {
			return err
		} else if done {
			return w.end()
		}
	}
	err := rows.Scan(ctx, func(row []any) error {
		if err := w.write(row); err != nil || each == nil {
			return err
		}
		first, _ := row[0].(int64) // it was written as one
		each(first)
		return nil
	})
	if err != nil {
		return err
	}
	return w.end()
}

func (w *copyWriter) write(row []any) error {
	if len(row) != len(w.encode) {
		return fmt.Errorf("a row has %d values, the table %d columns", len(row), len(w.encode))
	}
	w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(len(row)))
	var err error
	for i, v := range row {
		if w.buf, err = appendValue(w.buf, w.encode[i], v); err != nil {
			return fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	if len(w.buf) < chunk {
		return nil
	}
	return w.flush()
}

func (w *copyWriter) flush() error {
	_, err := w.to.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

func (w *copyWriter) end() error {
	w.buf = append(w.buf, 0xff, 0xff)
	return w.flush()
}

// tempName is the qualified name of a temporary table.
func tempName(name string) string { return "pg_temp." + quote(name) }

// list joins names for SQL.
func list(names []string) string { return strings.Join(names, ", ") }
