package duck

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/pinflow/pinflow"
)

// Parquet returns the rows of files that WriteParquet wrote with these columns, as one table. No files make an empty one. The
// files are opened when it is read.
func Parquet(i *Instance, files []string, columns []pinflow.Column) *Table {
	list := make([]string, len(columns))
	for k, c := range columns {
		text := Quote(c.Name)
		if len(files) == 0 {
			text = "NULL"
		}
		list[k] = "CAST(" + text + " AS " + c.Type + ") AS " + Quote(c.Name)
	}
	from := " WHERE false"
	if len(files) > 0 {
		// The lake's folders look like columns, which these files have already or do not want.
		from = " FROM read_parquet(" + literals(files) + ", hive_partitioning = false, union_by_name = false)"
	}
	return &Table{Instance: i, Name: "(SELECT " + strings.Join(list, ", ") + from + ")", Columns: columns}
}

// Execer is what runs a statement: a connection, a transaction or a whole pool.
type Execer interface {
	ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error)
}

// RowGroup is how many rows of a Parquet file lie together: what is read, or left out, at a time.
const RowGroup = 100_000

// WriteParquet writes the rows of a query, which yields the columns, to a new file that Parquet reads back, and returns how many
// they are. On an error no file is left; a full or failing disk is an Unavailable error.
func WriteParquet(ctx context.Context, on Execer, query string, columns []pinflow.Column, file string) (rows int64, err error) {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = Quote(c.Name)
		if t := ParquetType(c.Type); t != c.Type {
			list[i] = "CAST(" + list[i] + " AS " + t + ") AS " + list[i]
		}
	}
	done, err := on.ExecContext(ctx, fmt.Sprintf("COPY (SELECT %s FROM (%s\n)) TO %s (FORMAT parquet, COMPRESSION %s, ROW_GROUP_SIZE %d%s)",
		strings.Join(list, ", "), query, Literal(file), compression, RowGroup, dictionaries(columns)))
	if err == nil {
		rows, err = done.RowsAffected()
	}
	if err != nil {
		_ = os.Remove(file) // what was begun of it, if anything
		return 0, writeError(ctx, file, err)
	}
	return rows, nil
}

// dictionaries is the option that goes without them where there are floating-point numbers: DuckDB makes one of the two zeros in them.
func dictionaries(columns []pinflow.Column) string {
	for _, c := range columns {
		if strings.Contains(c.Type, "DOUBLE") || strings.Contains(c.Type, "FLOAT") {
			return ", DICTIONARY_SIZE_LIMIT 0"
		}
	}
	return ""
}

// compression of Parquet files.
const compression = "zstd, COMPRESSION_LEVEL 1"

func writeError(ctx context.Context, file string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return Failure("write Parquet", file, err)
}

// Failure is a failed statement as an error that tells what to do about it, if it is the disk or the memory that failed.
func Failure(op, on string, err error) error {
	out := &pinflow.Error{Op: op, On: on, Kind: pinflow.KindOf(err), Err: err}
	var e *duckdb.Error
	if errors.As(err, &e) {
		switch e.Type {
		case duckdb.ErrorTypeIO:
			out.Kind, out.Hint = pinflow.Unavailable, "Free space on the disk, or see what is wrong with it; then try again."
		case duckdb.ErrorTypeOutOfMemory:
			out.Kind, out.Hint = pinflow.Unavailable, "Give DuckDB more memory, or its folder more space to spill to."
		case duckdb.ErrorTypePermission:
			out.Kind, out.Hint = pinflow.Invalid, "The files must lie in a folder that DuckDB was opened with."
		}
	}
	return out
}
