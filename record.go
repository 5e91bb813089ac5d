package pinflow

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Record is one record of the journal. It is never changed once appended.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Timestamp int64 // when the broker appended it, Unix milliseconds
	Key       []byte
	Value     []byte // nil for a tombstone
	Headers   []Header
}

// Header is a name and a value that travel beside a record's value.
type Header struct {
	Key   string
	Value []byte
}

// Time returns the append time in UTC.
func (r *Record) Time() time.Time { return time.UnixMilli(r.Timestamp).UTC() }

// Position returns where the record lies.
func (r *Record) Position() Position {
	return Position{TopicPartition{r.Topic, r.Partition}, r.Offset}
}

// TopicPartition names one partition of a topic.
type TopicPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// String formats as topic:partition.
func (tp TopicPartition) String() string { return tp.Topic + ":" + strconv.Itoa(int(tp.Partition)) }

// Compare orders by topic, then by partition number, for slices.SortFunc.
func (tp TopicPartition) Compare(other TopicPartition) int {
	return cmp.Or(cmp.Compare(tp.Topic, other.Topic), cmp.Compare(tp.Partition, other.Partition))
}

// Position is an offset in a partition. A receipt is the position of the record;
// a reader's position is the offset of the next record it wants.
type Position struct {
	TopicPartition
	Offset int64 `json:"offset"`
}

// String formats as topic:partition:offset.
func (p Position) String() string {
	return p.TopicPartition.String() + ":" + strconv.FormatInt(p.Offset, 10)
}

// ParsePosition reads topic:partition:offset. A malformed text is an Invalid error.
func ParsePosition(s string) (Position, error) {
	bad := func(why string) (Position, error) {
		return Position{}, &Error{Op: "read position", On: strconv.Quote(s), Kind: Invalid, Err: fmt.Errorf("%s", why),
			Hint: "A position is written topic:partition:offset, as in a receipt."}
	}
	parts := strings.Split(s, ":")
	if len(parts) != 3 || parts[0] == "" {
		return bad("it does not have three parts")
	}
	partition, err := strconv.ParseInt(parts[1], 10, 32)
	if err != nil || partition < 0 {
		return bad("the partition is not a number")
	}
	offset, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || offset < 0 {
		return bad("the offset is not a number")
	}
	return Position{TopicPartition{parts[0], int32(partition)}, offset}, nil
}
