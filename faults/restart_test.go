package faults

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestServicesRestart ends each service in an orderly way and otherwise, and starts it again, while posts arrive; and ends PostgreSQL's sessions in the middle of
// what they do. It has the services to itself.
func TestServicesRestart(t *testing.T) {
	w := newWorld(t, "--log-period", "5s")
	w.startAll("ingest-1", "lake-1", "stream-1", "schedule-1", "web-1")
	p := w.post(2, 200, 1)
	w.follow()
	ended := 0
	for _, c := range []struct {
		name        string
		stop, start func()
	}{
		{"Kafka is restarted", func() { own.stopKafka(syscall.SIGTERM) }, func() { own.startKafka(t) }},
		{"Kafka is killed", func() { own.stopKafka(os.Kill) }, func() { own.startKafka(t) }},
		{"PostgreSQL is restarted", func() { own.script(t, "postgres.sh", "stop") }, func() { own.script(t, "postgres.sh", "start") }},
		{"PostgreSQL crashes", func() { own.crashPostgres(t) }, func() { own.script(t, "postgres.sh", "start") }},
		{"S3 is restarted", func() { own.script(t, "s3.sh", "stop") }, func() { own.script(t, "s3.sh", "start") }},
		{"PostgreSQL's sessions are ended", func() { ended = w.endSessions(3 * time.Second) }, func() {}},
	} {
		c.stop()
		rest(t.Context(), time.Second)
		c.start()
		back := time.Now()
		w.moves("journal", w.journalEnds)
		w.follow()
		t.Logf("%s: all caught up %s later", c.name, time.Since(back).Round(100*time.Millisecond))
	}
	p.end(t)
	if t.Logf("%d sessions were ended in the middle of something", ended); ended == 0 {
		t.Error("no session was ended while it worked")
	}
	w.check(p)
}

// endSessions ends Pinflow's sessions while they work, again and again for some time.
func (w *world) endSessions(d time.Duration) (ended int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), d)
	defer cancel()
	for rest(ctx, 20*time.Millisecond) {
		var n int
		const end = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1 AND application_name LIKE 'pinflow%' AND state <> 'idle'`
		if err := w.db.QueryRow(ctx, end, w.name).Scan(&n); err == nil {
			ended += n
		}
	}
	return ended
}
