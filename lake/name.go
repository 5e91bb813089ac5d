package lake

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pinflow/pinflow"
)

const (
	rawFolder    = "raw/"
	periodFolder = "period="
	objectSuffix = ".json.gz"
)

// Object is an immutable part of a partition: contiguous records of one log period.
type Object struct {
	pinflow.TopicPartition
	Period pinflow.Period
	Start  int64 // no record of the object has a smaller offset; the object before ends here
	Size   int64 // bytes as stored
}

// Name returns the object's name in a lake of that period length:
// raw/<topic>/period=<period>/<partition>-<start>.json.gz.
func (o Object) Name(l pinflow.PeriodLength) string {
	return fmt.Sprintf("%s%s%05d-%020d%s", topicFolder(o.Topic), folderOf(l, o.Period), o.Partition, o.Start, objectSuffix)
}

// at is where an object lies, for people: the URL of its place without parameters, and its name.
func at(objects pinflow.Objects, name string) string {
	place, _, _ := strings.Cut(objects.String(), "?")
	return place + "/" + name
}

// topicFolder is where all of a topic lies.
func topicFolder(topic string) string { return rawFolder + topic + "/" }

// folderOf is a period's folder within the topic's.
func folderOf(l pinflow.PeriodLength, p pinflow.Period) string {
	return periodFolder + l.Name(p) + "/"
}

// parseFolder reads what folderOf made.
func parseFolder(l pinflow.PeriodLength, folder string) (pinflow.Period, error) {
	return l.Parse(strings.TrimSuffix(strings.TrimPrefix(folder, periodFolder), "/"))
}

// parseName reads a name that Object.Name made. Other names in a topic's folder (_topic.json, _SUCCESS, _replays/…)
// have ok false; one that readers would take for an object and that is none is an Invalid error.
func parseName(topic string, l pinflow.PeriodLength, info pinflow.ObjectInfo) (o Object, ok bool, err error) {
	rest, ok := strings.CutPrefix(info.Name, topicFolder(topic)+periodFolder)
	if !ok || !strings.HasSuffix(rest, objectSuffix) {
		return Object{}, false, nil
	}
	o.Topic, o.Size = topic, info.Size
	period, file, ok := strings.Cut(rest, "/")
	if o.Period, err = l.Parse(period); err == nil && ok {
		partition, start, _ := strings.Cut(strings.TrimSuffix(file, objectSuffix), "-")
		var n int64
		if n, err = strconv.ParseInt(partition, 10, 32); err == nil {
			o.Partition = int32(n)
			o.Start, err = strconv.ParseInt(start, 10, 64)
		}
	}
	if err != nil || o.Name(l) != info.Name {
		return Object{}, false, &pinflow.Error{Op: "read the name of a lake's object", On: info.Name, Kind: pinflow.Invalid,
			Err: err, Hint: "Move files that Pinflow did not write out of the lake."}
	}
	return o, true, nil
}

// checkTopicName returns an Invalid error unless Kafka could have a topic of that name; so it is safe in a path.
func checkTopicName(topic string) error {
	ok := topic != "" && topic != "." && topic != ".." && len(topic) <= 249
	for _, c := range []byte(topic) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-')
	}
	if !ok {
		return &pinflow.Error{Op: "keep a topic in the lake", On: strconv.Quote(topic), Kind: pinflow.Invalid,
			Err: fmt.Errorf("no topic can have that name"), Hint: "A topic's name has up to 249 letters, digits, dots, underscores and dashes."}
	}
	return nil
}
