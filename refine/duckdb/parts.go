package duckdb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
)

// Parts reads the files that a BatchEngine wrote.
type Parts struct {
	Instance *duck.Instance // that can reach the files
}

// Rows returns the rows of parts, which are of a table, in the table's columns. A store on the same instance reads the files itself.
// The files must be there as long as the relation is used.
func (p Parts) Rows(parts []pinflow.Part, t *pinflow.Table) pinflow.Relation {
	return duck.Parquet(p.Instance, filesOf(parts), columnsOf(t))
}

// columnsOf are all columns of a table.
func columnsOf(t *pinflow.Table) []pinflow.Column {
	var columns []pinflow.Column
	switch t.Kind {
	case pinflow.Partials:
		columns = []pinflow.Column{{Name: "_period", Type: "BIGINT"}, {Name: "_shard", Type: "INTEGER"}}
	case pinflow.Rows, pinflow.Entities:
		columns = []pinflow.Column{{Name: "_period", Type: "BIGINT"}, {Name: "_topic", Type: "VARCHAR"}}
	}
	columns = append(columns, t.Keys...)
	for _, m := range t.Measures {
		columns = append(columns, m.Column)
	}
	return columns
}

func filesOf(parts []pinflow.Part) []string {
	files := make([]string, len(parts))
	for i, p := range parts {
		files[i] = p.File
	}
	return files
}

func rowsOf(parts []pinflow.Part) (n int64) {
	for _, p := range parts {
		n += p.Rows
	}
	return n
}

// partFile names the n-th file of a folder.
func partFile(dir string, n int, p pinflow.Part) string {
	return filepath.Join(dir, fmt.Sprintf("%05d-%s-%s.parquet", n, p.Kind, p.Of))
}

// writePart writes the rows of a query as the n-th file of a folder. Without rows there is no file.
func writePart(ctx context.Context, on duck.Execer, dir string, n int, part pinflow.Part, query string, columns []pinflow.Column) (pinflow.Part, error) {
	part.File = partFile(dir, n, part)
	var err error
	if part.Rows, err = duck.WriteParquet(ctx, on, query, columns, part.File); err != nil {
		return part, err
	}
	if part.Rows == 0 {
		return part, os.Remove(part.File)
	}
	part.Size, part.SHA256, err = digest(part.File)
	return part, err
}

// digest returns a file's size and its SHA-256 in hex.
func digest(file string) (int64, string, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	return n, hex.EncodeToString(sum.Sum(nil)), err
}
