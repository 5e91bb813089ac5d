package duckdb

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// stream is the rows of a step that all models of a cleaning accept, cleaned straight into a file. What some model rejects lies in the
// cleaning's table.
type stream struct {
	*period
	bench    *bench
	cleaning *cleaning
	part     pinflow.Part // not yet one of the period's
	rest     bool         // the table has rows
	good     bool         // no record has made the SQL fail
}

// write cleans the step.
func (s *stream) write(ctx context.Context) error {
	c := s.cleaning
	columns := rowColumns(c.columns)
	file := filepath.Join(s.in.Dir, strconv.Itoa(s.number())+".step")
	rows, err := duck.WriteParquet(ctx, s.bench.conn, s.cleanSQL(c.columns, s.accepted("m.")), columns, file)
	c.source.settle()
	if err != nil {
		return err
	}
	s.part = pinflow.Part{Kind: pinflow.CleanPart, File: file, Rows: rows}
	if rows > 0 {
		if s.part.Size, s.part.SHA256, err = digest(file); err != nil {
			return err
		}
	}
	if rows+int64(len(c.source.wrong)) < int64(c.source.numbered.n) {
		c.used, s.rest = true, true
		err := s.bench.exec(ctx, "INSERT INTO "+c.table+" "+s.cleanSQL(c.tableColumns()[2:], "NOT ("+s.accepted("m.")+")"))
		c.source.settle()
		if err != nil {
			return err
		}
	}
	c.done, s.good = true, true
	return nil
}

// cleanSQL is the rows of the step's records for which a condition holds, with some of their columns.
func (s *stream) cleanSQL(columns []pinflow.Column, condition string) string {
	source := s.cleaning.source
	source.from, source.to = 0, source.numbered.n
	return fmt.Sprintf("SELECT CAST(%d AS BIGINT) AS _period, %s AS _topic, %s FROM (%s) m WHERE %s",
		s.in.Period, duck.Literal(source.numbered.slices[0].Topic), prefixed("m", columns), s.cleaning.sql, condition)
}

// accepted is the condition that no model rejects.
func (s *stream) accepted(prefix string) string {
	list := make([]string, len(s.cleaning.rejects))
	for i, name := range s.cleaning.rejects {
		list[i] = prefix + name + " IS NULL"
	}
	return strings.Join(list, " AND ")
}

// model takes the rows as those of one of the models. Before an error that a record can cause, nothing has been taken.
func (s *stream) model(ctx context.Context, m *model, found *rejects) error {
	b, columns := s.bench, m.rowColumns()
	var files []string
	if s.part.Rows > 0 {
		files = []string{s.part.File}
	}
	rows := "SELECT " + list(columns) + " FROM " + duck.Parquet(s.Instance, files, columns).Name
	if s.rest {
		rows += " UNION ALL SELECT " + list(columns) + " FROM " + m.table + " WHERE _reject IS NULL"
	}
	if err := b.exec(ctx, "CREATE OR REPLACE TEMP VIEW "+duck.Quote(m.Name)+" AS "+rows); err != nil {
		return b.failure(ctx, m, err)
	}
	for i := range m.partials {
		if err := m.partials[i].add(ctx, b.conn); err != nil {
			if !ofRecord(err) {
				err = b.failure(ctx, m, err)
			}
			return err
		}
	}
	if err := b.findRejects(ctx, m, found); err != nil {
		return b.failure(ctx, m, err)
	}
	if err := s.countAccepted(ctx, b, m, "("+rows+")"); err != nil {
		return err
	}
	if s.part.Rows > 0 {
		if err := s.link(s.part, m.Name); err != nil {
			return err
		}
	}
	if s.rest {
		if _, err := s.period.write(ctx, b.conn, pinflow.CleanPart, m.Name, "SELECT * FROM "+m.table+" WHERE _reject IS NULL", columns); err != nil {
			return err
		}
	}
	return s.keepPartials(ctx, m)
}

// forget removes the file under the name that is no part's.
func (s *stream) forget() {
	if s.part.File != "" {
		_ = os.Remove(s.part.File) // the parts have names of their own for it
	}
}
