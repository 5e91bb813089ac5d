package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/config"
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

// Help is shown by --help.
func (topicCmd) Help() string {
	return `Example:

  pinflow topic describe --topic PinterestPipelineTopic`
}

// broker is where the topic commands find one.
type broker struct {
	BootstrapServer   string `help:"The broker's host:port, or several separated by commas. By default that of --journal, then the one that the running Pinflow of --data has, else 127.0.0.1:9092." placeholder:"HOST:PORT"`
	Journal           string `help:"The journal's URL, as for pinflow up: kafka://user@host:port?tls=true for brokers that are not open to everybody." default:"embedded:" env:"PINFLOW_JOURNAL" placeholder:"URL"`
	KafkaPasswordFile string `help:"The file of the password for a journal that asks for a login; or have it in PINFLOW_KAFKA_PASSWORD." env:"PINFLOW_KAFKA_PASSWORD_FILE" type:"path" placeholder:"FILE"`
	Data              string `help:"The folder of the running Pinflow." default:"./pinflow-data" env:"PINFLOW_DATA" type:"path" placeholder:"DIR"`
}

const defaultBroker = "127.0.0.1:9092"

func (b broker) open(ctx context.Context) (*kafka.Journal, error) {
	o := kafka.Options{OpenTimeout: 5 * time.Second}
	if b.BootstrapServer != "" {
		o.Brokers = strings.Split(b.BootstrapServer, ",")
		return kafka.Open(ctx, o)
	}
	place, err := config.ParseJournalURL(b.Journal)
	if err != nil {
		return nil, err
	}
	if !place.Embedded {
		o.Brokers, o.Security = place.Brokers, securityOf(place, config.Places{KafkaPasswordFile: b.KafkaPasswordFile})
		return kafka.Open(ctx, o)
	}
	o.Brokers = []string{defaultBroker}
	if holder, err := datalock.Holder(b.Data); err == nil && holder != nil && holder.Kafka != "" {
		o.Brokers, o.Dial = []string{holder.Kafka}, only(holder.Kafka)
	}
	return kafka.Open(ctx, o)
}

// topicCreate makes a topic.
type topicCreate struct {
	broker
	Topic             string `required:"" help:"The topic's name." placeholder:"NAME"`
	Partitions        int    `help:"How many partitions." default:"1" placeholder:"N"`
	ReplicationFactor int    `help:"How many brokers hold each partition; 0 is the cluster's default." default:"0" placeholder:"N"`
	IfNotExists       bool   `help:"Do nothing if there is a topic of that name."`
}

// Help is shown by --help.
func (topicCreate) Help() string {
	return `Example:

  pinflow topic create --topic orders --partitions 3 --replication-factor 1`
}

// Run makes the topic.
func (c topicCreate) Run(ctx context.Context, t terminal) error {
	return c.with(ctx, func(j *kafka.Journal) error {
		err := j.Create(ctx, c.Topic, c.Partitions, c.ReplicationFactor)
		if c.IfNotExists && pinflow.KindOf(err) == pinflow.Exists {
			return nil
		}
		if pinflow.KindOf(err) == pinflow.Exists {
			return &pinflow.Error{Op: "create topic", On: c.Topic, Kind: pinflow.Exists, Err: errors.New("there is one of that name"),
				Hint: "Choose another name, or look at it with: pinflow topic describe --topic " + c.Topic + "; --if-not-exists takes it as it is."}
		}
		if err == nil {
			fmt.Fprintf(t.out, "Created topic %s.\n", c.Topic)
		}
		return err
	})
}

// topicDescribe shows topics.
type topicDescribe struct {
	broker
	Topic  string `help:"The topic's name; without one, all topics." placeholder:"NAME"`
	Output string `help:"table (as Kafka's tool prints it) or json." enum:"table,json" default:"table" short:"o" placeholder:"FORMAT"`
}

// Help is shown by --help.
func (topicDescribe) Help() string {
	return `Shows partitions, leaders, replicas and settings as kafka-topics --describe does.

Example:

  pinflow topic describe --topic PinterestPipelineTopic`
}

// Run shows the topics.
func (c topicDescribe) Run(ctx context.Context, t terminal) error {
	return c.with(ctx, func(j *kafka.Journal) error {
		names, err := []string{c.Topic}, error(nil)
		if c.Topic == "" {
			names, err = j.List(ctx)
		}
		all := []kafka.Description{}
		for _, name := range names {
			d, failed := j.Describe(ctx, name)
			if err = errors.Join(err, failed); err != nil {
				return err
			}
			all = append(all, d)
		}
		if c.Output == "json" {
			return json.NewEncoder(t.out).Encode(all)
		}
		for _, d := range all {
			fmt.Fprint(t.out, d)
		}
		return err
	})
}

// topicList lists topics.
type topicList struct{ broker }

// Help is shown by --help.
func (topicList) Help() string { return "Example:\n\n  pinflow topic list" }

// Run lists the topics.
func (c topicList) Run(ctx context.Context, t terminal) error {
	return c.with(ctx, func(j *kafka.Journal) error {
		names, err := j.List(ctx)
		for _, name := range names {
			fmt.Fprintln(t.out, name)
		}
		return err
	})
}

// topicConsume prints records.
type topicConsume struct {
	broker
	Topic         string `required:"" help:"The topic's name." placeholder:"NAME"`
	FromBeginning bool   `help:"Start with the first record there is, not with the next to come."`
	MaxMessages   int    `help:"End after so many records; 0 goes on until Ctrl-C." default:"0" placeholder:"N"`
	Group         string `help:"Consume as a member of this consumer group, which remembers how far it is." placeholder:"NAME"`
	Receipts      bool   `help:"Print topic:partition:offset, the append time and the key before each value."`
}

// Help is shown by --help.
func (topicConsume) Help() string {
	return `Prints the values of records as they come, one a line, as the console consumer does.

Examples:

  pinflow topic consume --topic PinterestPipelineTopic --group me
  pinflow topic consume --topic PinterestPipelineTopic --from-beginning --max-messages 10`
}

// Run prints records until there were enough or ctx ends.
func (c topicConsume) Run(ctx context.Context, t terminal) error {
	if c.MaxMessages < 0 {
		return usageError{fmt.Errorf("--max-messages can't be negative")}
	}
	return c.with(ctx, func(j *kafka.Journal) error {
		out := bufio.NewWriter(t.out)
		printed := 0
		err := j.Consume(ctx, kafka.Consumption{Topic: c.Topic, FromBeginning: c.FromBeginning, Group: c.Group, MaxMessages: c.MaxMessages},
			func(r pinflow.Record) error {
				if c.Receipts {
					fmt.Fprintf(out, "%s\t%s\t%s\t", r.Position(), r.Time().Format("2006-01-02T15:04:05.000Z"), r.Key)
				}
				_, _ = out.Write(r.Value) // Flush tells
				_ = out.WriteByte('\n')
				printed++
				return out.Flush()
			})
		fmt.Fprintf(t.err, "Processed a total of %s.\n", count(printed, "message"))
		return err
	})
}

// with connects, runs f and disconnects.
func (b broker) with(ctx context.Context, f func(*kafka.Journal) error) error {
	j, err := b.open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(f(j), j.Close())
}
