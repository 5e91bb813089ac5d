package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pinflow/pinflow"
)

func brokers(o Options) string { return strings.Join(o.Brokers, ",") }

func invalid(op, on string, err error, hint string) error {
	return &pinflow.Error{Op: op, On: on, Kind: pinflow.Invalid, Err: err, Hint: hint}
}

// failure wraps what the client or a broker says; nil stays nil. On is a topic, to which a partition may be added, or a group.
func (j *Journal) failure(op, on string, err error) error {
	if err == nil {
		return nil
	}
	kind, hint := kindOf(err)
	if hint == notAllowed {
		hint = j.allow(op, on, err)
	}
	return &pinflow.Error{Op: op, On: on, Kind: kind, Err: err, Hint: hint}
}

const opAppend = "append to"

const notAllowed = "The cluster does not allow it to this user."

// allow tells what an administrator does to let Pinflow do what err has refused.
func (j *Journal) allow(op, on string, err error) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(on, groupPrefix), ":")
	rights := "--operation Describe --operation DescribeConfigs --operation Read --operation Write --topic " + name
	switch {
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		rights = "--operation Read --group " + name
	case errors.Is(err, kerr.ClusterAuthorizationFailed) && op == opAppend:
		// Who may write no topic at all may not begin to: the client does not ask a second time.
		rights += " (then start Pinflow again)"
	case errors.Is(err, kerr.ClusterAuthorizationFailed):
		rights = "--operation Create --cluster"
	}
	return "An administrator of the cluster allows it with: " + j.acl(rights)
}

// acl is the command that gives rights to the user of this journal.
func (j *Journal) acl(rights string) string {
	user := j.o.Security.User
	if user == "" {
		user = "ANONYMOUS"
	}
	return fmt.Sprintf("kafka-acls.sh --bootstrap-server %s --add --allow-principal User:%s %s", j.o.Brokers[0], user, rights)
}

// groupPrefix tells an error about a consumer group from one about a topic.
const groupPrefix = "group "

// kinds are the errors of the protocol that are no matter of trying again.
var kinds = []struct {
	err  error
	kind pinflow.Kind
	hint string
}{
	{kerr.MessageTooLarge, pinflow.TooLarge, "The topic's max.message.bytes is the limit of one record."},
	{kerr.RecordListTooLarge, pinflow.TooLarge, "The topic's max.message.bytes is the limit of one record."},
	{kerr.UnknownTopicOrPartition, pinflow.NotFound, "Create the topic, or look at the names with: pinflow topic list."},
	{kerr.UnknownTopicID, pinflow.NotFound, "The topic was deleted, and perhaps made anew."},
	{kerr.InconsistentTopicID, pinflow.NotFound, "The topic was deleted and made anew."},
	{kerr.TopicAlreadyExists, pinflow.Exists, ""},
	{kerr.OffsetOutOfRange, pinflow.OutOfRange, ""},
	{kerr.InvalidTopicException, pinflow.Invalid, "A topic's name has up to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-', and none differs from another only in '.' and '_'."},
	{kerr.InvalidPartitions, pinflow.Invalid, "A topic has at least one partition."},
	{kerr.InvalidReplicationFactor, pinflow.Invalid, "The replication factor can be no more than the number of brokers."},
	{kerr.InvalidConfig, pinflow.Invalid, ""},
	{kerr.InvalidRecord, pinflow.Invalid, ""},
	{kerr.PolicyViolation, pinflow.Invalid, ""},
	{kerr.InvalidRequest, pinflow.Invalid, ""},
	{kerr.TopicAuthorizationFailed, pinflow.Invalid, notAllowed},
	{kerr.GroupAuthorizationFailed, pinflow.Invalid, notAllowed},
	{kerr.ClusterAuthorizationFailed, pinflow.Invalid, notAllowed},
	// The password, or the brokers' memory of it, may be mended while this process runs.
	{kerr.SaslAuthenticationFailed, pinflow.Unavailable, "The broker does not let this user in (any more): look at user and password."},
	{kerr.InvalidSessionTimeout, pinflow.Invalid, "The cluster's group.min.session.timeout.ms and group.max.session.timeout.ms must let members count as gone after 8 s."},
	{kgo.ErrRecordTimeout, pinflow.Unavailable, "Kafka did not take it in time, and it was not appended: are all brokers up, is there room on their disks, and are enough replicas in sync?"},
	{kerr.UnsupportedVersion, pinflow.Invalid, "The broker is too old."},
	{kerr.CorruptMessage, pinflow.Internal, "The log is damaged there."},
	{errDamaged, pinflow.Internal, "The log is damaged there."},
}

func kindOf(err error) (pinflow.Kind, string) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return pinflow.Unavailable, ""
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.kind, k.hint
		}
	}
	var loss *kgo.ErrDataLoss
	if errors.As(err, &loss) {
		return pinflow.OutOfRange, "The log ends before the reader's position: the brokers have lost records."
	}
	var large *kgo.ErrDecompressTooLarge
	if errors.As(err, &large) {
		return pinflow.TooLarge, "A batch is larger once decompressed than what is set as limit."
	}
	var ke *kerr.Error
	if errors.As(err, &ke) && !ke.Retriable && ke != kerr.UnknownServerError {
		return pinflow.Internal, ""
	}
	// All else is the way to the brokers, or their state.
	return pinflow.Unavailable, ""
}

// errDamaged is a batch that cannot be read, now or later.
var errDamaged = errors.New("the batch cannot be read")

// batchError marks what is wrong with a batch itself, for which the client has no error of its own.
func batchError(err error) error {
	if kind, _ := kindOf(err); kind != pinflow.Unavailable || passing(err) {
		return err
	}
	return fmt.Errorf("%w: %w", errDamaged, err)
}

// passing tells whether a partition's error is one of the way to the brokers, or of their state.
func passing(err error) bool {
	var ke *kerr.Error
	var ne net.Error
	var session *kgo.ErrGroupSession
	var first *kgo.ErrFirstReadEOF
	return errors.As(err, &ke) || errors.As(err, &ne) || errors.As(err, &session) || errors.As(err, &first) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, kgo.ErrClientClosed) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed)
}
