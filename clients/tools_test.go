package clients

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/pinflow/pinflow/internal/realtest"
)

// tool runs one of Kafka's own command line tools.
func tool(t *testing.T, stdin, class string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", append([]string{realtest.Service(t, "kafka.sh", "install"), "run", "org.apache.kafka.tools." + class}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, _ := output(t, cmd)
	return out
}

// TestAdministration makes, lists and describes topics with each client.
func TestAdministration(t *testing.T) {
	others := kafkaClients(t)
	eachJournal(t, func(t *testing.T, p *process) {
		made := []string{p.topic + "-tools"}
		if p.shared {
			defer func() { deleteTopics(t, p.brokers, made...) }()
		}
		topics := func(args ...string) string {
			return tool(t, "", "TopicCommand", append([]string{"--bootstrap-server", p.brokers}, args...)...)
		}
		if out := topics("--create", "--topic", made[0], "--partitions", "2", "--replication-factor", "1"); !strings.Contains(out, "Created topic "+made[0]+".") {
			t.Errorf("create prints %q", out)
		}
		if out := strings.Fields(topics("--list")); !slices.Contains(out, made[0]) || !slices.Contains(out, p.topic) {
			t.Errorf("list prints %q", out)
		}
		theirs, ours := topics("--describe", "--topic", p.topic), p.pinflow("topic", "describe", "--topic", p.topic, "--bootstrap-server", p.brokers)
		if !strings.Contains(theirs, "message.timestamp.type=LogAppendTime") || strings.Count(theirs, "\tPartition: ") != topicParts || sortedConfigs(ours) != sortedConfigs(theirs) {
			t.Errorf("describe prints\n%sand pinflow's\n%s", theirs, ours)
		}
		for _, c := range others {
			topic := p.topic + "-" + strings.ReplaceAll(c.name, "=", "-")
			made = append(made, topic)
			var got struct {
				Listed     bool
				Partitions []int
			}
			c.run(t, "admin", map[string]any{"brokers": p.brokers, "topic": topic}, &got)
			if !got.Listed || !slices.Equal(got.Partitions, []int{2, 3}) {
				t.Errorf("%s made a topic of 2 partitions, then 3, and sees %+v", c.name, got)
			}
		}
	})
}

// sortedConfigs puts the configs of a description in order: Kafka's tool shows them in that of a hash table.
func sortedConfigs(description string) string {
	lines := strings.Split(strings.TrimSpace(description), "\n")
	for i, line := range lines {
		head, configs, _ := strings.Cut(line, "\tConfigs: ")
		list := strings.Split(configs, ",")
		slices.Sort(list)
		lines[i] = head + " " + strings.Join(list, ",")
	}
	return strings.Join(lines, "\n")
}
