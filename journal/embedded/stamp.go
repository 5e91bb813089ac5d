package embedded

import (
	"encoding/binary"
	"hash/crc32"
)

// Where a record batch (format 2) has what, in bytes. It begins with the offset of its first record, an int64.
const (
	batchLength     = 8  // int32, of all that follows it
	batchMagic      = 16 // int8
	batchCRC        = 17 // uint32, CRC-32C of all that follows it
	batchAttributes = 21 // int16
	batchLastDelta  = 23 // int32, the last record's offset minus the first's
	batchFirstTime  = 27 // int64, Unix ms
	batchMaxTime    = 35 // int64, Unix ms
	batchProducer   = 43 // int64, -1 for none
	batchEpoch      = 51 // int16
	batchSequence   = 53 // int32, of the first record
	batchHeader     = 61 // bytes before the first record

	appendTimeBit = 1 << 3 // the batch's maximum timestamp is each record's
	controlBit    = 1 << 5 // a transaction's marker, not records
)

// crcTable is the polynomial that Kafka uses.
var crcTable = crc32.MakeTable(crc32.Castagnoli)

// stamp makes now (Unix ms) the time of a producer's batch, in place. A batch that is not whole stays as
// it is, for the broker to refuse it.
func stamp(batch []byte, now int64) {
	if len(batch) < batchHeader || batch[batchMagic] != 2 || sum(batch) != binary.BigEndian.Uint32(batch[batchCRC:]) {
		return
	}
	attributes := binary.BigEndian.Uint16(batch[batchAttributes:])
	binary.BigEndian.PutUint16(batch[batchAttributes:], attributes&^appendTimeBit)
	binary.BigEndian.PutUint64(batch[batchFirstTime:], uint64(now))
	binary.BigEndian.PutUint64(batch[batchMaxTime:], uint64(now))
	binary.BigEndian.PutUint32(batch[batchCRC:], sum(batch))
}

// present marks each of a sequence of stored batches as one of append time, in place, so that a reader takes
// its maximum timestamp for each record's.
func present(batches []byte) {
	for len(batches) >= batchHeader {
		size := batchLength + 4 + int(binary.BigEndian.Uint32(batches[batchLength:]))
		if size < batchHeader || size > len(batches) {
			return
		}
		batch := batches[:size]
		batches = batches[size:]
		attributes := binary.BigEndian.Uint16(batch[batchAttributes:])
		if batch[batchMagic] != 2 || attributes&controlBit != 0 {
			continue
		}
		stored := sum(batch) == binary.BigEndian.Uint32(batch[batchCRC:])
		binary.BigEndian.PutUint16(batch[batchAttributes:], attributes|appendTimeBit)
		if stored { // else the reader is to see that the batch is damaged
			binary.BigEndian.PutUint32(batch[batchCRC:], sum(batch))
		}
	}
}

func sum(batch []byte) uint32 { return crc32.Checksum(batch[batchAttributes:], crcTable) }
