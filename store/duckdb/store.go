package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/internal/duck/readonly"
	"github.com/prometheus/client_golang/prometheus"
)

// Options are how a Store is opened. Only Instance is needed.
type Options struct {
	Instance *duck.Instance // its file is the store; the caller closes it after the Store
	Log      *slog.Logger
	Metrics  prometheus.Registerer // nil for none

	WAL     int64         // bytes of write-ahead log after which it is folded into the file; 0 for 64 MiB
	Recent  int64         // rows of a table after which they are merged; 0 for 32,768 or an eighth of the merged ones, whichever is more
	Readers int           // queries at a time, others wait; 0 for 4
	Timeout time.Duration // of a query that names none; 0 for 30 s
	// File tells where a part of the lake lies now; nil for where it lay when it was installed. Rows of models that keep recent ones only are read there.
	File        func(pinflow.Part) string
	ResultBytes int64 // of one query's answer, about, in memory; more is TooLarge; 0 for 64 MiB
}

func (o *Options) setDefaults() {
	if o.File == nil {
		o.File = func(p pinflow.Part) string { return p.File }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.WAL <= 0 {
		o.WAL = 64 << 20
	}
	if o.Readers <= 0 {
		o.Readers = 4
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.ResultBytes <= 0 {
		o.ResultBytes = 128 << 20
	}
}

// Store implements all of pinflow's interfaces to a store. It is safe for concurrent use.
type Store struct {
	o       Options
	db      *sql.DB
	metrics *metrics
	file    string // path of the database file, "" in memory

	writing     chan struct{} // holds a token while somebody writes; guards the fields of this group
	writer      *sql.Conn
	generations map[string]*generation
	current     string // the generation that the stable views read, "" for none
	held        *hold  // nil for none
	walKept     int64  // size of the log that the last checkpoint could not fold

	scratch string       // a database in memory, for what everybody on the instance may see
	catalog string       // of the file, as the scratch database's connections name it
	placed  atomic.Int64 // tables made there

	closed  chan struct{}  // closed by Close
	gate    readonly.Gate  // of the queries
	filling sync.WaitGroup // those who are in a generation
	fills   atomic.Int64   // transactions that write beside others

	mu      sync.Mutex
	changed chan struct{} // closed after the next commit
}

var (
	_ pinflow.LiveStore       = (*Store)(nil)
	_ pinflow.BatchStore      = (*Store)(nil)
	_ pinflow.GenerationStore = (*Store)(nil)
	_ pinflow.AuditStore      = (*Store)(nil)
	_ pinflow.StoreReader     = (*Store)(nil)
)

// Open opens the store in the instance's file and brings its own tables to this version. A
// store that a newer version wrote is an Invalid error.
func Open(ctx context.Context, o Options) (*Store, error) {
	o.setDefaults()
	s := &Store{o: o, db: o.Instance.File, generations: map[string]*generation{}, changed: make(chan struct{}), closed: make(chan struct{}),
		writing: make(chan struct{}, 1)}
	s.gate = readonly.Gate{Instance: o.Instance, Timeout: o.Timeout, Slots: make(chan struct{}, o.Readers), Closed: s.closed}
	var err error
	if s.metrics, err = newMetrics(o.Metrics); err != nil {
		return nil, &pinflow.Error{Op: "open store", On: "metrics", Err: err}
	}
	if s.writer, err = s.db.Conn(ctx); err != nil {
		return nil, failed("open store", "", err)
	}
	if s.scratch, err = o.Instance.Scratch(ctx); err == nil {
		if err = s.open(ctx); err != nil {
			_ = o.Instance.Detach(ctx, s.scratch)
		}
	}
	if err != nil {
		_ = s.writer.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	err := s.writer.QueryRowContext(ctx, "SELECT coalesce(path, ''), database_name FROM duckdb_databases() WHERE database_name = current_database()").Scan(&s.file, &s.catalog)
	if err != nil {
		return failed("open store", "", err)
	}
	if err := s.write(ctx, "open store", s.file, func(tx *sql.Tx) error { return migrate(ctx, tx, s.file) }); err != nil {
		return err
	}
	if err := s.loadGenerations(ctx); err != nil {
		return err
	}
	if err := s.write(ctx, "open store", s.file, func(tx *sql.Tx) error { return s.findFiles(ctx, tx) }); err != nil {
		return err
	}
	return s.loadHold(ctx)
}

// Close waits for the commit and the queries that are under way; those that wait for their turn are refused. The instance
// stays open.
func (s *Store) Close() error {
	s.writing <- struct{}{}
	if s.isClosed() {
		s.unlock()
		return nil
	}
	close(s.closed)
	s.unlock() // what is filled beside other writing ends, and then needs the lock to see that it is refused
	s.filling.Wait()
	s.writing <- struct{}{}
	defer s.unlock()
	for range cap(s.gate.Slots) {
		s.gate.Slots <- struct{}{}
	}
	s.metrics.unregister(s.o.Metrics)
	if err := errors.Join(s.writer.Close(), s.o.Instance.Detach(context.Background(), s.scratch)); err != nil {
		return &pinflow.Error{Op: "close store", On: s.file, Err: err}
	}
	return nil
}

func (s *Store) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

func errClosed(op string) error {
	return &pinflow.Error{Op: op, On: "store", Kind: pinflow.Unavailable, Hint: "The store is closed: Pinflow is stopping."}
}

// Changes implements pinflow.StoreReader.
func (s *Store) Changes() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *Store) announce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// lock waits for the right to write. The caller calls s.unlock.
func (s *Store) lock(ctx context.Context, op string) error {
	select {
	case s.writing <- struct{}{}:
	case <-ctx.Done():
		return &pinflow.Error{Op: op, On: "store", Kind: pinflow.Unavailable, Err: context.Cause(ctx)}
	}
	if s.isClosed() {
		s.unlock()
		return errClosed(op)
	}
	return nil
}

func (s *Store) unlock() { <-s.writing }

// rollBack ends a transaction that failed for a reason.
func (s *Store) rollBack(ctx context.Context, tx *sql.Tx, reason error) {
	if outOfMemory(reason) && s.gate.Crowd.Disperse(errForMemory) {
		// A rollback needs memory too, and DuckDB stops for good if there is none.
		open, _ := s.closeToReaders(ctx, longest)
		defer open()
	}
	_ = tx.Rollback() // what matters is the reason; a rollback cannot leave anything applied
}

// write runs f in one transaction of the writer's connection, whose right the caller holds. If f or the
// commit fails nothing of it stays; an unsureError says that the COMMIT failed and may have been carried out all the same.
func (s *Store) write(ctx context.Context, op, on string, f func(tx *sql.Tx) error) error {
	// f's statements end with ctx. The transaction does not: database/sql would roll it back behind our back, while
	// the connection's next user begins.
	tx, err := s.writer.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return failed(op, on, err)
	}
	if err := f(tx); err != nil {
		s.rollBack(ctx, tx, err)
		return failed(op, on, err)
	}
	if err := tx.Commit(); err != nil {
		return failed(op, on, &unsureError{err})
	}
	return nil
}
