package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// control sets what happens before the broker handles a request, then lets clients in.
func (b *Broker) control(ln *listener) {
	b.controlProduce(ln)
	b.cluster.ControlKey(int16(kmsg.DeleteRecords), b.refuseDeleteRecords)
	b.cluster.ControlKey(int16(kmsg.DeleteTopics), b.refuseDeleteTopics)
	b.cluster.ControlKey(int16(kmsg.CreateTopics), b.refuseCreateTopics)
	b.cluster.ControlKey(int16(kmsg.CreatePartitions), b.refuseCreatePartitions)
	b.cluster.ControlKey(int16(kmsg.AlterConfigs), b.refuseAlterConfigs)
	b.cluster.ControlKey(int16(kmsg.IncrementalAlterConfigs), b.refuseIncrementalAlterConfigs)
	ln.open()
}

// controlProduce stamps batches, and refuses them while the disk is full. kfake remembers the last request of
// each connection with which a control has had to do, so after many connections have gone it gets a new one.
func (b *Broker) controlProduce(ln *listener) {
	gone := ln.gone.Load()
	b.cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		if ln.gone.Load() > gone+64 {
			b.controlProduce(ln)
			b.cluster.DropControl()
		}
		req := r.(*kmsg.ProduceRequest)
		if err := b.room(req); err != nil {
			b.o.Log.Warn("embedded journal: append refused", "dir", b.o.Dir, "err", err)
			if req.Acks == 0 {
				return nil, err, true
			}
			return refuseProduce(req, err), nil, true
		}
		now := b.o.Clock().UnixMilli()
		for i := range req.Topics {
			for k := range req.Topics[i].Partitions {
				stamp(req.Topics[i].Partitions[k].Records, now)
			}
		}
		return nil, nil, false
	})
}

// room tells whether the disk has room for a request.
func (b *Broker) room(req *kmsg.ProduceRequest) error {
	need := b.o.MinFreeBytes
	for i := range req.Topics {
		for k := range req.Topics[i].Partitions {
			need += int64(len(req.Topics[i].Partitions[k].Records))
		}
	}
	if free, err := b.o.Free(b.o.Dir); err == nil && free < need {
		return fmt.Errorf("the disk has %d MiB left, and %d MiB are to stay free", free>>20, b.o.MinFreeBytes>>20)
	}
	return nil
}

func refuseProduce(req *kmsg.ProduceRequest, why error) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, rt := range req.Topics {
		t := kmsg.NewProduceResponseTopic()
		t.Topic, t.TopicID = rt.Topic, rt.TopicID
		for _, rp := range rt.Partitions {
			p := kmsg.NewProduceResponseTopicPartition()
			p.Partition, p.ErrorCode, p.BaseOffset = rp.Partition, kerr.KafkaStorageError.Code, -1
			p.ErrorMessage = kmsg.StringPtr(why.Error())
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// refuseDeleteRecords keeps what the lake may not hold yet.
func (b *Broker) refuseDeleteRecords(r kmsg.Request) (kmsg.Response, error, bool) {
	b.cluster.KeepControl()
	req := r.(*kmsg.DeleteRecordsRequest)
	resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
	for _, rt := range req.Topics {
		t := kmsg.NewDeleteRecordsResponseTopic()
		t.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			p := kmsg.NewDeleteRecordsResponseTopicPartition()
			p.Partition, p.ErrorCode, p.LowWatermark = rp.Partition, kerr.PolicyViolation.Code, -1
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp, nil, true
}

// refuseDeleteTopics does, too: with a topic all its records would go, and the next of that name would begin at offset 0.
func (b *Broker) refuseDeleteTopics(r kmsg.Request) (kmsg.Response, error, bool) {
	b.cluster.KeepControl()
	req := r.(*kmsg.DeleteTopicsRequest)
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	refuse := func(name *string, id [16]byte) {
		t := kmsg.NewDeleteTopicsResponseTopic()
		t.Topic, t.TopicID, t.ErrorCode = name, id, kerr.PolicyViolation.Code
		t.ErrorMessage = kmsg.StringPtr("the embedded journal deletes only what the lake holds")
		resp.Topics = append(resp.Topics, t)
	}
	for _, name := range req.TopicNames {
		refuse(&name, [16]byte{})
	}
	for _, t := range req.Topics {
		refuse(t.Topic, t.TopicID)
	}
	return resp, nil, true
}

// refusal says why a config cannot be set to value; "" if it can.
func refusal(config, value string) string {
	switch strings.TrimPrefix(config, "log.") {
	case "message.timestamp.type":
		if value != "LogAppendTime" {
			return "topics of the embedded journal have append time"
		}
	case "retention.ms", "retention.bytes":
		if !strings.HasPrefix(value, "-") {
			return "the embedded journal deletes only what the lake holds"
		}
	case "cleanup.policy":
		if strings.Contains(value, "compact") {
			return "the embedded journal keeps every record"
		}
	}
	return ""
}

// topicName is what Kafka allows.
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// refuseCreateTopics refuses a request as a whole: kfake takes any name and any config.
func (b *Broker) refuseCreateTopics(r kmsg.Request) (kmsg.Response, error, bool) {
	b.cluster.KeepControl()
	req := r.(*kmsg.CreateTopicsRequest)
	why := ""
	code := kerr.InvalidConfig.Code
	for _, t := range req.Topics {
		if why == "" && (!topicName.MatchString(t.Topic) || t.Topic == "." || t.Topic == "..") {
			why, code = "a topic's name has 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-'", kerr.InvalidTopicException.Code
		}
		if why == "" && max(int(t.NumPartitions), len(t.ReplicaAssignment)) > maxPartitions {
			why, code = tooManyPartitions, kerr.InvalidPartitions.Code
		}
		for _, c := range t.Configs {
			if s := refusal(c.Name, text(c.Value)); s != "" && why == "" {
				why = fmt.Sprintf("%s=%s for %s: %s", c.Name, text(c.Value), t.Topic, s)
			}
		}
	}
	if why == "" {
		return nil, nil, false
	}
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	for _, rt := range req.Topics {
		t := kmsg.NewCreateTopicsResponseTopic()
		t.Topic, t.ErrorCode, t.ErrorMessage = rt.Topic, code, &why
		resp.Topics = append(resp.Topics, t)
	}
	return resp, nil, true
}

// maxPartitions bounds a topic: each partition has files and memory of its own.
const (
	maxPartitions     = 1000
	tooManyPartitions = "a topic of the embedded journal has up to 1000 partitions"
)

func (b *Broker) refuseCreatePartitions(r kmsg.Request) (kmsg.Response, error, bool) {
	b.cluster.KeepControl()
	req := r.(*kmsg.CreatePartitionsRequest)
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	refuse := false
	for _, rt := range req.Topics {
		refuse = refuse || rt.Count > maxPartitions
		t := kmsg.NewCreatePartitionsResponseTopic()
		t.Topic, t.ErrorCode, t.ErrorMessage = rt.Topic, kerr.InvalidPartitions.Code, kmsg.StringPtr(tooManyPartitions)
		resp.Topics = append(resp.Topics, t)
	}
	return resp, nil, refuse
}

func (b *Broker) refuseAlterConfigs(r kmsg.Request) (kmsg.Response, error, bool) {
	b.cluster.KeepControl()
	req := r.(*kmsg.AlterConfigsRequest)
	why := ""
	for _, rs := range req.Resources {
		for _, c := range rs.Configs {
			if s := refusal(c.Name, text(c.Value)); s != "" && why == "" {
				why = c.Name + "=" + text(c.Value) + ": " + s
			}
		}
	}
	if why == "" {
		return nil, nil, false
	}
	resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	for _, rs := range req.Resources {
		a := kmsg.NewAlterConfigsResponseResource()
		a.ResourceType, a.ResourceName, a.ErrorCode, a.ErrorMessage = rs.ResourceType, rs.ResourceName, kerr.InvalidConfig.Code, &why
		resp.Resources = append(resp.Resources, a)
	}
	return resp, nil, true
}

func (b *Broker) refuseIncrementalAlterConfigs(r kmsg.Request) (kmsg.Response, error, bool) {
	b.cluster.KeepControl()
	req := r.(*kmsg.IncrementalAlterConfigsRequest)
	why := ""
	for _, rs := range req.Resources {
		for _, c := range rs.Configs {
			if c.Op == kmsg.IncrementalAlterConfigOpDelete || c.Op == kmsg.IncrementalAlterConfigOpSubtract {
				continue
			}
			if s := refusal(c.Name, text(c.Value)); s != "" && why == "" {
				why = c.Name + "=" + text(c.Value) + ": " + s
			}
		}
	}
	if why == "" {
		return nil, nil, false
	}
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	for _, rs := range req.Resources {
		a := kmsg.NewIncrementalAlterConfigsResponseResource()
		a.ResourceType, a.ResourceName, a.ErrorCode, a.ErrorMessage = rs.ResourceType, rs.ResourceName, kerr.InvalidConfig.Code, &why
		resp.Resources = append(resp.Resources, a)
	}
	return resp, nil, true
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// logger passes on what the broker says; its "info" is each request, which is debugging here.
type logger struct{ log *slog.Logger }

func (l logger) Logf(level kfake.LogLevel, msg string, args ...any) {
	to := slog.LevelDebug
	switch level {
	case kfake.LogLevelError:
		to = slog.LevelError
	case kfake.LogLevelWarn:
		to = slog.LevelWarn
	}
	if ctx := context.Background(); l.log.Enabled(ctx, to) {
		l.log.Log(ctx, to, "embedded journal: "+fmt.Sprintf(msg, args...))
	}
}
