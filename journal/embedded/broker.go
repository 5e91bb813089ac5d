// Package embedded is the journal without a Kafka cluster: a broker in the process, with its log on
// disk, that speaks Kafka's protocol on a TCP port. Any Kafka client attaches to it.
//
// It is franz-go's kfake, made durable and exact from outside:
//
//   - A record is acknowledged once it is synced to disk. Records that come while a sync is under
//     way share the next one, since each of a client's requests carries all that waits.
//
//   - Every record gets the broker's time when it is appended. kfake cannot store that as
//     LogAppendTime (it would overwrite the time and leave a wrong CRC on disk, which costs the record at the
//     next start), so a batch is stored as one of CreateTime whose times are all the append time, and becomes
//     LogAppendTime on its way to the reader. See stamp.go and wire.go.
//
//   - Requests by which kfake would drop records that the lake does not hold yet (DeleteRecords, DeleteTopics, retention and
//     compaction by a topic's configs) are refused. Trim alone deletes, whole segments, and never the last of a
//     partition: kfake would begin again at offset 0.
//
//   - A disk that is nearly full refuses appends with KAFKA_STORAGE_ERROR, since kfake would take the same batch,
//     sent again after a failed write, for a duplicate and acknowledge it.
//
//   - CreateTopics is capped at version 4 and DescribeTopicPartitions left out: Kafka's own tools choke on kfake's
//     answers to the newer ones. Clients are not asked for their metrics: kfake would keep a note of each client that ever came.
//
//   - After a crash kfake would not know an idempotent producer's last batches any more, and append twice what one
//     that has survived sends again; and it would drop all that follows a damaged batch. See recover.go.
//
//   - A request that is too large or of no known kind ends its connection before kfake sees it, which would make room for
//     the former and panic over the latter.
//
//   - Beyond loopback, clients log in before kfake hears of them (gate.go, login.go): its own login would let a user that it does not know
//     in with an empty password. This machine's processes come by another address, on loopback, and are not asked.
//
// Known limits: who has logged in may do everything, and stays until his connection ends although he is taken out of the file; kfake ignores an error of fsync itself (one of write is reported); a transaction open at a crash is
// aborted; the answer to a producer does not tell the append time.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/pinflow/pinflow"
)

// DefaultRetentionBytes is the size of log up to which nothing is deleted. It is what a start after a crash replays.
const DefaultRetentionBytes = 512 << 20

// Options say where the log lies and where clients connect. Dir and Listen are required.
type Options struct {
	Dir    string           // made if missing; whoever opens it holds the lock on it
	Listen string           // host:port, on a loopback address unless there are users; port 0 is any free one
	Clock  func() time.Time // gives the append time; time.Now if nil
	Log    *slog.Logger     // nil for none

	// UsersFile holds who may log in by SASL, a line name:password each, or name:hash as Hash makes it; it is read again when it has changed.
	// If it is set, everybody who comes by Listen must; this machine's own processes come by Local without.
	UsersFile string
	// CertFile and KeyFile (PEM) are the broker's certificate and its key, for TLS on Listen. Without, users log in by SCRAM only, as
	// PLAIN would tell everybody on the way the password. They are read again for each client.
	CertFile, KeyFile string
	// Advertise is the host, or host:port, by which clients reach Listen; by default Listen's own, which must then be no wildcard.
	Advertise string

	// RetentionBytes is the size of log that Trim keeps; DefaultRetentionBytes if 0.
	RetentionBytes int64
	// SegmentBytes is the size of the files that the log consists of, Trim's smallest unit; RetentionBytes/32 if 0.
	SegmentBytes int64
	// MinFreeBytes is how much room the disk must have for an append to be taken. 64 MiB if 0.
	MinFreeBytes int64
	// Free returns how many bytes the disk of the folder has room for; asks the system if nil.
	Free func(dir string) (int64, error)
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.RetentionBytes == 0 {
		o.RetentionBytes = DefaultRetentionBytes
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = min(max(o.RetentionBytes/32, 1<<20), 64<<20)
	}
	if o.MinFreeBytes == 0 {
		o.MinFreeBytes = 64 << 20
	}
	if o.Free == nil {
		o.Free = freeBytes
	}
	return o
}

// Broker is a running broker. Its methods may be called at the same time.
type Broker struct {
	o       Options
	cluster *kfake.Cluster
	gate    *gate  // nil if nobody needs to log in
	addr    string // that clients are told
	local   string
	trim    sync.Mutex
	close   sync.Once
	closed  error // what Close said
}

// Open starts the broker on the log in Dir, whatever state a crash has left it in. Invalid if Listen is no
// loopback address and there are no users, Exists if another process listens there.
func Open(ctx context.Context, o Options) (*Broker, error) {
	o = o.withDefaults()
	ln, gate, err := o.listen(ctx)
	if err != nil {
		return nil, err
	}
	b, err := start(ctx, o, ln)
	if err != nil {
		ln.Close()
		if gate != nil {
			gate.close()
		}
		return nil, err
	}
	if b.gate = gate; gate != nil {
		go gate.serve()
	}
	return b, nil
}

// start starts the broker.
func start(ctx context.Context, o Options, ln *listener) (*Broker, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, opening(o.Dir, err)
	}
	if err := inspect(o.Dir); err != nil {
		return nil, opening(o.Dir, err)
	}
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return ln, nil }),
		kfake.ClusterID("pinflow"),
		kfake.DataDir(o.Dir),
		kfake.SyncWrites(),
		kfake.MaxVersions(versions()),
		kfake.DefaultNumPartitions(1),
		kfake.WithLogger(logger{o.Log}),
		kfake.BrokerConfigs(map[string]string{
			"log.segment.bytes":          strconv.FormatInt(o.SegmentBytes, 10),
			"log.message.timestamp.type": "LogAppendTime",
			"log.retention.ms":           "-1",
			"default.replication.factor": "1",
		}),
	)
	if err != nil {
		return nil, opening(o.Dir, err)
	}
	b := &Broker{o: o, cluster: cluster, addr: ln.Addr().String(), local: ln.Listener.Addr().String()}
	b.control(ln)
	// What was read to find the end of the log is not needed any more.
	debug.FreeOSMemory()
	if err := ctx.Err(); err != nil {
		b.Close()
		return nil, &pinflow.Error{Op: "open embedded journal", On: o.Dir, Kind: pinflow.Unavailable, Err: err}
	}
	return b, nil
}

// opening wraps why a folder cannot be opened.
func opening(dir string, err error) error {
	var e *pinflow.Error
	if errors.As(err, &e) {
		return err
	}
	return &pinflow.Error{Op: "open embedded journal", On: dir, Kind: pinflow.Internal, Err: err,
		Hint: "The folder cannot be written, or does not hold a journal that this version can read."}
}

// Addr returns the host:port that clients connect to.
func (b *Broker) Addr() string { return b.addr }

// Local returns a host:port on loopback where this machine's processes need not log in. It is Addr unless there are users.
func (b *Broker) Local() string { return b.local }

// Dial connects to the broker by Local, whichever of its addresses is given: it is for clients that the broker tells Addr.
func (b *Broker) Dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, b.local)
}

// Close stops the broker: connections end, and all that a quick start needs is written. All that was
// acknowledged is on disk anyway.
func (b *Broker) Close() error {
	b.close.Do(func() {
		if b.gate != nil {
			b.gate.close()
		}
		b.cluster.Close()
		if err := os.WriteFile(filepath.Join(b.o.Dir, closedMark), nil, 0o600); err != nil {
			b.closed = &pinflow.Error{Op: "close embedded journal", On: b.o.Dir, Kind: pinflow.Internal, Err: err}
		}
	})
	return b.closed
}

// versions are what the broker says it speaks: all that kfake does but what Kafka's tools cannot read of it, and clients' metrics.
func versions() *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(int16(kmsg.CreateTopics), 4)
	v.SetMaxKeyVersion(int16(kmsg.DescribeTopicPartitions), -1)
	v.SetMaxKeyVersion(int16(kmsg.GetTelemetrySubscriptions), -1)
	v.SetMaxKeyVersion(int16(kmsg.PushTelemetry), -1)
	return v
}

// partitionDir is where kfake keeps a partition's segments.
func partitionDir(dir string, tp pinflow.TopicPartition) string {
	return filepath.Join(dir, "partitions", fmt.Sprintf("%s-%d", tp.Topic, tp.Partition))
}
