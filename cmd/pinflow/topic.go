package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/internal/datalock"
	"github.com/pinflow/pinflow/journal/kafka"
)

// topicCmd is what Kafka's own tools do, for the embedded broker or any other.
type topicCmd struct {
	Create   topicCreate   `cmd:"" help:"Make a topic with append time."`
	Describe topicDescribe `cmd:"" help:"Show topics as Kafka's tool does."`
	List     topicList     `cmd:"" help:"List the topics."`
	Consume  topicConsume  `cmd:"" help:"Print the values of a topic's records, one a line."`
}

// broker is where the topic commands find one.
type broker struct {
	BootstrapServer string `help:"The broker's host:port, or several separated by commas. By default the one that the running Pinflow of --data has, else 127.0.0.1:9092." placeholder:"HOST:PORT"`
	Data            string `help:"The folder of the running Pinflow." default:"./pinflow-data" env:"PINFLOW_DATA_DIR,PINFLOW_DATA" hidden:""`
}

const defaultBroker = "127.0.0.1:9092"

func (b broker) open(ctx context.Context) (*kafka.Journal, error) {
	at := b.BootstrapServer
	if at == "" {
		at = defaultBroker
		if holder, err := datalock.Holder(b.Data); err == nil && holder != nil && holder.Kafka != "" {
			at = holder.Kafka
		}
	}
	return kafka.Open(ctx, kafka.Options{Brokers: strings.Split(at, ","), OpenTimeout: 5 * time.Second})
}
