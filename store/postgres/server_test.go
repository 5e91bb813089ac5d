package postgres_test

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pinflow/pinflow/internal/realtest"
	"github.com/pinflow/pinflow/store/postgres"
)

// serverURL is a real server's URL without a database.
func serverURL(t testing.TB) *url.URL {
	t.Helper()
	realtest.Service(t, "postgres.sh", "start")
	return &url.URL{Scheme: "postgres", User: url.UserPassword("stack", "stack"), Host: "127.0.0.1:" + cmp.Or(os.Getenv("PG_PORT"), "15432"), RawQuery: "sslmode=disable"}
}

var databases atomic.Int64

// newDatabase makes an empty database that goes with the test, and returns its URL.
func newDatabase(t testing.TB) string {
	t.Helper()
	u := serverURL(t)
	name := fmt.Sprintf("pinflow_test_%d_%d", os.Getpid(), databases.Add(1))
	u.Path = "/stack"
	admin := u.String()
	execute(t, admin, "CREATE DATABASE "+name+" ENCODING 'UTF8' TEMPLATE template0")
	t.Cleanup(func() { execute(t, admin, "DROP DATABASE "+name+" WITH (FORCE)") })
	u.Path = "/" + name
	return u.String()
}

// execute runs a statement on a connection of its own.
func execute(t testing.TB, url, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // a test's own has ended when it cleans up
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// ask reads one value.
func ask[T any](t testing.TB, url, query string) (v T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), query).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

// openStore opens a store that is closed with the test.
func openStore(t testing.TB, o postgres.Options) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
