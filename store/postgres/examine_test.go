package postgres_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/store/postgres"
)

// TestExamine looks at databases in which something is wrong, and does what the advice says.
func TestExamine(t *testing.T) {
	database := newDatabase(t)
	o := postgres.Options{URL: database}
	examine := func(o postgres.Options, pipeline string) []pinflow.Advice {
		advice, err := postgres.Examine(t.Context(), o, pipeline)
		must(t, err)
		return slices.DeleteFunc(advice, func(a pinflow.Advice) bool { return strings.Contains(a.Do, "fsync") }) // of the test's own server
	}
	says := func(what string, advice []pinflow.Advice, severity pinflow.Severity, text, do string) {
		t.Helper()
		i := slices.IndexFunc(advice, func(a pinflow.Advice) bool { return strings.Contains(a.What, text) })
		if i < 0 || advice[i].Severity != severity || !strings.Contains(advice[i].Do, do) {
			t.Errorf("%s: %+v", what, advice)
		}
	}
	says("an empty database", examine(o, "inn"), pinflow.Note, "no store yet", "")
	if ask[bool](t, database, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = '_pinflow')") {
		t.Error("looking at it has changed it")
	}
	openInn(t, o)
	if advice := examine(o, "inn"); len(advice) > 0 {
		t.Errorf("a store as it should be: %+v", advice)
	}
	says("another pipeline", examine(o, "garden"), pinflow.Broken, "inn", "--store")
	execute(t, database, "REVOKE SELECT ON inn.totals FROM inn_reader")
	advice := examine(o, "inn")
	says("a right that the role lacks", advice, pinflow.Warning, "inn.totals", "GRANT SELECT")
	execute(t, database, advice[0].Do)
	if advice := examine(o, "inn"); len(advice) > 0 {
		t.Errorf("after what was to be done: %+v", advice)
	}
	execute(t, database, "DROP ROLE IF EXISTS pinflow_looks")
	execute(t, database, "CREATE ROLE pinflow_looks LOGIN PASSWORD 'looks' IN ROLE inn_reader")
	t.Cleanup(func() { execute(t, database, "DROP ROLE pinflow_looks") })
	u, err := url.Parse(database)
	must(t, err)
	u.User = url.UserPassword("pinflow_looks", "looks")
	says("who may only read", examine(postgres.Options{URL: u.String()}, "inn"), pinflow.Note, "can only read", "")
	u.Path = newDatabase(t)[strings.LastIndexByte(database, '/'):]
	u.Path = strings.TrimSuffix(u.Path, "?sslmode=disable")
	says("who may not write", examine(postgres.Options{URL: u.String()}, "inn"), pinflow.Broken, "CREATE", "GRANT CREATE ON DATABASE")
	execute(t, database, "UPDATE _pinflow.store SET version = 99")
	_, err = postgres.Examine(t.Context(), o, "inn")
	wantError(t, "a newer store", err, pinflow.Invalid, "version 99")
	_, err = postgres.Examine(t.Context(), postgres.Options{URL: "postgres://127.0.0.1:1/d"}, "inn")
	wantError(t, "nobody there", err, pinflow.Unavailable, "127.0.0.1:1")
}
