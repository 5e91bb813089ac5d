// Package kafka is the journal as a client sees it: every interface of the journal over the Kafka
// protocol, for any broker. The embedded broker speaks the same protocol, so it needs no client of its own.
//
// Records are read as committed: what an aborted transaction wrote is not seen, and offsets that no
// reader sees (transaction markers, compacted records) are gaps. Where a reader starts is always what
// its caller says; the offsets that a consumer group has committed are never read.
//
// Members of a group have no lasting identity (group.instance.id): one that is stopped leaves, and its partitions are with others within a
// second, which a rolling restart wants more than to get the same ones back; one that is killed has them taken over after SessionTimeout.
// Two processes that were given one identity would throw each other out.
package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"golang.org/x/sync/semaphore"

	"github.com/pinflow/pinflow"
)

// Options say which brokers to talk to, how, and how much memory that may take. Only Brokers is required.
type Options struct {
	Brokers  []string // host:port of one broker or more
	Security Security
	// Dial makes connections, to which TLS is added; nil for the network's.
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	ClientID string                // what the brokers log; "pinflow" if empty
	Log      *slog.Logger          // nil for none
	Metrics  prometheus.Registerer // nil for none

	// AppendBytes bounds the records that wait to be acknowledged, with what they cost in memory; an Append beyond it waits. 64 MiB if 0.
	AppendBytes int
	// AppendTimeout is how long a record may wait before it fails as Unavailable, if it is sure not
	// to have been appended. Two seconds later an Append returns at all: what was sent and not answered may yet be appended. 8 s if 0.
	AppendTimeout time.Duration
	// RecordBytes bounds one record, and a batch of them; a topic's max.message.bytes must be no less. 1,048,588 if 0, as Kafka's. A topic
	// that is made gets as much if that is more.
	RecordBytes int
	// Compression of appended batches: "none" or "gzip", which every client can read with nothing extra installed; "none" if empty.
	Compression string

	// FetchBytes bounds the records that one Poll returns, about. What a subscription fetches ahead is a quarter of it,
	// per broker. 16 MiB if 0.
	FetchBytes int
	// BatchBytes bounds what one batch of a topic may hold once decompressed: beyond, its partition
	// stops with TooLarge. 64 MiB if 0.
	BatchBytes int
	// SessionTimeout is after how long without a heartbeat a member of a group counts as gone, and its partitions go to others; 8 s if 0.
	SessionTimeout time.Duration
	// OpenTimeout is how long Open waits for a broker to answer; 15 s if 0.
	OpenTimeout time.Duration
}

func (o Options) withDefaults() Options {
	o.ClientID = or(o.ClientID, "pinflow")
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.AppendBytes = or(o.AppendBytes, 64<<20)
	o.AppendTimeout = or(o.AppendTimeout, 8*time.Second)
	o.RecordBytes = or(o.RecordBytes, defaultMessageBytes)
	o.Compression = or(o.Compression, "none")
	o.FetchBytes = or(o.FetchBytes, 16<<20)
	o.BatchBytes = or(o.BatchBytes, 64<<20)
	o.SessionTimeout = or(o.SessionTimeout, 8*time.Second)
	o.OpenTimeout = or(o.OpenTimeout, 15*time.Second)
	return o
}

// defaultMessageBytes is what a topic takes if nobody says otherwise.
const defaultMessageBytes = 1048588

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Journal is a connection to a cluster. Its methods may be called at the same time.
type Journal struct {
	o      Options
	dialer dialer
	login  []kgo.Opt
	cl     *kgo.Client
	admin  *kadm.Client
	meters *meters
	codec  kgo.Decompressor
	room   *semaphore.Weighted
	places sync.Map // pinflow.TopicPartition to place, as Read found them
	opened atomic.Bool
}

var (
	_ pinflow.Appender      = (*Journal)(nil)
	_ pinflow.Subscriber    = (*Journal)(nil)
	_ pinflow.JournalReader = (*Journal)(nil)
	_ pinflow.TopicCreator  = (*Journal)(nil)
)

// Open connects to the brokers and logs in. Unavailable if none can be reached or answers in time, Invalid for options that make no
// sense and for a broker that expects others.
func Open(ctx context.Context, o Options) (*Journal, error) {
	o = o.withDefaults()
	j := &Journal{o: o, dialer: newDialer(o), meters: newMeters(o.Metrics), codec: kgo.DefaultDecompressor(), room: semaphore.NewWeighted(int64(o.AppendBytes))}
	codec, err := codecOf(o.Compression)
	if err == nil {
		err = o.Security.check(o.Brokers)
	}
	if err == nil {
		j.login, err = o.Security.login()
	}
	if err != nil {
		return nil, invalid(opOpen, brokers(o), err, securityHint)
	}
	cl, err := kgo.NewClient(append(j.clientOptions(),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(codec),
		kgo.ProducerBatchMaxBytes(int32(o.RecordBytes)),
		// Batches form while an earlier one is under way: a linger would only add to the latency.
		kgo.ProducerLinger(0),
		kgo.MaxBufferedRecords(o.AppendBytes/recordCost+1), // never reached: Append has a limit of its own
		kgo.RecordDeliveryTimeout(o.AppendTimeout),
		kgo.RecordPartitioner(partitioner{kgo.StickyKeyPartitioner(nil)}),
	)...)
	if err != nil {
		return nil, invalid(opOpen, brokers(o), err, "")
	}
	j.cl, j.admin = cl, kadm.NewClient(cl)
	ctx, cancel := context.WithTimeout(ctx, o.OpenTimeout)
	defer cancel()
	if err := j.reach(ctx); err != nil {
		j.Close()
		return nil, unreached(o, err)
	}
	j.opened.Store(true)
	return j, nil
}

// reach waits for a broker that answers. The client does not look at ctx while a connection begins, but ends them when it is closed.
func (j *Journal) reach(ctx context.Context) error {
	goOn := context.AfterFunc(ctx, j.cl.Close)
	err := j.cl.Ping(ctx)
	if !goOn() {
		return ctx.Err()
	}
	return err
}

// Close ends the connection. Records not yet acknowledged fail; subscriptions are closed on their own.
func (j *Journal) Close() error {
	j.cl.Close()
	return nil
}

// clientOptions are what every client of this journal has in common.
func (j *Journal) clientOptions() []kgo.Opt {
	return append([]kgo.Opt{
		kgo.SeedBrokers(j.o.Brokers...),
		kgo.Dialer(j.dialer.connect),
		kgo.ClientID(j.o.ClientID),
		kgo.SoftwareNameAndVersion("pinflow", "1"),
		kgo.WithLogger(logger{j.o.Log, &j.opened}),
		kgo.WithHooks(j.meters),
		// A topic made a moment ago, or a moved partition, is to be seen soon.
		kgo.MetadataMinAge(250 * time.Millisecond),
		kgo.MetadataMaxAge(time.Minute),
		kgo.RetryBackoffFn(backoff),
		kgo.RetryTimeoutFn(j.retryFor),
		kgo.MaxDecompressBatchBytes(j.o.BatchBytes),
		kgo.MaxVersions(oneInFlight()),
		kgo.DisableClientMetrics(), // Close would wait for a broker that has gone, to tell it
	}, j.login...)
}

// oneInFlight keeps appends to one request at a time and broker, which is what the client does below version 4 of
// Produce. What comes meanwhile shares the next request, and so one sync to disk: with five under way, 32
// callers got a tenth of the throughput.
func oneInFlight() *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(int16(kmsg.Produce), 3)
	return v
}

// retryFor is how long a request is tried again, that nothing waits for ever for brokers that do not answer.
func (j *Journal) retryFor(key int16) time.Duration {
	switch kmsg.Key(key) {
	case kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat:
		return j.o.SessionTimeout
	}
	return 15 * time.Second
}

// backoff is how long to wait before the n-th try again: 50 ms, doubling up to 1 s.
func backoff(n int) time.Duration {
	return min(50*time.Millisecond<<min(max(n-1, 0), 5), time.Second)
}

func codecOf(name string) (kgo.CompressionCodec, error) {
	switch name {
	case "none":
		return kgo.NoCompression(), nil
	case "gzip":
		return kgo.GzipCompression().WithLevel(1), nil
	}
	return kgo.NoCompression(), fmt.Errorf("records cannot be compressed by %q: use none or gzip", name)
}
