package duckdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/duckdb/duckdb-go/v2"
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
	if size-s.walKept < s.o.WAL {
		return nil
	}
	start := time.Now()
	defer func() { s.metrics.checkpointed(time.Since(start)) }()
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

// checkpointAlone keeps new queries waiting, waits for those that run, and checkpoints. That queries go on is no error unless
// the log is too long by far.
func (s *Store) checkpointAlone(ctx context.Context, size int64) error {
	patience := moment
	if size > tooLong*s.o.WAL {
		s.crowd.disperse(errForLog)
		patience = longest
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for n := range cap(s.reading) {
		select {
		case s.reading <- struct{}{}:
			defer func() { <-s.reading }()
		case <-wait.Done():
			if size > tooLong*s.o.WAL {
				return fmt.Errorf("%d queries did not give way, the log has %d MiB", cap(s.reading)-n, size>>20)
			}
			return nil
		}
	}
	return s.checkpoint(ctx)
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
