package embedded_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/realtest"
	"github.com/pinflow/pinflow/journal/embedded"
)

// TestKafkaTools uses Kafka's own command line tools.
func TestKafkaTools(t *testing.T) {
	script := realtest.Service(t, "kafka.sh", "install")
	b := open(t, embedded.Options{})
	j := connect(t, b)
	run := func(stdin, class string, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "bash", append([]string{script, "run", "org.apache.kafka.tools." + class, "--bootstrap-server", b.Addr()}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s %s: %v\n%s%s", class, args, err, stdout.String(), stderr.String())
		}
		return stdout.String()
	}
	if out := run("", "TopicCommand", "--create", "--topic", "tools", "--partitions", "3", "--replication-factor", "1"); !strings.Contains(out, "Created topic tools.") {
		t.Errorf("create said %q", out)
	}
	if out := run("", "TopicCommand", "--list"); strings.TrimSpace(out) != "tools" {
		t.Errorf("list said %q", out)
	}
	d, err := j.Describe(t.Context(), "tools")
	if err != nil {
		t.Fatal(err)
	}
	if out, ours := run("", "TopicCommand", "--describe", "--topic", "tools"), d.String(); sortedConfigs(out) != sortedConfigs(ours) {
		t.Errorf("describe said\n%s, ours is\n%s", out, ours)
	}
	const n = 50
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, "key-%d\tvalue %d\n", i, i)
	}
	since := time.Now().UnixMilli()
	run(lines.String(), "ConsoleProducer", "--topic", "tools", "--reader-property", "parse.key=true", "--compression-codec", "gzip")
	count := 0
	for p := range int32(3) {
		end := bounds(t, j.Topic, "tools", p).End
		for _, r := range readAll(t, j, pinflow.TopicPartition{Topic: "tools", Partition: p}, 0, end) {
			if r.Timestamp < since || strings.TrimPrefix(string(r.Key), "key-") != strings.TrimPrefix(string(r.Value), "value ") {
				t.Errorf("%s: %s = %s at %s", r.Position(), r.Key, r.Value, r.Time())
			}
			// Ours goes to the same partition.
			ours := j.Append(t.Context(), []pinflow.Draft{{Topic: "tools", Partition: pinflow.AnyPartition, Key: r.Key, Value: r.Value}})
			if ours[0].Err != nil || ours[0].Partition != p {
				t.Errorf("%s appended at %v, Kafka's producer chose partition %d", r.Key, ours[0], p)
			}
			count++
		}
	}
	if count != n {
		t.Fatalf("%d records of the console producer, want %d", count, n)
	}
	out := run("", "consumer.ConsoleConsumer", "--topic", "tools", "--group", "console", "--from-beginning", "--max-messages", fmt.Sprint(2*n),
		"--formatter-property", "print.timestamp=true", "--timeout-ms", "30000")
	if got := strings.Count(out, "LogAppendTime:"); got != 2*n {
		t.Errorf("the console consumer saw %d records with append time, want %d:\n%s", got, 2*n, out)
	}
	if out := run("", "consumer.group.ConsumerGroupCommand", "--describe", "--group", "console"); strings.Count(out, "tools") != 3 {
		t.Errorf("the group is described as\n%s", out)
	}
}

func bounds(t *testing.T, topic func(context.Context, string) (pinflow.Topic, error), name string, p int32) pinflow.PartitionBounds {
	t.Helper()
	d, err := topic(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return d.Partitions[p]
}

// sortedConfigs puts the configs in order: in Kafka's tool it is that of a hash table, and where two share a
// bucket that of kfake's answer, which is another one each time.
func sortedConfigs(description string) string {
	var out []string
	for _, line := range strings.Split(strings.TrimSpace(description), "\n") {
		head, configs, _ := strings.Cut(line, "\tConfigs: ")
		list := strings.Split(configs, ",")
		slices.Sort(list)
		out = append(out, head+" "+strings.Join(list, ","))
	}
	return strings.Join(out, "\n")
}

const pythonScript = `
import sys
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
address = sys.argv[1]
admin = KafkaAdminClient(bootstrap_servers=address)
admin.create_topics([NewTopic("python", 1, 1)])
admin.close()
for codec in None, "gzip":
    producer = KafkaProducer(bootstrap_servers=address, compression_type=codec, acks="all", linger_ms=50)
    sent = [producer.send("python", key=b"k", value=b"from python %d" % i, timestamp_ms=1000000000000 + i) for i in range(10)]
    for s in sent: s.get(timeout=30)
    producer.close()
for group in None, "python":
    consumer = KafkaConsumer("python", "ours", bootstrap_servers=address, group_id=group, auto_offset_reset="earliest", consumer_timeout_ms=20000)
    for topic in "python", "ours": consumer.partitions_for_topic(topic) # 3.0.12 may wait for ever if it learns of them while it joins
    for i, r in enumerate(consumer):
        print(group, r.topic, r.offset, r.timestamp, r.timestamp_type, r.value.decode(), sep="\t")
        if i == 29: break
    consumer.close()
`

// TestKafkaPython uses the client of the Python world.
func TestKafkaPython(t *testing.T) {
	python := kafkaPython(t)
	c := newClock()
	b := open(t, embedded.Options{Clock: c.now})
	j := connect(t, b)
	ensure(t, j, "ours", 1)
	for i := range 10 {
		if r := j.Append(t.Context(), []pinflow.Draft{{Topic: "ours", Value: fmt.Appendf(nil, "from us %d", i)}}); r[0].Err != nil {
			t.Fatal(r[0].Err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-c", pythonScript, b.Addr())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var want []string
	for _, group := range []string{"None", "python"} {
		for i := range 10 {
			want = append(want, fmt.Sprintf("%s\tours\t%d\t%d\t1\tfrom us %d", group, i, c.now().UnixMilli(), i))
		}
		for i := range 20 {
			want = append(want, fmt.Sprintf("%s\tpython\t%d\t%d\t1\tfrom python %d", group, i, c.now().UnixMilli(), i%10))
		}
	}
	got := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(got)
	slices.Sort(want)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("kafka-python saw\n%s\nwant\n%s\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), stderr.String())
	}
	if records := readAll(t, j, pinflow.TopicPartition{Topic: "python"}, 0, 20); string(records[19].Value) != "from python 9" {
		t.Errorf("the last record of kafka-python is %q", records[19].Value)
	}
}

// kafkaPython returns a Python that has kafka-python.
func kafkaPython(t *testing.T) string {
	t.Helper()
	python := os.Getenv("PINFLOW_TEST_PYTHON")
	if out, err := exec.CommandContext(t.Context(), python, "-c", "import kafka").CombinedOutput(); err != nil {
		realtest.Missing(t, "test of kafka-python: set PINFLOW_TEST_PYTHON to a python that has it to run it: %v\n%s", err, out)
	}
	return python
}
