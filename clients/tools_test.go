package clients

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/pinflow/pinflow/internal/realtest"
)

// tool runs one of Kafka's own command line tools.
func tool(t *testing.T, stdin, class string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", append([]string{realtest.Service(t, "kafka.sh", "install"), "run", "org.apache.kafka.tools." + class}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	return output(t, cmd)
}
