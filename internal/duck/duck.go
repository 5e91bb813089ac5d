// Package duck opens DuckDB for the stages that run on it. One Instance is one database file (or none) and
// whatever scratch databases its users attach in memory, so that a live engine and a store
// that share an Instance hand tables to one another without copying them through Go.
package duck

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/pinflow/pinflow"
)

// Options are how an Instance is opened.
type Options struct {
	Path    string // the database file, made if missing; "" keeps everything in memory
	Memory  int64  // bytes that DuckDB may use before it spills; 0 for 256 MiB
	Threads int    // 0 for one per core
	// Dir is a folder whose files SQL can read and write, and where DuckDB spills what
	// does not fit into Memory. It is made if missing. "" allows no files at all and no spilling.
	Dir string
	// Readable are more folders whose files SQL can reach; they need not exist yet. DuckDB does not tell reading from writing.
	Readable []string
}

// Instance is one DuckDB in this process. It is safe for concurrent use.
type Instance struct {
	// DB opens connections that begin in an empty database in memory. Every one speaks UTC; none can reach files outside
	// Options.Dir and Options.Readable, the network, extensions or settings.
	DB *sql.DB
	// File opens connections that begin in the file. It is not for work in scratch databases: a connection that
	// begins in the file takes part in its transactions whatever it does, and keeps it from being checkpointed.
	File    *sql.DB
	dir     string
	memory  int64
	scratch atomic.Int64
}

// Open opens or creates the database. A file that another process holds is an Exists error, one of a newer
// or foreign format an Invalid one.
func Open(ctx context.Context, o Options) (*Instance, error) {
	if o.Memory <= 0 {
		o.Memory = 256 << 20
	}
	dir, err := makeDir(o.Dir)
	if err != nil {
		return nil, err
	}
	allowed, err := absolute(dir, o.Readable)
	if err != nil {
		return nil, err
	}
	connector, err := duckdb.NewConnector("", nil)
	if err != nil {
		return nil, openError(o.Path, err)
	}
	i := &Instance{DB: sql.OpenDB(connector), dir: dir, memory: o.Memory}
	for _, set := range settings(o, dir, allowed) {
		if _, err := i.DB.ExecContext(ctx, set); err != nil {
			return nil, openError(o.Path, fmt.Errorf("%s: %w", set, firstOf(err, i.DB.Close())))
		}
	}
	i.File = i.DB
	if o.Path != "" {
		i.File = sql.OpenDB(inFile{connector})
		i.File.SetMaxIdleConns(idle)
	}
	i.DB.SetMaxIdleConns(idle)
	return i, nil
}

// Catalog is the name under which the file is attached whatever the file is called, so that it
// never hides a schema of the same name. Without a file, the catalog is called memory.
const Catalog = "pinflow_file"

// inFile is a connector whose connections begin in the file. It leaves the database open when its pool closes.
type inFile struct{ whole driver.Connector }

// Connect implements driver.Connector.
func (f inFile) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := f.whole.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := c.(driver.ExecerContext).ExecContext(ctx, "USE "+Catalog, nil); err != nil {
		return nil, firstOf(err, c.Close())
	}
	return c, nil
}

// Driver implements driver.Connector.
func (f inFile) Driver() driver.Driver { return f.whole.Driver() }

// idle is how many connections are kept for the next user.
const idle = 8

// settings are those of the whole instance, in an order that leaves the locks for last.
func settings(o Options, dir string, allowed []string) []string {
	all := []string{
		"SET memory_limit = " + Literal(strconv.FormatInt(o.Memory>>10, 10)+"KiB"),
		"SET GLOBAL TimeZone = 'UTC'",
		"SET autoinstall_known_extensions = false",
		"SET autoload_known_extensions = false",
		"SET preserve_insertion_order = false",
		// Who writes to the file says when it is checkpointed, so that no commit waits for it; this is for one who does not.
		// What is freed goes back to the system soon: Memory does not count what the allocator keeps.
		"SET allocator_flush_threshold = '8MiB'",
		"SET allocator_bulk_deallocation_flush_threshold = '16MiB'",
		"SET allocator_background_threads = true",
		"SET wal_autocheckpoint = '256MiB'",
	}
	if o.Path != "" {
		all = append(all, "ATTACH "+Literal(o.Path)+" AS "+Catalog)
	}
	if o.Threads > 0 {
		all = append(all, "SET threads = "+strconv.Itoa(o.Threads))
	}
	if dir != "" {
		all = append(all, "SET temp_directory = "+Literal(filepath.Join(dir, "spill")))
	} else {
		all = append(all, "SET temp_directory = ''")
	}
	if len(allowed) > 0 {
		all = append(all, "SET allowed_directories = "+literals(allowed))
	}
	return append(all, "SET enable_external_access = false", "SET lock_configuration = true")
}

func makeDir(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	abs, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(abs, 0o700)
	}
	if err != nil {
		return "", &pinflow.Error{Op: "make folder", On: dir, Err: err}
	}
	return abs, nil
}

// absolute returns the folders whose files SQL can reach.
func absolute(dir string, more []string) ([]string, error) {
	var all []string
	if dir != "" {
		all = append(all, dir)
	}
	for _, folder := range more {
		abs, err := filepath.Abs(folder)
		if err != nil {
			return nil, &pinflow.Error{Op: "open DuckDB", On: folder, Err: err}
		}
		all = append(all, abs)
	}
	return all, nil
}

// Dir returns the absolute path of the folder whose files SQL can read and write, "" if there is none.
func (i *Instance) Dir() string { return i.dir }

// Memory returns how many bytes DuckDB may use.
func (i *Instance) Memory() int64 { return i.memory }

// Used returns how many bytes DuckDB uses for what is being computed: hash tables, sorts, lists, answers. Tables
// are not counted, which it can put aside when memory gets short.
func (i *Instance) Used(ctx context.Context) (int64, error) {
	var bytes int64
	err := i.DB.QueryRowContext(ctx, `SELECT sum(memory_usage_bytes)::BIGINT FROM duckdb_memory()
		WHERE tag NOT IN ('BASE_TABLE', 'IN_MEMORY_TABLE', 'METADATA', 'TRANSACTION', 'ART_INDEX', 'EXTERNAL_FILE_CACHE')`).Scan(&bytes)
	if err != nil {
		return 0, &pinflow.Error{Op: "read memory use", Err: err}
	}
	return bytes, nil
}

// Close closes all connections and the database; a clean close leaves no write-ahead log to be replayed.
func (i *Instance) Close() error {
	if i.File != i.DB {
		return firstOf(i.File.Close(), i.DB.Close())
	}
	return i.DB.Close()
}

// Scratch attaches a new database in memory and returns its quoted name; Detach gives its memory back.
func (i *Instance) Scratch(ctx context.Context) (string, error) {
	name := "scratch_" + strconv.FormatInt(i.scratch.Add(1), 10)
	if _, err := i.DB.ExecContext(ctx, "ATTACH ':memory:' AS "+name); err != nil {
		return "", &pinflow.Error{Op: "attach scratch database", On: name, Err: err}
	}
	return name, nil
}

// Detach drops a database that Scratch attached.
func (i *Instance) Detach(ctx context.Context, scratch string) error {
	if _, err := i.DB.ExecContext(ctx, "DETACH "+scratch); err != nil {
		return &pinflow.Error{Op: "detach scratch database", On: scratch, Err: err}
	}
	return nil
}

// Quote returns name as a quoted SQL identifier.
func Quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// Literal returns s as an SQL string.
func Literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// literals returns a list of SQL strings.
func literals(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = Literal(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func openError(path string, err error) error {
	e := &pinflow.Error{Op: "open DuckDB", On: path, Err: err}
	switch text := err.Error(); {
	case path == "":
		e.On = "in memory"
	case strings.Contains(text, "Could not set lock"), strings.Contains(text, "Conflicting lock"):
		e.Kind, e.Hint = pinflow.Exists, "Another process has the file open: ask that one, or stop it."
	case strings.Contains(text, "not a valid DuckDB"), strings.Contains(text, "version number"):
		e.Kind, e.Hint = pinflow.Invalid, "Give the file of a store that this version or an older one wrote."
	}
	return e
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
