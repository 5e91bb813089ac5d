package lake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pinflow/pinflow"
)

// formatVersion is that of the lake's raw part, docs/FORMAT.md.
const formatVersion = 1

// TopicFile is raw/<topic>/_topic.json: written once, and what every process that uses the topic's part of
// the lake must agree with.
type TopicFile struct {
	Version       int    `json:"version"` // of the format
	Topic         string `json:"topic"`
	TopicID       string `json:"topic_id"`       // the journal's; a topic made anew gets another
	Partitions    int    `json:"partitions"`     // when the topic was taken up; see Topic.PartitionCount
	PeriodSeconds int64  `json:"period_seconds"` // how long a log period is
}

// Topic is a topic's raw part of a lake.
type Topic struct {
	TopicFile
	objects pinflow.Objects
	grown   atomic.Int32 // how many partitions there are by now
	readers sync.Pool    // of *lineReader
}

// PeriodLength returns how long a log period of the topic is.
func (f TopicFile) PeriodLength() pinflow.PeriodLength {
	return pinflow.PeriodLength(time.Duration(f.PeriodSeconds) * time.Second)
}

// EnsureTopic returns the topic's part of the lake. The first process to ask writes down what all that follow
// must agree on: the topic's id and partition count, and the period length (0 stands for the lake's, or a day in a new
// one). Another of these than the lake's, and a topic without append time, are Invalid errors; but if the topic is not keyed (no record has a
// home partition), partitions added to it are taken up.
func EnsureTopic(ctx context.Context, objects pinflow.Objects, topic pinflow.Topic, length pinflow.PeriodLength, keyed bool) (*Topic, error) {
	if err := checkTopicName(topic.Name); err != nil {
		return nil, err
	}
	if !topic.AppendTime {
		return nil, &pinflow.Error{Op: "keep a topic in the lake", On: topic.Name, Kind: pinflow.Invalid,
			Err:  errors.New("its records carry the time of their producer, not that of their append"),
			Hint: "Set the topic's message.timestamp.type to LogAppendTime."}
	}
	t, err := OpenTopic(ctx, objects, topic.Name)
	if pinflow.KindOf(err) == pinflow.NotFound {
		t, err = createTopic(ctx, objects, topic, length)
	}
	if err != nil {
		return nil, err
	}
	return t, t.agree(ctx, topic, t.PartitionCount(), length, keyed)
}

func createTopic(ctx context.Context, objects pinflow.Objects, topic pinflow.Topic, length pinflow.PeriodLength) (*Topic, error) {
	if length == 0 {
		length = pinflow.DefaultPeriodLength
	}
	if _, err := pinflow.ParsePeriodLength(time.Duration(length)); err != nil {
		return nil, err
	}
	text, err := json.Marshal(TopicFile{Version: formatVersion, Topic: topic.Name, TopicID: topic.ID,
		Partitions: len(topic.Partitions), PeriodSeconds: int64(time.Duration(length) / time.Second)})
	if err != nil {
		return nil, err
	}
	if _, err := objects.PutIfAbsent(ctx, topicFileName(topic.Name), append(text, '\n')); err != nil {
		return nil, err
	}
	return OpenTopic(ctx, objects, topic.Name) // whoever wrote it
}

// OpenTopic returns the topic's part of the lake as it is: NotFound if there is none, Invalid if this Pinflow cannot read it.
func OpenTopic(ctx context.Context, objects pinflow.Objects, topic string) (*Topic, error) {
	if err := checkTopicName(topic); err != nil {
		return nil, err
	}
	name := topicFileName(topic)
	text, err := getAll(ctx, objects, name)
	if err != nil {
		return nil, err
	}
	t := &Topic{objects: objects}
	if err := t.parse(topic, text); err != nil {
		return nil, &pinflow.Error{Op: "read", On: at(objects, name), Kind: pinflow.Invalid, Err: err,
			Hint: "The lake was written by another version of Pinflow, or the file was changed."}
	}
	t.grown.Store(int32(t.Partitions))
	return t, t.countGrown(ctx)
}

// getAll returns a small object's content.
func getAll(ctx context.Context, objects pinflow.Objects, name string) ([]byte, error) {
	r, err := objects.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxSmall))
	if err != nil {
		return nil, &pinflow.Error{Op: "read object", On: at(objects, name), Kind: pinflow.Unavailable, Err: err}
	}
	return text, nil
}

// maxSmall bounds the objects that are read into memory whole: it is the list of a million objects.
const maxSmall = 256 << 20

func topicFileName(topic string) string { return topicFolder(topic) + "_topic.json" }

func (f *TopicFile) parse(topic string, text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(f); err != nil {
		return err
	}
	if f.Version != formatVersion {
		return fmt.Errorf("the format's version is %d, not %d", f.Version, formatVersion)
	}
	if f.Topic != topic {
		return fmt.Errorf("it tells of the topic %q", f.Topic)
	}
	_, err := pinflow.ParsePeriodLength(time.Duration(f.PeriodLength()))
	return err
}

// agree returns an Invalid error if the journal's topic, or a period length that is given, is not the lake's. Partitions added to a topic
// that is not keyed are taken up; have is how many the lake had before the journal was asked.
func (t *Topic) agree(ctx context.Context, topic pinflow.Topic, have int, length pinflow.PeriodLength, keyed bool) error {
	var why, do string
	has := len(topic.Partitions)
	switch {
	case topic.ID != t.TopicID && topic.ID != "" && t.TopicID != "":
		why = fmt.Sprintf("the journal's topic has the id %s, the lake's %s: it was deleted and made anew, or this is another journal", topic.ID, t.TopicID)
		do = "Use the journal that this lake was written from, or another lake."
	case has < have:
		why = fmt.Sprintf("the journal's topic has %d partitions, the lake's %d", has, have)
		do = "Use the journal that this lake was written from, or another lake."
	case has > have && keyed:
		why = fmt.Sprintf("the journal's topic has %d partitions, the lake's %d: each key's records lie in one of %d, and would lie in another now", has, have, have)
		do = "The partition count of a topic with a key is fixed: make another topic with more partitions, and post to that."
	case length != 0 && length != t.PeriodLength():
		why = fmt.Sprintf("the log period is to be %s, in the lake it is %s", time.Duration(length), time.Duration(t.PeriodLength()))
		do = "Leave the log period out to take the lake's, or use another lake."
	case has > have:
		return t.grow(ctx, has)
	default:
		return nil
	}
	return &pinflow.Error{Op: "keep a topic in the lake", On: at(t.objects, topicFolder(t.Topic)), Kind: pinflow.Invalid, Err: errors.New(why), Hint: do}
}
