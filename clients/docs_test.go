package clients

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pinflow/pinflow/internal/realtest"
)

// example is a block of code in a page of the documentation.
var example = regexp.MustCompile("(?ms)^```(python|sh)\n(.*?)^```$")

// preludes make what stands in a block run here.
var preludes = map[string]string{
	"python": "import warnings\nwarnings.simplefilter('ignore')\n",
	"sh": `set -e
kafka-topics.sh() { bash "$KAFKA_SH" run org.apache.kafka.tools.TopicCommand "$@"; }
kafka-console-producer.sh() { bash "$KAFKA_SH" run org.apache.kafka.tools.ConsoleProducer "$@"; }
kafka-console-consumer.sh() { bash "$KAFKA_SH" run org.apache.kafka.tools.consumer.ConsoleConsumer "$@"; }
kafka-consumer-groups.sh() { bash "$KAFKA_SH" run org.apache.kafka.tools.consumer.group.ConsumerGroupCommand "$@"; }
`,
}

// TestExamples runs the examples of docs/CLIENTS.md, and those in Python of docs/FORMAT.md, against a Pinflow with some posts.
func TestExamples(t *testing.T) {
	python := interpreter(t)
	tools, sparkScript := realtest.Service(t, "kafka.sh", "install"), realtest.Service(t, "spark.sh", "install")
	p := up(t, "", "--log-period", "2s", "--seal-grace", "0s")
	taken := post(t, p, posts(t, "examples", 50))
	p.installed(len(taken))
	manifests, err := filepath.Glob(filepath.Join(p.data, "lake", "gen=*", "_periods", "*.json"))
	manifests = slices.DeleteFunc(manifests, func(name string) bool { return cleanPosts(t, name) == 0 }) // the last period may be one of no post
	if err != nil || len(manifests) == 0 {
		t.Fatal(manifests, err)
	}
	lake, last := filepath.Join(p.data, "lake"), manifests[len(manifests)-1]
	generation := strings.TrimPrefix(filepath.Base(filepath.Dir(filepath.Dir(last))), "gen=")
	here := strings.NewReplacer("127.0.0.1:9092", p.brokers, "http://127.0.0.1:8000", p.http, "PinterestPipelineTopic", p.topic, "pinflow-data/lake", lake,
		"gen=GENERATION", "gen="+generation, "period=2026-11-22", "period="+strings.TrimSuffix(filepath.Base(last), ".json"),
		"2026-11-22.json", filepath.Base(last))
	ran := 0
	for _, name := range []string{"CLIENTS.md", "FORMAT.md"} {
		for i, block := range example.FindAllStringSubmatch(page(t, name), -1) {
			language, code := block[1], preludes[block[1]]+here.Replace(block[2])
			if name == "FORMAT.md" && language == "sh" {
				continue
			}
			ran++
			t.Run(fmt.Sprintf("%s %d %s", name, i, language), func(t *testing.T) {
				t.Parallel()
				var cmd *exec.Cmd
				switch {
				case language == "sh":
					cmd = exec.CommandContext(t.Context(), "bash", "-c", code)
				case strings.Contains(code, "spark.read"):
					file := filepath.Join(t.TempDir(), "example.py")
					if err := os.WriteFile(file, []byte("from pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n"+code), 0o600); err != nil {
						t.Fatal(err)
					}
					cmd = exec.CommandContext(t.Context(), "bash", sparkScript, "submit", file)
				default:
					cmd = exec.CommandContext(t.Context(), python, "-c", code)
				}
				cmd.Env = append(os.Environ(), "KAFKA_SH="+tools)
				output(t, cmd)
			})
		}
	}
	if ran < 9 {
		t.Errorf("only %d examples were found", ran)
	}
}

// TestVersions holds the table of versions in docs/CLIENTS.md to what the tests use, but for the readers of the lake, who tell themselves.
func TestVersions(t *testing.T) {
	for _, c := range kafkaClients(t) {
		name, version, _ := strings.Cut(c.name, "==")
		isDocumented(t, name, version)
	}
	text, err := os.ReadFile("requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	isDocumented(t, "requests", regexp.MustCompile(`requests==(\S+)`).FindStringSubmatch(string(text))[1])
	isDocumented(t, "Kafka's console tools", strings.Fields(tool(t, "", "TopicCommand", "--version"))[0])
	modules, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	isDocumented(t, "franz-go", regexp.MustCompile(`franz-go v(\S+)`).FindStringSubmatch(string(modules))[1])
}

// isDocumented looks for a client's version in its rows of the page's table.
func isDocumented(t *testing.T, client, version string) {
	t.Helper()
	rows := regexp.MustCompile(`(?mi)^\| `+client+`\b[^|]*\|([^|]*)\|`).FindAllStringSubmatch(page(t, "CLIENTS.md"), -1)
	for _, row := range rows {
		if !slices.Contains(strings.Split(strings.TrimSpace(row[1]), ", "), version) {
			t.Errorf("docs/CLIENTS.md tells of %s %s, tested is %s", client, row[1], version)
		}
	}
	if len(rows) == 0 {
		t.Errorf("docs/CLIENTS.md does not tell of %s", client)
	}
}

// page is a page of the documentation.
func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
