package faults

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/journal/kafka"
	"github.com/pinflow/pinflow/lake/s3"
	"github.com/pinflow/pinflow/pipelines"
	"github.com/pinflow/pinflow/refine/plan"
)

// services of which each process has a link.
const (
	toKafka    = "kafka"
	toS3       = "s3"
	toPostgres = "postgres"
)

const partitions = 4

// world is a topic, a bucket and a database of its own, and the processes that work with them. The test looks at the services past all links.
type world struct {
	t          *testing.T
	dir        string
	name       string
	pipeline   string // the folder of the definition, which is the shipped one with a topic of the world's own
	definition *pinflow.Definition
	plan       *pinflow.Plan
	timing     []string
	places     []string // the flags of who works at rest
	s3         string   // where the processes' links lead
	postgres   string   // likewise
	well       *link    // to PostgreSQL, for who is to get there

	journal   *kafka.Journal
	objects   pinflow.Objects
	db        *pgxpool.Pool
	processes map[string]*process
	ahead     fetched
}

// newWorld makes the places.
func newWorld(t *testing.T, timing ...string) *world {
	t.Helper()
	own.start(t)
	w := bareWorld(t, timing...)
	w.s3, w.postgres = own.s3(), own.postgres()
	w.makePlaces()
	return w
}

// bareWorld is a world without places.
func bareWorld(t *testing.T, timing ...string) *world {
	t.Helper()
	if out, err := build(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	w := &world{t: t, dir: t.TempDir(), name: fmt.Sprintf("faults-%d", time.Now().UnixNano()), processes: map[string]*process{}}
	w.timing = append([]string{"--log-period", "2s", "--seal-grace", "1s", "--lake-flush", "200ms", "--patience", "20s"}, timing...)
	w.define()
	t.Cleanup(func() {
		for _, p := range w.processes {
			p.kill()
			if t.Failed() {
				t.Logf("%s %s:\n%s", p.name, strings.Join(p.args, " "), p.tail())
			}
		}
		if t.Failed() {
			w.keepLogs()
		}
	})
	return w
}

// keepLogs saves what processes wrote where PINFLOW_FAULT_LOGS says.
func (w *world) keepLogs() {
	if to := os.Getenv("PINFLOW_FAULT_LOGS"); to != "" {
		if err := os.CopyFS(filepath.Join(to, w.name), os.DirFS(w.dir)); err != nil {
			w.t.Log(err)
		}
	}
}

// define writes the definition and compiles it, for what the test itself has to know.
func (w *world) define() {
	w.t.Helper()
	w.pipeline = filepath.Join(w.dir, "pipeline")
	shipped, err := pipelines.Shipped(pipelines.Default)
	must(w.t, err)
	must(w.t, os.CopyFS(w.pipeline, shipped))
	file := filepath.Join(w.pipeline, "pipeline.yaml")
	text, err := os.ReadFile(file)
	must(w.t, err)
	changed := strings.NewReplacer("topic: PinterestPipelineTopic", "topic: "+w.name, "partitions: 1 ", fmt.Sprintf("partitions: %d ", partitions)).Replace(string(text))
	must(w.t, os.WriteFile(file, []byte(changed), 0o600))
	var faults []pinflow.Fault
	if w.definition, faults = pipelines.Load(os.DirFS(w.pipeline), w.pipeline); len(faults) > 0 {
		w.t.Fatal(faults)
	}
	if w.plan, faults, err = plan.Compile(w.t.Context(), w.definition); err != nil || len(faults) > 0 {
		w.t.Fatal(faults, err)
	}
	if s := w.plan.Sources[0]; s.Topic != w.name || s.Partitions != partitions {
		w.t.Fatalf("the definition says %s with %d partitions", s.Topic, s.Partitions)
	}
}

// makePlaces makes database and bucket, and opens them and the journal.
func (w *world) makePlaces() {
	t, ctx := w.t, w.t.Context()
	t.Helper()
	server := adminOf(t, "stack")
	_, err := server.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{w.name}.Sanitize())
	must(t, err)
	w.db = adminOf(t, w.name)
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "stack", "AWS_SECRET_ACCESS_KEY": "stackstack", "AWS_EC2_METADATA_DISABLED": "true"} {
		must(t, os.Setenv(name, value)) // the same for all tests, which run side by side
	}
	_, err = bucketAdmin().CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: &w.name})
	must(t, err)
	bucket, err := s3.Open(ctx, s3.Options{URL: w.lake() + "&endpoint=http://" + own.s3()})
	must(t, err)
	t.Cleanup(func() { bucket.Close() })
	w.objects = bucket
	w.well = newLink(t, own.postgres())
	t.Cleanup(w.well.proxy.Stop)
	w.places = []string{"--data", filepath.Join(w.dir, "at rest"), "--journal", "kafka://" + own.kafka(), "--lake", w.lake(), "--store", w.store()}
	w.journal, err = kafka.Open(ctx, kafka.Options{Brokers: []string{own.kafka()}})
	must(t, err)
	t.Cleanup(func() { w.journal.Close() })
}

func bucketAdmin() *awss3.Client {
	return awss3.New(awss3.Options{Region: "us-east-1", BaseEndpoint: aws.String("http://" + own.s3()), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("stack", "stackstack", "")})
}

// adminOf is the test's own way to a database.
func adminOf(t testing.TB, database string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig("postgres://stack:stack@" + own.postgres() + "/" + database)
	must(t, err)
	config.ConnConfig.RuntimeParams["application_name"] = "the test"
	db, err := pgxpool.NewWithConfig(context.WithoutCancel(t.Context()), config)
	must(t, err)
	t.Cleanup(db.Close)
	return db
}

func (w *world) lake() string { return "s3://" + w.name + "/lake?region=us-east-1&use_path_style=true" }

func (w *world) store() string { return "postgres://stack@" + linkHost + "/" + w.name }

// add adds a process of a role, which is not started yet.
func (w *world) add(name string) *process {
	w.t.Helper()
	role, _, _ := strings.Cut(name, "-")
	p := &process{dir: w.dir, name: name, links: map[string]*link{toKafka: own.link(w.t), toS3: newLink(w.t, w.s3), toPostgres: newLink(w.t, w.postgres)}}
	w.t.Cleanup(p.links[toS3].proxy.Stop)
	w.t.Cleanup(p.links[toPostgres].proxy.Stop)
	p.args = append([]string{role, "--data", filepath.Join(w.dir, "data"), "--pipeline", w.pipeline, "--journal", "kafka://" + p.links[toKafka].addr()}, w.timing...)
	p.args = append(p.args, "--lake", w.lake(), "--store", w.store())
	p.env = environment(p.links[toPostgres].addr(), p.links[toS3].addr())
	switch role {
	case "ingest", "web", "up":
		p.args = append(p.args, "--http", "127.0.0.1:0")
	default:
		p.args = append(p.args, "--monitor", "127.0.0.1:0")
	}
	w.processes[name] = p
	return p
}

// startAll adds processes and starts them, side by side.
func (w *world) startAll(names ...string) {
	w.t.Helper()
	for _, name := range names {
		w.add(name).launch(w.t)
	}
	for _, name := range names {
		w.processes[name].ready(w.t)
	}
}

// of are the processes of a role, in order.
func (w *world) of(role string) (all []*process) {
	for _, name := range slices.Sorted(maps.Keys(w.processes)) {
		if strings.HasPrefix(name, role+"-") {
			all = append(all, w.processes[name])
		}
	}
	return all
}

// stopAll ends all processes as a service manager does.
func (w *world) stopAll() {
	w.t.Helper()
	for _, p := range w.processes {
		p.measure()
		if !p.hasEnded() {
			p.stop(w.t)
		}
	}
}

// environment is that of who gets to all services, if the world has any.
func (w *world) environment() []string {
	if w.well == nil {
		return os.Environ()
	}
	return environment(w.well.addr(), own.s3())
}

// command runs a command on the places, past all links that can go wrong, and returns what it printed; it must exit with the code.
func (w *world) command(code int, args ...string) (stdout, stderr string) {
	w.t.Helper()
	args = slices.Concat(args, w.places, []string{"--pipeline", w.pipeline})
	got, stdout, stderr := output(w.environment(), args...)
	if got != code {
		w.t.Fatalf("pinflow %s: exit %d, not %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	return stdout, stderr
}
