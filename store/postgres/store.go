package postgres

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/duck"
	"github.com/pinflow/pinflow/internal/duck/readonly"
	"github.com/prometheus/client_golang/prometheus"
)

// Options are how a Store is opened. Only URL and Instance are needed.
type Options struct {
	// URL names the database: postgres://user@host:port/database?sslmode=…. The password is the URL's, or else PGPASSWORD's, or else that of the
	// password file. No error and no log shows it.
	URL string
	// ReadURL names the same database for queries, with a user who may only read it (ReaderGrants); "" for URL.
	ReadURL string
	Log     *slog.Logger
	Metrics prometheus.Registerer // nil for none

	MaxConns int           // connections for writing, and for short reads; 0 for 8. Queries have Readers more, and one connection listens
	Lock     time.Duration // a commit that waits longer for another one is Unavailable; 0 for 30 s
	Merge    int64         // rows of a period that come to a table of partials before they are merged; 0 for 65,536 or as many as there are, whichever is more
	Readers  int           // queries at a time, others wait; 0 for 4
	Timeout  time.Duration // of a query that names none; 0 for 30 s
	// Instance is the DuckDB that answers what PostgreSQL does not; the caller closes it after the Store. Its SQL must reach the files of Stage.
	Instance *duck.Instance
	// Stage returns a part of the lake with the file where it can be read until release is called; nil for where it lay when it was installed.
	Stage       func(ctx context.Context, p pinflow.Part) (staged pinflow.Part, release func(), err error)
	ResultBytes int64 // of one query's answer, about, in memory; more is TooLarge; 0 for 128 MiB

	dial    pgconn.DialFunc // makes connections, for tests of broken ones; nil for the usual way
	silence time.Duration
}

func (o *Options) setDefaults() {
	if o.Stage == nil {
		o.Stage = func(_ context.Context, p pinflow.Part) (pinflow.Part, func(), error) { return p, func() {}, nil }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxConns <= 0 {
		o.MaxConns = 8
	}
	if o.Lock <= 0 {
		o.Lock = 30 * time.Second
	}
	if o.silence <= 0 {
		o.silence = silence
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

// Store implements pinflow's interfaces to a store. It is safe for concurrent use, and so are several in any number of processes on one database.
type Store struct {
	o       Options
	place   string // the database's URL without what is secret
	id      string // tells this store's notifications from those of others
	db      *pgxpool.Pool
	readers *pgxpool.Pool // for queries: sessions that cannot write
	metrics *metrics
	gate    readonly.Gate // of the queries
	shapes  shapes        // of what they read

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	beside  sync.WaitGroup // what runs beside calls
	merging chan struct{}  // holds a token while somebody merges

	mu          sync.Mutex
	generations map[string]*generation // as far as they are known here
	changed     chan struct{}          // closed after the next commit
}

// Open connects to the database and brings the store's own tables to this version. A
// store that a newer version wrote, and a server that cannot hold one, are Invalid errors.
func Open(ctx context.Context, o Options) (*Store, error) {
	o.setDefaults()
	s := &Store{o: o, id: rand.Text(), generations: map[string]*generation{}, changed: make(chan struct{}), merging: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.gate = readonly.Gate{Instance: o.Instance, Timeout: o.Timeout, Slots: make(chan struct{}, o.Readers), Closed: s.ctx.Done()}
	if err := s.open(ctx); err != nil {
		s.stop()
		s.closePools()
		s.metrics.unregister(o.Metrics)
		return nil, err
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	const op = "open store"
	var err error
	if s.metrics, err = newMetrics(s.o.Metrics); err != nil {
		return &pinflow.Error{Op: op, On: "metrics", Err: err}
	}
	if err := s.connect(ctx); err != nil {
		return err
	}
	if err := s.checkServer(ctx); err != nil {
		return s.failedOpen(err)
	}
	if err := s.soon(ctx, func(ctx context.Context) error { return s.migrate(ctx, migrations) }); err != nil {
		return s.failedOpen(err)
	}
	return s.failedOpen(s.soon(ctx, s.startListening))
}

// Close waits for the commits and queries that are under way; later ones are refused.
func (s *Store) Close() error {
	s.stop()
	s.gate.Wait()
	s.closePools()
	s.metrics.unregister(s.o.Metrics)
	return nil
}

func (s *Store) closePools() {
	for _, pool := range []*pgxpool.Pool{s.db, s.readers} {
		if pool != nil {
			pool.Close()
		}
	}
}

// goBeside runs f beside calls; false means that the store closes.
func (s *Store) goBeside(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.beside.Go(f)
	return true
}

// stop ends what runs beside calls.
func (s *Store) stop() {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.beside.Wait()
}

// Changes implements pinflow.StoreReader.
func (s *Store) Changes() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// announce wakes who waits for a change.
func (s *Store) announce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}
