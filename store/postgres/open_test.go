package postgres_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/store/postgres"
)

// TestOpenRefused opens what cannot be opened: one line tells why, and what to do.
func TestOpenRefused(t *testing.T) {
	database := newDatabase(t)
	other := func(change func(u *url.URL)) string {
		u, err := url.Parse(database)
		must(t, err)
		change(u)
		return u.String()
	}
	execute(t, database, "DROP ROLE IF EXISTS pinflow_guest")
	execute(t, database, "CREATE ROLE pinflow_guest LOGIN PASSWORD 'guest'")
	t.Cleanup(func() { execute(t, other(func(u *url.URL) { u.Path = "/stack" }), "DROP ROLE IF EXISTS pinflow_guest") })
	latin := newDatabase(t)
	name := latin[strings.LastIndexByte(latin, '/')+1 : strings.IndexByte(latin, '?')]
	execute(t, database, "DROP DATABASE "+name)
	execute(t, database, "CREATE DATABASE "+name+" ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
	for what, c := range map[string]struct {
		url  string
		kind pinflow.Kind
		says []string
	}{
		"no URL":           {"postgres://u:hush@h:port/d", pinflow.Invalid, []string{"postgres://user@host"}},
		"no host":          {other(func(u *url.URL) { u.Host = "nowhere.invalid:5432" }), pinflow.NotFound, []string{"nowhere.invalid"}},
		"nobody listens":   {other(func(u *url.URL) { u.Host = "127.0.0.1:1" }), pinflow.Unavailable, []string{"127.0.0.1:1", "refused", "running"}},
		"another password": {other(func(u *url.URL) { u.User = url.UserPassword("stack", "hush") }), pinflow.Invalid, []string{"password", "PGPASSWORD"}},
		"no such user":     {other(func(u *url.URL) { u.User = url.UserPassword("nobody", "hush") }), pinflow.Invalid, []string{"nobody"}},
		"no database":      {other(func(u *url.URL) { u.Path = "/nothing" }), pinflow.NotFound, []string{"nothing", "CREATE DATABASE"}},
		"no right":         {other(func(u *url.URL) { u.User = url.UserPassword("pinflow_guest", "guest") }), pinflow.Invalid, []string{"GRANT", "pinflow_guest"}},
		"no TLS":           {other(func(u *url.URL) { u.RawQuery = "sslmode=require" }), pinflow.Invalid, []string{"sslmode"}},
		"another encoding": {latin, pinflow.Invalid, []string{"LATIN1", "UTF8"}},
	} {
		s, err := postgres.Open(t.Context(), postgres.Options{URL: c.url})
		if err == nil {
			t.Errorf("%s: it was opened: %v", what, s.Close())
			continue
		}
		wantError(t, what, err, c.kind, c.says...)
		if text := err.Error(); strings.ContainsAny(text, "\n") || strings.Contains(text, "hush") || pinflow.HintOf(err) == "" {
			t.Errorf("%s: %q is not one line without secrets and with advice", what, text)
		}
	}
}

func wantError(t *testing.T, what string, err error, kind pinflow.Kind, says ...string) {
	t.Helper()
	if err == nil || pinflow.KindOf(err) != kind {
		t.Errorf("%s: got %v, want an error of kind %q", what, err, kind)
		return
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%s: %q does not say %q", what, err, s)
		}
	}
}

// TestMigrations opens stores of an older and of a newer version.
func TestMigrations(t *testing.T) {
	url := newDatabase(t)
	s := openInn(t, postgres.Options{URL: url})
	must(t, s.Commit(t.Context(), visit("g1", 0, 5)))
	must(t, s.Migrate(t.Context(), "CREATE TABLE _pinflow.later (n integer)"))
	if v := ask[int](t, url, "SELECT version FROM _pinflow.store"); v != postgres.MigrationSteps()+1 {
		t.Errorf("it has version %d", v)
	}
	must(t, s.Migrate(t.Context(), "CREATE TABLE _pinflow.later (n integer)")) // not again
	_, err := postgres.Open(t.Context(), postgres.Options{URL: url})
	wantError(t, "a newer store", err, pinflow.Invalid, fmt.Sprint("version ", postgres.MigrationSteps()+1), "newer")
	execute(t, url, "DROP TABLE _pinflow.later")
	execute(t, url, fmt.Sprintf("UPDATE _pinflow.store SET version = %d", postgres.MigrationSteps()))
	if err := s.Migrate(t.Context(), "CREATE TABLE _pinflow.later (n integer)", "SELECT 1/0"); err == nil {
		t.Error("a step that fails was taken")
	}
	if v := ask[int](t, url, "SELECT version FROM _pinflow.store"); v != postgres.MigrationSteps() || ask[bool](t, url, "SELECT to_regclass('_pinflow.later') IS NOT NULL") {
		t.Errorf("half a migration stays, at version %d", v)
	}
	if newObserver(t, url).position() != 5 {
		t.Error("what was counted is gone")
	}
}

// TestNamesThatPostgreSQLCuts refuses plans whose names it would make the same.
func TestNamesThatPostgreSQLCuts(t *testing.T) {
	long := strings.Repeat("é", 30)
	s := openStore(t, postgres.Options{URL: newDatabase(t), Instance: newFiles(t).instance})
	for what, change := range map[string]func(p *pinflow.Plan){
		"a view":          func(p *pinflow.Plan) { p.Views[0].Name = long + long },
		"a view's column": func(p *pinflow.Plan) { p.Views[0].Columns[0].Name = long + long },
		"two tables":      func(p *pinflow.Plan) { p.Tables[0].Name, p.Tables[1].Name = long+"abcd", long+"abce" },
		"two columns": func(p *pinflow.Plan) {
			p.Tables[1].Keys = []pinflow.Column{{Name: long + "abcd", Type: "BIGINT"}, {Name: long + "abce", Type: "BIGINT"}}
		},
		"pipeline":             func(p *pinflow.Plan) { p.Pipeline = long },
		"a type there is not":  func(p *pinflow.Plan) { p.Tables[1].Keys[0].Type = "INTERVAL" },
		"the server's schema":  func(p *pinflow.Plan) { p.Pipeline = "pg_catalog" },
		"a view without text":  func(p *pinflow.Plan) { p.Views[0].Postgres = "" },
		"the store's own name": func(p *pinflow.Plan) { p.Pipeline = "_pinflow" },
	} {
		p := smallPlan("g1")
		change(p)
		if err := s.Prepare(t.Context(), p); pinflow.KindOf(err) != pinflow.Invalid || err == nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	p := smallPlan("g1")
	p.Tables[0].Name = long + "abcd" // one alone does no harm
	p.Views[0].Postgres = strings.ReplaceAll(p.Views[0].Postgres, "totals", `"`+long+`abcd"`)
	must(t, s.Prepare(t.Context(), p))
}
