package kafka_test

import (
	"context"
	"os"
	"testing"

	"github.com/pinflow/pinflow/journal/journaltest"
	"github.com/pinflow/pinflow/journal/kafka"
)

func TestMain(m *testing.M) {
	os.Exit(journaltest.Main(m, func(ctx context.Context, brokers string) (journaltest.Journal, error) {
		return kafka.Open(ctx, kafka.Options{Brokers: []string{brokers}})
	}))
}
