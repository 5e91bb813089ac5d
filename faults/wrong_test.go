package faults

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pinflow/pinflow/internal/realtest"
)

// wrong is a place that is not what it should be.
type wrong struct {
	name  string
	flags []string          // instead of the right ones
	env   map[string]string // likewise
	says  string            // what is to be in the line
	roles []string          // whom it concerns
}

var (
	everybody = []string{"ingest", "lake", "stream", "schedule", "web", "batch"}
	lakeUsers = everybody[1:]
	storeOnes = everybody[2:]
)

// TestWrongPlaces starts every role with places that are not there, that refuse it or that are others than they should be: each says so in one line and exits with 1, and
// nothing has changed anywhere.
func TestWrongPlaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startAll("ingest-1", "lake-1", "stream-1", "schedule-1")
	p := w.post(5, 100, 1)
	w.follow()
	p.end(t)
	w.follow()
	w.stopAll()
	newer, older, another := w.name+"-newer", w.name+"-older", w.name+"-another"
	for _, database := range []string{newer, older, another} {
		w.copyDatabase(database)
	}
	w.exec(newer, "UPDATE _pinflow.store SET version = 1000")
	w.exec(older, "UPDATE _pinflow.store SET version = 0")
	w.exec(another, "UPDATE _pinflow.store SET pipeline = 'another'")
	bucket := func(name string) string { return strings.Replace(w.lake(), w.name, name, 1) }
	store := func(name string) string { return strings.Replace(w.store(), w.name, name, 1) }
	all := []wrong{
		{name: "no such Kafka host", flags: []string{"--journal", "kafka://no-such-host.invalid:9092"}, says: "no-such-host.invalid", roles: everybody},
		{name: "nobody at Kafka's port", flags: []string{"--journal", fmt.Sprintf("kafka://127.0.0.1:%d", realtest.FreePort(t))}, says: "kafka", roles: everybody},
		{name: "no such S3 host", env: map[string]string{"AWS_ENDPOINT_URL_S3": "http://no-such-host.invalid:9000"}, says: "no-such-host.invalid", roles: lakeUsers},
		{name: "a wrong secret of S3", env: map[string]string{"AWS_SECRET_ACCESS_KEY": "wrong"}, says: "open lake", roles: lakeUsers},
		{name: "a missing bucket", flags: []string{"--lake", bucket("no-such-bucket")}, says: "no-such-bucket", roles: lakeUsers},
		{name: "no such PostgreSQL host", flags: []string{"--store", "postgres://stack@no-such-host.invalid/stack"}, says: "no-such-host.invalid", roles: storeOnes},
		{name: "a wrong password of PostgreSQL", env: map[string]string{"PGPASSWORD": "wrong"}, says: "password", roles: storeOnes},
		{name: "a missing database", flags: []string{"--store", store("no-such-database")}, says: "no-such-database", roles: storeOnes},
		{name: "a newer store", flags: []string{"--store", store(newer)}, says: "version 1000", roles: storeOnes},
		{name: "a store that only seems older", flags: []string{"--store", store(older)}, says: older, roles: storeOnes},
		{name: "a store of another pipeline", flags: []string{"--store", store(another)}, says: "another", roles: storeOnes},
		{name: "a lake of another log period", flags: []string{"--log-period", "1h"}, says: "period", roles: lakeUsers},
	}
	before := w.dump(newer, older, another)
	for _, wrong := range all {
		for _, role := range wrong.roles {
			t.Run(wrong.name+"/"+role, func(t *testing.T) { w.isRefused(t, role, wrong) })
		}
	}
	after := w.dump(newer, older, another)
	for _, what := range slices.Sorted(maps.Keys(before)) {
		if after[what] != before[what] {
			t.Errorf("%s was\n%s\nand is\n%s", what, before[what], after[what])
		}
	}
	if len(before) != len(after) {
		t.Errorf("there were %d things, there are %d", len(before), len(after))
	}
}

// isRefused starts a role with a wrong place.
func (w *world) isRefused(t *testing.T, role string, wrong wrong) {
	args := append([]string{role, "--pipeline", w.pipeline}, w.timing...)
	args = append(args, w.places...)
	args[slices.Index(args, "--data")+1] = filepath.Join(t.TempDir(), "data")
	if slices.Contains([]string{"ingest", "web"}, role) {
		args = append(args, "--http", "127.0.0.1:0")
	}
	args = append(args, wrong.flags...)
	env := w.environment()
	for name, value := range wrong.env {
		env = append(env, name+"="+value)
	}
	code, stdout, stderr := output(env, args...)
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if code != 1 || len(lines) != 1 || stdout != "" || !strings.HasPrefix(stderr, "pinflow: ") || !strings.Contains(strings.ToLower(stderr), wrong.says) {
		t.Errorf("exit %d; it says\n%s%s", code, stdout, stderr)
	}
	if strings.Contains(stderr, "stackstack") {
		t.Errorf("it tells a secret: %s", stderr)
	}
}

// copyDatabase makes a database like the world's, until the test ends.
func (w *world) copyDatabase(name string) {
	w.t.Helper()
	w.db.Reset() // nobody may be connected to what is copied
	_, err := adminOf(w.t, "stack").Exec(w.t.Context(), `CREATE DATABASE "`+name+`" TEMPLATE "`+w.name+`"`)
	must(w.t, err)
}

func (w *world) exec(database, statement string) {
	w.t.Helper()
	_, err := adminOf(w.t, database).Exec(w.t.Context(), statement)
	must(w.t, err)
}

// dump returns what is in the databases, the bucket and the topics, by what it is of.
func (w *world) dump(databases ...string) map[string]string {
	t, ctx, all := w.t, w.t.Context(), map[string]string{}
	t.Helper()
	for _, database := range append(databases, w.name) {
		db := adminOf(t, database)
		rows, err := db.Query(ctx, `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`)
		must(t, err)
		var tables []string
		for rows.Next() {
			var table string
			must(t, rows.Scan(&table))
			tables = append(tables, table)
		}
		must(t, rows.Err())
		for _, table := range tables {
			var sum string
			must(t, db.QueryRow(ctx, "SELECT count(*) || ' rows, ' || coalesce(md5(string_agg(x::text, ',' ORDER BY x::text)), '') FROM "+table+" x").Scan(&sum))
			all[database+" "+table] = sum
		}
	}
	pages := awss3.NewListObjectsV2Paginator(bucketAdmin(), &awss3.ListObjectsV2Input{Bucket: &w.name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		must(t, err)
		for _, o := range page.Contents {
			all[*o.Key] = fmt.Sprint(*o.ETag, *o.Size)
		}
	}
	ends, err := w.journalEnds(ctx)
	must(t, err)
	all["journal"] = fmt.Sprint(ends)
	if _, err := os.Stat(filepath.Join(w.dir, "at rest")); err == nil {
		t.Error("somebody has worked at rest")
	}
	return all
}
