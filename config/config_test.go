package config

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/pinflow/pinflow"
)

// commands are as a program would have them.
type commands struct {
	File
	Up   struct{ Settings } `cmd:""`
	Lake struct {
		Places
		common
		Common `embed:""`
	} `cmd:""`
	Metric struct {
		Places
		HTTP string // of the Pinflow to ask
	} `cmd:""`
}

type common struct{}

type Common struct{ Timing }

// parse parses a command line in an empty folder, with nothing of Pinflow's in the environment but env, and
// pinflow.yaml if content is not empty.
func parse(t *testing.T, content string, env map[string]string, args ...string) (*commands, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if content != "" {
		write(t, "pinflow.yaml", content)
	}
	for _, e := range os.Environ() {
		if name, value, _ := strings.Cut(e, "="); strings.HasPrefix(name, "PINFLOW_") {
			t.Setenv(name, value) // to be restored
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, value := range env {
		t.Setenv(name, value)
	}
	var c commands
	parser, err := kong.New(&c, Kong())
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return &c, err
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDefaults(t *testing.T) {
	c, err := parse(t, "", nil, "up")
	if err != nil {
		t.Fatal(err)
	}
	want := Settings{
		Places:  Places{Journal: "embedded:", Data: "./pinflow-data"},
		Listen:  Listen{HTTP: "127.0.0.1:8000", KafkaListen: "127.0.0.1:9092"},
		Timing:  Timing{SealGrace: 5 * time.Minute, Patience: 5 * time.Minute, LakeFlush: time.Minute},
		Limits:  Limits{MaxRecord: 1 << 20, MaxBulk: 64 << 20, IngestMemory: 128 << 20, LakeMemory: 32 << 20, DuckDBMemory: 96 << 20, JournalRetention: 512 << 20, SQLRows: 10_000, SQLTime: 30 * time.Second},
		Logging: Logging{LogFormat: "text"},
	}
	if c.Up.Settings != want {
		t.Errorf("got  %+v\nwant %+v", c.Up.Settings, want)
	}
	if err := c.Up.Check(); err != nil {
		t.Error(err)
	}
}

// TestPrecedence gives one setting in every combination of the ways to give it.
func TestPrecedence(t *testing.T) {
	for mask := range 8 {
		var content string
		var env map[string]string
		args := []string{"up"}
		want := time.Duration(0) // a log period has no default: zero is "not given"
		if mask&1 != 0 {
			content, want = "log-period: 1h\n", time.Hour
		}
		if mask&2 != 0 {
			env, want = map[string]string{"PINFLOW_LOG_PERIOD": "1m"}, time.Minute
		}
		if mask&4 != 0 {
			args, want = append(args, "--log-period=1s"), time.Second
		}
		c, err := parse(t, content, env, args...)
		if err != nil || c.Up.LogPeriod != want {
			t.Errorf("file %q, environment %v, %v: %v %v", content, env, args, c.Up.LogPeriod, err)
		}
	}
}

// TestEverySettingHasOneName: each can be given by flag, variable and file, under one name.
func TestEverySettingHasOneName(t *testing.T) {
	settings, err := flags()
	if err != nil {
		t.Fatal(err)
	}
	if len(settings) < 15 {
		t.Errorf("only %d settings", len(settings))
	}
	values := map[string]string{
		"journal": "kafka://a:1", "lake": "s3://b", "store": "postgres://h/d", "store-read": "postgres://r@h/d", "http": "127.0.0.1:1", "kafka-listen": "localhost:2", "log-period": "1h", "sql-rows": "7",
		"log-format": "json", "log-level": "debug", "lake-flush": "2s", "seal-grace": "4s", "patience": "6s", "sql-time": "3s", "max-record": "2MiB",
		"plain-http": "true",
	}
	need := map[string]map[string]string{"tls-cert": {"PINFLOW_TLS_KEY": "k"}, "tls-key": {"PINFLOW_TLS_CERT": "c"}} // what one makes no sense without
	for _, s := range settings {
		if want := "PINFLOW_" + strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_")); !slices.Equal(s.Tag.Envs, []string{want}) {
			t.Errorf("%s has the variables %v", s.Name, s.Tag.Envs)
			continue
		}
		if s.Help == "" || s.PlaceHolder == "" || s.Group == nil || !s.HasDefault && s.Tag.Get("example") == "" {
			t.Errorf("%s lacks help, placeholder, group or example", s.Name)
		}
		value := values[s.Name]
		if value == "" {
			value = "99MiB" // a size, or any name of a folder
		}
		env := map[string]string{s.Tag.Envs[0]: value}
		maps.Copy(env, need[s.Name])
		byEnv, err2 := parse(t, "", env, "up")
		byFlag, err1 := parse(t, "", need[s.Name], "up", "--"+s.Name+"="+value)
		byFile, err3 := parse(t, s.Name+": "+value+"\n", need[s.Name], "up")
		if err1 != nil || err2 != nil || err3 != nil {
			t.Errorf("%s: %v, %v, %v", s.Name, err1, err2, err3)
			continue
		}
		byDefault, _ := parse(t, "", need[s.Name], "up")
		if byFlag.Up != byEnv.Up || byFlag.Up != byFile.Up || byFlag.Up == byDefault.Up {
			t.Errorf("%s:\n%+v\n%+v\n%+v", s.Name, byFlag.Up, byEnv.Up, byFile.Up)
		}
	}
}

func TestTheFileSpeaksOfSettingsOnly(t *testing.T) {
	c, err := parse(t, "http: 127.0.0.1:1\nlake: file:///l\n", map[string]string{"PINFLOW_HTTP": "127.0.0.1:2"}, "metric")
	if err != nil || c.Metric.HTTP != "" || c.Metric.Lake != "file:///l" {
		t.Errorf("%+v %v", c.Metric, err)
	}
}

func TestConfigFile(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other.yaml")
	write(t, other, "lake-flush: 3s\n")
	for name, parsed := range map[string]func() (*commands, error){
		"flag":     func() (*commands, error) { return parse(t, "http: wrong\n", nil, "up", "--config", other) },
		"before":   func() (*commands, error) { return parse(t, "", nil, "--config", other, "up") },
		"variable": func() (*commands, error) { return parse(t, "", map[string]string{"PINFLOW_CONFIG": other}, "up") },
	} {
		if c, err := parsed(); err != nil || c.Up.LakeFlush != 3*time.Second {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := parse(t, "", nil, "up", "--config", other+"x"); pinflow.KindOf(err) != pinflow.NotFound {
		t.Errorf("a missing file: %v", err)
	}
}

func TestFaultsOfAFile(t *testing.T) {
	const content = `# settings
lake-flsh: 1s
http: 127.0.0.1:8001
log_period: 1h
max-bulk: lots

sql-time: 5
journal: [a, b]
store:
log-format: xml
log-level: loud
whatever: 1
sql-rows: many
kafka-listen: {a: b}
`
	_, err := parse(t, content, nil, "up")
	if pinflow.KindOf(err) != pinflow.Invalid {
		t.Fatal(err)
	}
	for _, want := range []string{
		`pinflow.yaml:2: there is no setting "lake-flsh" (Did you mean lake-flush?)`, `pinflow.yaml:4: there is no setting "log_period" (Did you mean log-period?)`,
		"pinflow.yaml:5: max-bulk: ", "pinflow.yaml:7: sql-time: ", "pinflow.yaml:8: journal must have one value", "pinflow.yaml:9: store must have one value",
		`pinflow.yaml:10: log-format: "xml" is none of text, json`, "pinflow.yaml:11: log-level: ", `pinflow.yaml:12: there is no setting "whatever" (pinflow up --help lists the settings.)`,
		"pinflow.yaml:13: sql-rows: ", "pinflow.yaml:14: kafka-listen must have one value",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
	if n := strings.Count(err.Error(), "\n  pinflow.yaml:"); n != 11 || !strings.Contains(err.Error(), "11 faults") {
		t.Errorf("%d faults in\n%v", n, err)
	}
	for content, want := range map[string]string{
		"http: localhost:1\nhttp: localhost:2\n": "pinflow.yaml:2:", "http: localhost:1\n\"http\": localhost:2\n": "pinflow.yaml:2:", "HTTP: localhost:1": "Did you mean http?", "- a\n": "pinflow.yaml:1: settings are written", "http: \"a\n": "pinflow.yaml:1:", "a\n": "pinflow.yaml:1: settings are written",
		"lake: file:///a\n---\nstore: duckdb:///b\n": "more than one document", "\thttp: x": "pinflow.yaml:1:", "lake: &a file:///a\n": "must have one value",
	} {
		if _, err := parse(t, content, nil, "up"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", content, err)
		}
	}
	for _, content := range []string{"# nothing\n", "---\n", "\n", "null\n", "---\nhttp: '127.0.0.1:8001'\n", "# a\n\nlake: >-\n  file:///a\n"} {
		if _, err := parse(t, content, nil, "up"); err != nil {
			t.Errorf("%q: %v", content, err)
		}
	}
}

// TestCheckTellsEveryFault: one line for each, with what to do.
func TestCheckTellsEveryFault(t *testing.T) {
	_, err := parse(t, "", nil, "up", "--journal=embeded:", "--lake=lake", "--store=mysql://h/d", "--data=", "--http=0.0.0.0:8000", "--kafka-listen=9092", "--log-period=7h",
		"--lake-flush=0s", "--max-record=1", "--max-bulk=0", "--ingest-memory=0", "--lake-memory=0", "--duckdb-memory=1MiB", "--journal-retention=1", "--sql-rows=0", "--sql-time=0s")
	if pinflow.KindOf(err) != pinflow.Invalid {
		t.Fatal(err)
	}
	lines := strings.Split(err.Error(), "\n")
	if lines[0] != "read the settings: 16 faults:" || len(lines) != 17 {
		t.Error(err)
	}
	for _, line := range lines[1:] {
		if !regexp.MustCompile(`^  .+: .+ \(.+\.\)$`).MatchString(line) {
			t.Errorf("there is no hint in %q", line)
		}
	}
}

func TestAddresses(t *testing.T) {
	for address, loopback := range map[string]bool{
		"127.0.0.1:8123": true, "localhost:0": true, "[::1]:8123": true, "127.9.9.9:1": true,
		":8123": false, "0.0.0.0:8123": false, "[::]:8123": false, "10.0.0.1:8123": false, "example.com:80": false,
	} {
		for flag, takes := range map[string]bool{"--http=": loopback, "--kafka-listen=": loopback, "--plain-http\x00--http=": true, "--tls-cert=c\x00--tls-key=k\x00--http=": true, "--plain-http\x00--kafka-listen=": loopback} {
			c, err := parse(t, "", nil, append([]string{"up"}, strings.Split(flag+address, "\x00")...)...)
			if (err == nil) != takes {
				t.Errorf("%s%s: %v", flag, address, err)
			}
			if strings.HasSuffix(flag, "--http=") && c.Up.IsPublic() == loopback {
				t.Errorf("%s is public: %v", address, c.Up.IsPublic())
			}
		}
	}
	for _, address := range []string{"127.0.0.1", "127.0.0.1:x", "", "127.0.0.1:70000"} {
		for _, flag := range []string{"--http=", "--kafka-listen="} {
			if _, err := parse(t, "", nil, "up", "--plain-http", flag+address); err == nil {
				t.Errorf("%s%s", flag, address)
			}
		}
	}
	if _, err := parse(t, "", nil, "up", "--http=127.0.0.1:9092"); err == nil {
		t.Error("two listeners on one address")
	}
	if _, err := parse(t, "", nil, "up", "--http=127.0.0.1:0", "--kafka-listen=127.0.0.1:0"); err != nil {
		t.Error(err)
	}
}

func TestPasswordsAreForTheEnvironmentAndTheFile(t *testing.T) {
	const url = "postgres://u:hush@h/d"
	for name, c := range map[string]struct {
		content string
		env     map[string]string
		args    []string
		ok      bool
	}{
		"flag":               {"", nil, []string{"up", "--store", url}, false},
		"flag as parameter":  {"", nil, []string{"up", "--store=postgres://h/d?password=hush"}, false},
		"flag of a part":     {"", nil, []string{"metric", "--store", url}, false},
		"kafka":              {"", nil, []string{"up", "--journal", "kafka://u:hush@a:1,b:2"}, false},
		"variable":           {"", map[string]string{"PINFLOW_STORE": url}, []string{"up"}, true},
		"file":               {"store: " + url + "\n", nil, []string{"up"}, true},
		"variable over file": {"store: " + url + "\n", map[string]string{"PINFLOW_STORE": url}, []string{"up"}, true},
		"flag without":       {"", nil, []string{"up", "--store", "postgres://u@h/d"}, true},
	} {
		parsed, err := parse(t, c.content, c.env, c.args...)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "environment") || name == "kafka" && !strings.Contains(err.Error(), "PINFLOW_KAFKA_PASSWORD") || pinflow.KindOf(err) != pinflow.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
		if len(c.args) == 1 && parsed.Up.Store != url {
			t.Errorf("%s: the store is %s", name, parsed.Up.Store)
		}
	}
}

// TestPartsAreChecked: in whatever way a command embeds them.
func TestPartsAreChecked(t *testing.T) {
	_, err := parse(t, "", nil, "lake", "--lake=x", "--log-period=7h")
	if err == nil || !strings.Contains(err.Error(), "2 faults") {
		t.Errorf("both parts of the command: %v", err)
	}
	if _, err := parse(t, "log-period: 7h\nhttp: 0.0.0.0:1\n", nil, "metric"); err != nil {
		t.Errorf("a setting that the command does not have: %v", err)
	}
}

func TestSample(t *testing.T) {
	sample, err := Sample()
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(sample), "\n") {
		if len([]rune(line)) > 130 {
			t.Errorf("line %d is %d characters long", i+1, len(line))
		}
	}
	defaults, err := parse(t, "", nil, "up")
	if err != nil {
		t.Fatal(err)
	}
	asItIs, err := parse(t, string(sample), nil, "up")
	if err != nil || asItIs.Up != defaults.Up {
		t.Errorf("the sample gives %+v %v", asItIs.Up, err)
	}
	settings, err := flags()
	if err != nil {
		t.Fatal(err)
	}
	active := regexp.MustCompile(`(?m)^#([a-z])`).ReplaceAll(sample, []byte("$1"))
	all, err := parse(t, string(active), nil, "up")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(regexp.MustCompile(`(?m)^[a-z]`).FindAll(active, -1)); n != len(settings) {
		t.Errorf("%d lines with settings, want %d", n, len(settings))
	}
	examples := map[string]string{}
	for _, s := range settings {
		if !s.HasDefault {
			examples[s.Name] = s.Tag.Get("example")
		}
	}
	want := defaults.Up
	want.Lake, want.Store, want.Pipeline, want.LogPeriod = examples["lake"], examples["store"], examples["pipeline"], 24*time.Hour
	want.KafkaPasswordFile = examples["kafka-password-file"]
	want.StoreRead = examples["store-read"]
	want.KafkaUsers, want.KafkaTLSCert, want.KafkaTLSKey, want.KafkaAdvertise = examples["kafka-users"], examples["kafka-tls-cert"], examples["kafka-tls-key"], examples["kafka-advertise"]
	for name, size := range map[string]*Bytes{"batch-memory": &want.BatchMemory, "stream-memory": &want.StreamMemory} {
		if err := size.UnmarshalText([]byte(examples[name])); err != nil {
			t.Fatal(err)
		}
	}
	want.KeysFile, want.TLSCert, want.TLSKey, want.PublicHost = examples["keys-file"], examples["tls-cert"], examples["tls-key"], Hosts(examples["public-host"])
	if !reflect.DeepEqual(all.Up, want) {
		t.Errorf("with all lines active:\ngot  %+v\nwant %+v", all.Up, want)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"lake-flsh", "lake-flush", 1}, {"kitten", "sitting", 3}, {"abc", "acb", 2}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
		if distance(c.b, c.a) != c.want {
			t.Errorf("%q and %q: not the same both ways", c.a, c.b)
		}
	}
}

func TestPublicHosts(t *testing.T) {
	c, err := parse(t, "", nil, "up", "--public-host=a.example", "--public-host", "b.example:8443, c")
	if err != nil || !slices.Equal(c.Up.PublicHost.Names(), []string{"a.example", "b.example:8443", "c"}) {
		t.Errorf("%q %v", c.Up.PublicHost, err)
	}
	if c, err = parse(t, "public-host: a,b\n", nil, "up"); err != nil || !slices.Equal(c.Up.PublicHost.Names(), []string{"a", "b"}) {
		t.Errorf("%q %v", c.Up.PublicHost, err)
	}
	if c, err = parse(t, "", nil, "up"); err != nil || c.Up.PublicHost.Names() != nil {
		t.Errorf("%q %v", c.Up.PublicHost.Names(), err)
	}
	for _, wrong := range []string{"", "*", "a,,b", "https://a", "a/b", "u@a"} {
		if _, err := parse(t, "", nil, "up", "--public-host="+wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestCertificateAndKeyGoTogether(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--tls-cert=c"}, "key is missing"}, {[]string{"--tls-key=k"}, "certificate is missing"}, {[]string{"--tls-cert=c", "--tls-key=k"}, ""},
		{[]string{"--tls-cert=c", "--tls-key=k", "--plain-http"}, "there is a certificate too"},
	} {
		_, err := parse(t, "", nil, append([]string{"up"}, c.args...)...)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c.args, err)
		}
	}
}
