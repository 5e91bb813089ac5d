package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/pinflow/pinflow"
)

// Examine looks at a database as the place of a pipeline's store, and changes nothing there. What keeps a store from being
// opened at all is an error, as Open has it.
func Examine(ctx context.Context, o Options, pipeline string) (advice []pinflow.Advice, err error) {
	o.setDefaults()
	s := &Store{o: o}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer s.closePools()
	defer s.cancel()
	if s.metrics, err = newMetrics(nil); err != nil {
		return nil, err
	}
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	e := &examination{s: s, pipeline: pipeline}
	for _, look := range []func(context.Context) error{s.checkServer, e.settings, e.version, e.rights, e.reader} {
		if err := look(ctx); err != nil {
			return e.found, s.failedOpen(err)
		}
	}
	return e.found, nil
}

// examination collects what is to be said of a database.
type examination struct {
	s        *Store
	pipeline string
	there    bool // a store
	found    []pinflow.Advice
}

func (e *examination) say(s pinflow.Severity, what, do string) {
	e.found = append(e.found, pinflow.Advice{Severity: s, Place: "store " + e.s.place, What: what, Do: do})
}

// settings looks at what the server is told to do.
func (e *examination) settings(ctx context.Context) error {
	var standby bool
	var fsync, commit, vacuum string
	var left int
	const query = `SELECT pg_is_in_recovery(), current_setting('fsync'), current_setting('synchronous_commit'), current_setting('autovacuum'),
		current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer - (SELECT count(*)::integer FROM pg_stat_activity WHERE backend_type = 'client backend')`
	if err := e.s.db.QueryRow(ctx, query).Scan(&standby, &fsync, &commit, &vacuum, &left); err != nil {
		return err
	}
	if standby {
		e.say(pinflow.Broken, "the server is a standby, which only reads", "Give the address of the primary in the store's URL.")
	}
	if fsync != "on" {
		e.say(pinflow.Warning, "the server does not wait for its disk (fsync is off): what was counted can be lost or broken when the machine fails", "ALTER SYSTEM SET fsync = on")
	}
	if commit == "off" {
		e.say(pinflow.Warning, "commits are not on disk when they are answered (synchronous_commit is off): after a crash of the server they are counted again", "ALTER SYSTEM SET synchronous_commit = on")
	}
	if vacuum != "on" {
		e.say(pinflow.Warning, "the server does not clean its tables (autovacuum is off): they grow, and queries get slow", "ALTER SYSTEM SET autovacuum = on")
	}
	if need := e.s.o.MaxConns + e.s.o.Readers + 1; left < need {
		e.say(pinflow.Warning, fmt.Sprintf("the server has %d connections left, one process of Pinflow takes up to %d", left, need), "ALTER SYSTEM SET max_connections = 200, then restart the server")
	}
	return nil
}

// version looks at the store that there is.
func (e *examination) version(ctx context.Context) error {
	version, err := storeVersion(ctx, e.s.db)
	e.there = version >= 0
	switch {
	case err != nil:
		return err
	case !e.there:
		e.say(pinflow.Note, "there is no store yet: the first start makes it", "")
		return nil
	case version > len(migrations):
		return e.s.newer(version, len(migrations))
	case version < len(migrations):
		e.say(pinflow.Note, "the store is of an older version of Pinflow: the next start brings it to this one", "")
	}
	var have string
	if err := e.s.db.QueryRow(ctx, "SELECT coalesce(pipeline, '') FROM _pinflow.store").Scan(&have); err != nil {
		return err
	}
	if have != "" && e.pipeline != "" && have != e.pipeline {
		e.say(pinflow.Broken, fmt.Sprintf("the store holds the pipeline %q, not %q", have, e.pipeline), "Give each pipeline a --store of its own: another database on the same server will do.")
	}
	return nil
}

// rights looks at what the user of the URL may do.
func (e *examination) rights(ctx context.Context) error {
	var user, database string
	var create, temporary, owns bool
	const query = `SELECT current_user, current_database(), has_database_privilege(current_database(), 'CREATE'), has_database_privilege(current_database(), 'TEMPORARY'),
		NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = '_pinflow' AND NOT pg_has_role(nspowner, 'USAGE'))`
	if err := e.s.db.QueryRow(ctx, query).Scan(&user, &database, &create, &temporary, &owns); err != nil {
		return err
	}
	if !owns {
		e.say(pinflow.Note, fmt.Sprintf("%s has not made the store, and can only read it: enough for pinflow web", user), "")
		return nil
	}
	var lacks []string
	if !create {
		lacks = append(lacks, "CREATE")
	}
	if !temporary {
		lacks = append(lacks, "TEMPORARY")
	}
	if len(lacks) > 0 {
		e.say(pinflow.Broken, fmt.Sprintf("%s lacks the right %s on the database", user, strings.Join(lacks, " and ")), "GRANT "+strings.Join(lacks, ", ")+" ON DATABASE "+quote(database)+" TO "+quote(user))
	}
	return nil
}

// reader looks at the role that may only read.
func (e *examination) reader(ctx context.Context) error {
	var pipeline string
	if e.there {
		if err := e.s.db.QueryRow(ctx, "SELECT coalesce(pipeline, '') FROM _pinflow.store").Scan(&pipeline); err != nil {
			return err
		}
	}
	if pipeline == "" {
		return nil
	}
	role := pipeline + readerSuffix
	lacks, err := e.s.CanRead(ctx, role)
	if err != nil || len(lacks) == 0 {
		return err
	}
	var there bool
	if err := e.s.db.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role).Scan(&there); err != nil {
		return err
	}
	do := ReaderGrants(pipeline, role)
	if !there {
		do = append([]string{"CREATE ROLE " + quote(role) + " NOLOGIN"}, do...)
	}
	e.say(pinflow.Warning, fmt.Sprintf("the role %s, which is there to be granted to who only reads, lacks %s", role, strings.Join(lacks[:min(len(lacks), 3)], ", ")), strings.Join(do, "; "))
	return nil
}

// newer is the error of a store that a newer version wrote.
func (s *Store) newer(version, known int) error {
	return invalid("open store", s.place, "Open it with the version of Pinflow that wrote it, or a newer one.",
		fmt.Errorf("it has format version %d, this Pinflow knows up to %d", version, known))
}
