package config

import (
	"log/slog"
	"net/url"
	"path/filepath"
	"time"
)

// Settings is all that can be set for a process that runs every stage.
type Settings struct {
	Places
	Listen
	Timing
	Limits
	Logging
}

// Places is where each stage keeps what it has, one URL each.
type Places struct {
	Journal string `help:"The journal: embedded: for the broker in this process, or kafka://user@host:port,host:port?tls=true&sasl=scram-sha-512." default:"embedded:" env:"PINFLOW_JOURNAL" placeholder:"URL" group:"Places"`
	// KafkaPasswordFile is for a journal that asks for a login.
	KafkaPasswordFile string `help:"The file of the password for a journal that asks for a login; or have it in PINFLOW_KAFKA_PASSWORD." env:"PINFLOW_KAFKA_PASSWORD_FILE" placeholder:"FILE" example:"/etc/pinflow/kafka.password" group:"Places"`
	Lake              string `help:"The lake: file:///path or s3://bucket/prefix?endpoint=…&region=…. By default the folder lake in --data." env:"PINFLOW_LAKE" placeholder:"URL" example:"file:///var/lib/pinflow/lake" group:"Places"`
	Store             string `help:"The store: duckdb:///path or postgres://user@host/database. By default a DuckDB file in --data." env:"PINFLOW_STORE" placeholder:"URL" example:"duckdb:///var/lib/pinflow/store.duckdb" group:"Places"`
	StoreRead         string `help:"A PostgreSQL store's URL for queries: with a user who can only read, for instance. By default as --store." env:"PINFLOW_STORE_READ" placeholder:"URL" example:"postgres://reader@localhost/pinflow" group:"Places"`
	Pipeline          string `help:"The folder of the pipeline's definition. By default the one that ships with Pinflow." env:"PINFLOW_PIPELINE" placeholder:"DIR" example:"pipelines/mine" group:"Places"`
	Data              string `help:"The folder for all that is not put elsewhere. One process at a time owns it." default:"./pinflow-data" env:"PINFLOW_DATA" placeholder:"DIR" group:"Places"`
}

// LakeURL returns the lake's URL, the default one if none is set.
func (p Places) LakeURL() string {
	if p.Lake != "" {
		return p.Lake
	}
	return p.inData("file", "lake")
}

// StoreURL returns the store's URL, the default one if none is set.
func (p Places) StoreURL() string {
	if p.Store != "" {
		return p.Store
	}
	return p.inData("duckdb", "store.duckdb")
}

// JournalDir returns the folder of the embedded journal.
func (p Places) JournalDir() string { return filepath.Join(p.Data, "journal") }

// inData returns the URL of what has the given name in the data folder.
func (p Places) inData(scheme, name string) string {
	path, err := filepath.Abs(filepath.Join(p.Data, name))
	if err != nil { // the working directory is gone: opening the path will say so
		path = "/" + filepath.Join(p.Data, name)
	}
	return (&url.URL{Scheme: scheme, Path: filepath.ToSlash(path)}).String()
}

// Listen is where a process listens, each a host:port; port 0 is any free one.
type Listen struct {
	HTTP        string `name:"http" help:"Where the HTTP API and the dashboard listen. Beyond loopback it takes keys (pinflow key create), and TLS or --plain-http." default:"127.0.0.1:8000" env:"PINFLOW_HTTP" placeholder:"ADDR" group:"Addresses"`
	KafkaListen string `help:"Where the embedded broker listens for Kafka clients: a loopback address, or with --kafka-users any. Without effect with --journal kafka://…." default:"127.0.0.1:9092" env:"PINFLOW_KAFKA_LISTEN" placeholder:"ADDR" group:"Addresses"`
	// KafkaUsers and what follows are for clients of the embedded broker on other machines.
	KafkaUsers     string `help:"The file of who may log in to the embedded broker by SASL, a line name:password each, or as pinflow key kafka prints it. Everybody who comes by --kafka-listen must then." env:"PINFLOW_KAFKA_USERS" placeholder:"FILE" example:"/etc/pinflow/kafka.users" group:"Access"`
	KafkaTLSCert   string `name:"kafka-tls-cert" help:"The embedded broker's certificate chain, in PEM, for TLS." env:"PINFLOW_KAFKA_TLS_CERT" placeholder:"FILE" example:"/etc/pinflow/tls.crt" group:"Access"`
	KafkaTLSKey    string `name:"kafka-tls-key" help:"The certificate's key, in PEM." env:"PINFLOW_KAFKA_TLS_KEY" placeholder:"FILE" example:"/etc/pinflow/tls.key" group:"Access"`
	KafkaAdvertise string `help:"The host, or host:port, by which Kafka clients reach the embedded broker; by default as --kafka-listen says." env:"PINFLOW_KAFKA_ADVERTISE" placeholder:"HOST" example:"pins.example.com" group:"Addresses"`
	Access
}

// Timing is when things happen.
type Timing struct {
	LogPeriod time.Duration `help:"How long a log period is: whole seconds that divide a day. It is fixed when the lake is made; by default the lake's, a day for a new one." env:"PINFLOW_LOG_PERIOD" placeholder:"DURATION" example:"24h" group:"Timing"`
	SealGrace time.Duration `help:"How long after its end a log period stays open, for records that the broker's clock stamps late and for clocks that differ." default:"5m" env:"PINFLOW_SEAL_GRACE" placeholder:"DURATION" group:"Timing"`
	Patience  time.Duration `help:"How long the batch waits for a live half that is behind but goes on, so that there is something to compare with." default:"5m" env:"PINFLOW_PATIENCE" placeholder:"DURATION" group:"Timing"`
	LakeFlush time.Duration `help:"How long a record waits, at the most, before it is written to the lake." default:"60s" env:"PINFLOW_LAKE_FLUSH" placeholder:"DURATION" group:"Timing"`
}

// Limits bound what a process uses. What is over a limit waits, spills to disk or is answered with an error that says so.
type Limits struct {
	MaxRecord        Bytes         `help:"The largest record that is taken." default:"1MiB" env:"PINFLOW_MAX_RECORD" placeholder:"SIZE" group:"Limits"`
	MaxBulk          Bytes         `help:"The largest body of a post, decompressed." default:"64MiB" env:"PINFLOW_MAX_BULK" placeholder:"SIZE" group:"Limits"`
	IngestMemory     Bytes         `help:"Memory that all posts hold at a time." default:"128MiB" env:"PINFLOW_INGEST_MEMORY" placeholder:"SIZE" group:"Limits"`
	LakeMemory       Bytes         `help:"Memory for records on their way to the lake." default:"32MiB" env:"PINFLOW_LAKE_MEMORY" placeholder:"SIZE" group:"Limits"`
	DuckDBMemory     Bytes         `name:"duckdb-memory" help:"Memory that each DuckDB of the process may use before it spills to disk." default:"96MiB" env:"PINFLOW_DUCKDB_MEMORY" placeholder:"SIZE" group:"Limits"`
	BatchMemory      Bytes         `help:"Memory for the records that the batch works on at a time. More makes it faster, and fewer and larger Parquet files. By default 24MiB in pinflow up, and 192MiB in a process without a live half." env:"PINFLOW_BATCH_MEMORY" placeholder:"SIZE" example:"192MiB" group:"Limits"`
	StreamMemory     Bytes         `help:"Memory for the records that the live workers have in hand, together. More makes catching up faster. By default 24MiB for each in pinflow up, and 192MiB for all in pinflow stream." env:"PINFLOW_STREAM_MEMORY" placeholder:"SIZE" example:"192MiB" group:"Limits"`
	JournalRetention Bytes         `help:"How much log the embedded journal keeps of what is in the lake. More makes the start after a crash slower." default:"512MiB" env:"PINFLOW_JOURNAL_RETENTION" placeholder:"SIZE" group:"Limits"`
	SQLRows          int           `name:"sql-rows" help:"The most rows of an answer to a query in SQL over HTTP." default:"10000" env:"PINFLOW_SQL_ROWS" placeholder:"N" group:"Limits"`
	SQLTime          time.Duration `name:"sql-time" help:"The longest that such a query may take." default:"30s" env:"PINFLOW_SQL_TIME" placeholder:"DURATION" group:"Limits"`
}

// Logging is how a process logs, always to stderr.
type Logging struct {
	LogFormat string     `help:"How log lines look: text or json." default:"text" enum:"text,json" env:"PINFLOW_LOG_FORMAT" placeholder:"FORMAT" group:"Logging"`
	LogLevel  slog.Level `help:"What is logged: debug, info, warn or error, and all above it." default:"info" env:"PINFLOW_LOG_LEVEL" placeholder:"LEVEL" group:"Logging"`
}
