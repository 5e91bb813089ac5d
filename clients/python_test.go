package clients

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pinflow/pinflow/internal/realtest"
)

// client is a Python client of Kafka in one version.
type client struct {
	name   string // as PyPI has it, with its version
	script string
	path   string // where Python finds it, if it is not that of the environment
}

// kafkaClients are those of requirements.txt and of older.txt.
func kafkaClients(t *testing.T) []client {
	t.Helper()
	var all []client
	for _, file := range []string{"requirements.txt", "older.txt"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			script, isKafka := map[string]string{"kafka-python": "kafka_python.py", "confluent-kafka": "confluent.py"}[strings.Split(line, "==")[0]]
			if !isKafka {
				continue
			}
			c := client{name: line, script: script}
			if file == "older.txt" {
				c.path = filepath.Join(filepath.Dir(filepath.Dir(interpreter(t))), "older", line)
				if _, err := os.Stat(c.path); err != nil {
					realtest.Missing(t, "test of %s: install it with clients/install.sh", line)
				}
			}
			all = append(all, c)
		}
	}
	return all
}

// isConfluent tells the one client from the other.
func (c client) isConfluent() bool { return c.script == "confluent.py" }

// isBefore tells whether the client is kafka-python of an older major and minor version.
func (c client) isBefore(version string) bool {
	name, has, _ := strings.Cut(c.name, "==")
	return name == "kafka-python" && has < version
}

// run runs a verb of the client's script.
func (c client) run(t *testing.T, verb string, ask map[string]any, into any) {
	t.Helper()
	text, err := json.Marshal(ask)
	if err != nil {
		t.Fatal(err)
	}
	script(t, c.path, into, c.script, verb, string(text))
}

// script runs a script of testdata and decodes what it prints. A client that has something to complain about fails the test.
func script(t *testing.T, path string, into any, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), interpreter(t), append([]string{filepath.Join("testdata", name)}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+path, "PYTHONDONTWRITEBYTECODE=1", "PYTHONWARNINGS=ignore")
	out, complaints := output(t, cmd)
	if complaints != "" {
		t.Errorf("%s %s complains:\n%s", name, args[:min(1, len(args))], complaints)
	}
	decode(t, out, into)
}

// importable tells, once, whether the Python of PINFLOW_TEST_PYTHON has all that the scripts import.
var importable = sync.OnceValues(func() ([]byte, error) {
	return exec.Command(os.Getenv("PINFLOW_TEST_PYTHON"), "-c", "import confluent_kafka, duckdb, kafka, pandas, pyarrow, requests").CombinedOutput()
})

// interpreter is the Python that install.sh has made.
func interpreter(t *testing.T) string {
	t.Helper()
	if out, err := importable(); err != nil {
		realtest.Missing(t, "test of clients: set PINFLOW_TEST_PYTHON to the Python of the folder that clients/install.sh fills: %v\n%s", err, out)
	}
	return os.Getenv("PINFLOW_TEST_PYTHON")
}
