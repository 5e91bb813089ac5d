package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pinflow/pinflow/emulate"
	"github.com/pinflow/pinflow/journal/kafka"
)

// TestKafkaUsers lets a Kafka client from elsewhere in, who has to log in; Pinflow's own processes and commands need not.
func TestKafkaUsers(t *testing.T) {
	var line, password bytes.Buffer
	if code := run(t.Context(), []string{"key", "kafka", "reader"}, &line, &password); code != exitDone {
		t.Fatal(password.String())
	}
	if strings.Contains(line.String(), secretIn(password.String())) {
		t.Fatalf("the file is to hold the password itself: %s", line.String())
	}
	file := filepath.Join(t.TempDir(), "users")
	must(t, os.WriteFile(file, line.Bytes(), 0o600))
	data := dataFolder(t)
	p := start(t, data, "up", "--kafka-listen", "0.0.0.0:0", "--kafka-advertise", "127.0.0.1", "--kafka-users", file)
	if _, err := emulate.Run(t.Context(), emulate.Options{To: p.info.HTTP + "/pin/", Seed: 1, Count: 20, Rate: 1000}); err != nil {
		t.Fatal(err)
	}
	waitUntilCounted(t, p, pins)
	if list := command(t, "topic", "list", "--data", data); !strings.Contains(list, pins) {
		t.Errorf("topic list shows %q", list)
	}

	address := addressOf(t, p)
	open := func(s kafka.Security) error {
		j, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{address}, Security: s, OpenTimeout: 5 * time.Second})
		if err != nil {
			return err
		}
		defer j.Close()
		topic, err := j.Topic(t.Context(), pins)
		if err == nil && topic.Partitions[0].End != 20 {
			t.Errorf("the topic ends at %d", topic.Partitions[0].End)
		}
		return err
	}
	right := kafka.Security{Mechanism: kafka.ScramSHA512, User: "reader", Password: kafka.Password(secretIn(password.String()))}
	must(t, open(right))
	if open(kafka.Security{}) == nil {
		t.Error("one who does not log in reads the topic")
	}
	right.Password = "guessed"
	if open(right) == nil {
		t.Error("one who guesses the password reads the topic")
	}
}

// secretIn is the password that was printed.
func secretIn(text string) string { return strings.TrimSpace(text[strings.LastIndex(text, " ")+1:]) }

// addressOf is where Kafka clients are told to connect.
func addressOf(t *testing.T, p *process) string {
	t.Helper()
	for line := range strings.Lines(p.out.String()) {
		if address, found := strings.CutPrefix(strings.TrimSpace(line), "Kafka   "); found {
			return address
		}
	}
	t.Fatalf("no address of Kafka is shown: %s", p.out)
	return ""
}
