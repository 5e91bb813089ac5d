package duckdb_test

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/store/duckdb"
)

// lines is a log as a test sees it.
type lines struct{ strings.Builder }

func logTo(l *lines) *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// small opens a store of the small plan with partition 0 claimed.
func small(t testing.TB, p *place) *closing {
	t.Helper()
	s := p.open(t)
	if err := s.Prepare(t.Context(), smallPlan()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), "g1", map[pinflow.TopicPartition]int64{benchTopic: 0}); err != nil {
		t.Fatal(err)
	}
	return s
}

func commitSmall(t testing.TB, s *closing, start, end int64) {
	t.Helper()
	if err := s.Commit(t.Context(), smallDelta(smallPlan(), benchTopic, start, end)); err != nil {
		t.Fatal(err)
	}
}

// TestTablesStayBounded commits the same keys again and again: the rows that hold them do not add up.
func TestTablesStayBounded(t *testing.T) {
	p := newPlace(t, duckdb.Options{Recent: 100})
	s := small(t, p)
	for at := int64(0); at < 6000; at += 60 {
		d := smallDelta(smallPlan(), benchTopic, at, at+60)
		d.Added[1].Rows.(relation)[at%60][2] = nil // a key may be NULL
		if err := s.Commit(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		var recent, merged, distinct int
		err := p.instance.File.QueryRow(`SELECT (SELECT count(*) FROM "_gen_g1"."words:recent"), (SELECT count(*) FROM "_gen_g1"."words:merged"),
			(SELECT count(*) FROM (SELECT DISTINCT _period, _shard, word FROM "_gen_g1"."words:merged"))`).Scan(&recent, &merged, &distinct)
		if err != nil || recent > 100 || merged != distinct {
			t.Fatalf("after %d records %d rows are recent, and %d rows hold %d keys, %v", at+60, recent, merged, distinct, err)
		}
	}
	result, err := s.Query(t.Context(), pinflow.Query{SQL: "SELECT sum(n), max(n) FILTER (word IS NULL), count(*) FROM words"})
	if err != nil || fmt.Sprint(result.Rows[0]) != "[6000 100 1001]" {
		t.Errorf("got %v, %v", result, err)
	}
}

// TestReadersGiveWay merges and checkpoints while a query without end holds its snapshot: it goes on until the log has become far
// too long, and only then has to go.
func TestReadersGiveWay(t *testing.T) {
	var log lines
	const wal = 64 << 10
	p := newPlace(t, duckdb.Options{Recent: 200, WAL: wal, Log: logTo(&log)})
	s := small(t, p)
	commitSmall(t, s, 0, 50)
	read := make(chan error, 1)
	go func() {
		_, err := s.Query(t.Context(), pinflow.Query{SQL: "SELECT count(*) FROM things, range(1000000000) AS a(i), range(1000) AS b(j) WHERE (i * j) % 7 = 3", Timeout: time.Minute})
		read <- err
	}()
	size := func() int64 {
		info, err := os.Stat(p.path + ".wal")
		if err != nil {
			return 0
		}
		return info.Size()
	}
	longest, at := int64(0), int64(50)
	for ended := false; !ended; at += 500 {
		commitSmall(t, s, at, at+500)
		longest = max(longest, size())
		select {
		case err := <-read:
			ended = true
			if pinflow.KindOf(err) != pinflow.Unavailable || !strings.Contains(err.Error(), "gave way") {
				t.Errorf("the query ended with %v", err)
			}
		default:
		}
		if size() > 20*wal {
			t.Fatalf("the log has %d bytes, and the query still runs", size())
		}
	}
	if longest < 4*wal {
		t.Errorf("the query had to go when the log had no more than %d bytes", longest)
	}
	for range 3 {
		commitSmall(t, s, at, at+500)
		at += 500
	}
	if size() > 2*wal {
		t.Errorf("the log still has %d bytes", size())
	}
	if log.Len() > 0 {
		t.Errorf("maintenance failed:\n%s", &log)
	}
}

// TestFileStaysSmall writes the same records in many commits, with a checkpoint every few, and in one: the file must not
// remember how it was written.
func TestFileStaysSmall(t *testing.T) {
	const records, step = 40000, 100
	size := func(step int64, wal int64) int64 {
		p := newPlace(t, duckdb.Options{Recent: 500, WAL: wal})
		s := small(t, p)
		for at := int64(0); at < records; at += step {
			commitSmall(t, s, at, at+step)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(p.path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	many, one := size(step, 128<<10), size(records, 128<<10)
	t.Logf("%d records take %d KiB in %d commits, %d KiB in one", records, many>>10, records/step, one>>10)
	if many > 3*one {
		t.Errorf("%d bytes after many commits, %d after one", many, one)
	}
}
