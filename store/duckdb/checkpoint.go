package duckdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/pinflow/pinflow/internal/duck"
)

// DuckDB cannot checkpoint while a query reads a snapshot that is older than the last UPDATE. So a checkpoint that is due waits a
// moment for the queries to end, while new ones wait for it. If they go on, it is left for later, until the log is so long
// that they have to give way.
const (
	moment  = 250 * time.Millisecond
	longest = 5 * time.Second
	tooLong = 8 // times the size at which a checkpoint is due
)

// checkpointIfLong folds the write-ahead log into the file once it has grown. The caller holds the right to write.
func (s *Store) checkpointIfLong(ctx context.Context) error {
	if s.file == "" {
		return nil
	}
	size := s.walSize()
	s.metrics.sizes(s.file, size)
	if size-s.walKept < s.o.WAL || s.fills.Load() > 0 && size < tooLong*s.o.WAL {
		return nil // DuckDB does not checkpoint while another transaction writes
	}
	start := time.Now()
	defer func() {
		duck.GiveBack() // a checkpoint frees much of what came since the last
		s.metrics.checkpointed(time.Since(start))
	}()
	err := s.checkpoint(ctx)
	if inTheWay(err) {
		err = s.checkpointAlone(ctx, size)
	}
	s.walKept = s.walSize() // what is left, for whatever reason, is tried again when as much has come again
	return err
}

func (s *Store) checkpoint(ctx context.Context) error {
	_, err := s.writer.ExecContext(ctx, "CHECKPOINT")
	return err
}

// checkpointAlone checkpoints without queries. That they go on is no error unless the log is too long by far.
func (s *Store) checkpointAlone(ctx context.Context, size int64) error {
	patience := moment
	if size > tooLong*s.o.WAL {
		s.gate.Crowd.Disperse(errForLog)
		patience = longest
	}
	open, alone := s.closeToReaders(ctx, patience)
	defer open()
	if alone {
		return s.checkpoint(ctx)
	}
	if size > tooLong*s.o.WAL {
		return fmt.Errorf("some queries did not give way, the log has %d MiB", size>>20)
	}
	return nil
}

// closeToReaders keeps new queries waiting until open is called, and waits for those that run; alone tells whether all have ended.
func (s *Store) closeToReaders(ctx context.Context, patience time.Duration) (open func(), alone bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	held := 0
	open = func() {
		for range held {
			<-s.gate.Slots
		}
	}
	for ; held < cap(s.gate.Slots); held++ {
		select {
		case s.gate.Slots <- struct{}{}:
		case <-ctx.Done():
			return open, false
		}
	}
	return open, true
}

func inTheWay(err error) bool {
	var theirs *duckdb.Error
	return errors.As(err, &theirs) && theirs.Type == duckdb.ErrorTypeTransaction
}

func (s *Store) walSize() int64 {
	info, err := os.Stat(s.file + ".wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// Why queries have to give way.
var (
	errForMemory = errors.New("the query gave way to a commit that found no memory left")
	errForLog    = errors.New("the query gave way: while it runs, the store's write-ahead log cannot be folded into the file, and it has become too long")
)
