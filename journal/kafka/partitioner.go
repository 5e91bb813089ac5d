package kafka

import "github.com/twmb/franz-go/pkg/kgo"

// noPartition is the partition of a record whose topic does not have its partition.
const noPartition = -2

// partitioner takes the partition that a record already has, else it does as Kafka's own
// producers do: murmur2(key) mod N, or without a key one partition until a batch is full.
type partitioner struct{ keyed kgo.Partitioner }

func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	return topicPartitioner{p.keyed.ForTopic(topic)}
}

type topicPartitioner struct{ kgo.TopicPartitioner }

// RequiresConsistency is true where another partition than the chosen one would be wrong.
func (t topicPartitioner) RequiresConsistency(r *kgo.Record) bool {
	return r.Partition >= 0 || t.TopicPartitioner.RequiresConsistency(r)
}

func (t topicPartitioner) Partition(r *kgo.Record, n int) int {
	if int(r.Partition) >= n {
		r.Partition = noPartition // the client's error does not tell it from others
		return n
	}
	if r.Partition >= 0 {
		return int(r.Partition)
	}
	return t.TopicPartitioner.Partition(r, n)
}

// OnNewBatch lets records without a key move on to another partition.
func (t topicPartitioner) OnNewBatch() {
	if sticky, ok := t.TopicPartitioner.(kgo.TopicPartitionerOnNewBatch); ok {
		sticky.OnNewBatch()
	}
}
