package postgres

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
)

// encoder appends a value that is not nil in the form of a binary COPY, without its length.
type encoder func(to []byte, v any) ([]byte, error)

func encoders(columns []pinflow.Column) ([]encoder, error) {
	all := make([]encoder, len(columns))
	for i, c := range columns {
		var err error
		if all[i], err = encoderOf(c.Type); err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	return all, nil
}

// The numbers by which PostgreSQL knows its types.
const (
	oidBool, oidBytea, oidInt8, oidInt4, oidText, oidFloat8        = 16, 17, 20, 23, 25, 701
	oidDate, oidTimestamp, oidTimestamptz, oidNumeric       uint32 = 1082, 1114, 1184, 1700
)

func encoderOf(t string) (encoder, error) {
	if element, ok := strings.CutSuffix(t, "[]"); ok {
		inner, err := encoderOf(element)
		if err != nil {
			return nil, err
		}
		oid, err := oidOf(element)
		return listEncoder(oid, inner), err
	}
	oid, err := oidOf(t)
	if err != nil {
		return nil, err
	}
	return map[uint32]encoder{oidBool: encodeBool, oidBytea: encodeBytes, oidInt8: encodeInt8, oidInt4: encodeInt4, oidText: encodeText, oidFloat8: encodeFloat,
		oidDate: encodeDate, oidTimestamp: encodeTime, oidTimestamptz: encodeTime, oidNumeric: encodeNumber}[oid], nil
}

func oidOf(t string) (uint32, error) {
	name, err := sqlType(t)
	if err != nil {
		return 0, err
	}
	base, _, _ := strings.Cut(strings.TrimSuffix(name, textCollation), "(")
	oid := map[string]uint32{"boolean": oidBool, "bytea": oidBytea, "bigint": oidInt8, "integer": oidInt4, "text": oidText, "double precision": oidFloat8,
		"date": oidDate, "timestamp": oidTimestamp, "timestamptz": oidTimestamptz, "numeric": oidNumeric}[base]
	if oid == 0 {
		return 0, fmt.Errorf("a list of lists is not held: %s", t)
	}
	return oid, nil
}

func unfit(v any, what string) error {
	return fmt.Errorf("a value of the Go type %T is no %s", v, what)
}

func encodeBool(to []byte, v any) ([]byte, error) {
	b, ok := v.(bool)
	if !ok {
		return to, unfit(v, "boolean")
	}
	if b {
		return append(to, 1), nil
	}
	return append(to, 0), nil
}

func encodeInt8(to []byte, v any) ([]byte, error) {
	switch n := v.(type) {
	case int64:
		return binary.BigEndian.AppendUint64(to, uint64(n)), nil
	case int32:
		return binary.BigEndian.AppendUint64(to, uint64(int64(n))), nil
	}
	return to, unfit(v, "bigint")
}

func encodeInt4(to []byte, v any) ([]byte, error) {
	switch n := v.(type) {
	case int32:
		return binary.BigEndian.AppendUint32(to, uint32(n)), nil
	case int64:
		if n >= math.MinInt32 && n <= math.MaxInt32 {
			return binary.BigEndian.AppendUint32(to, uint32(int32(n))), nil
		}
		return to, fmt.Errorf("%d is no integer of 32 bits", n)
	}
	return to, unfit(v, "integer")
}

func encodeFloat(to []byte, v any) ([]byte, error) {
	f, ok := v.(float64)
	if !ok {
		return to, unfit(v, "double precision")
	}
	return binary.BigEndian.AppendUint64(to, math.Float64bits(f)), nil
}

func encodeText(to []byte, v any) ([]byte, error) {
	s, ok := v.(string)
	if !ok {
		return to, unfit(v, "text")
	}
	return append(to, storedText(s)...), nil
}

func encodeBytes(to []byte, v any) ([]byte, error) {
	b, ok := v.([]byte)
	if !ok {
		return to, unfit(v, "bytea")
	}
	return append(to, b...), nil
}

func encodeTime(to []byte, v any) ([]byte, error) {
	t, ok := v.(time.Time)
	if !ok {
		return to, unfit(v, "timestamp")
	}
	return binary.BigEndian.AppendUint64(to, uint64(storedTime(t))), nil
}

func encodeDate(to []byte, v any) ([]byte, error) {
	t, ok := v.(time.Time)
	if !ok {
		return to, unfit(v, "date")
	}
	return binary.BigEndian.AppendUint32(to, uint32(storedDate(t))), nil
}

// encodeNumber takes whole numbers, and decimals as text.
func encodeNumber(to []byte, v any) ([]byte, error) {
	switch n := v.(type) {
	case *big.Int:
		if n.IsInt64() {
			return appendInt(to, n.Int64()), nil
		}
		return appendDecimal(to, n.String())
	case int64:
		return appendInt(to, n), nil
	case int32:
		return appendInt(to, int64(n)), nil
	case string:
		return appendDecimal(to, n)
	}
	return to, unfit(v, "numeric")
}

// A numeric is: how many groups of four digits, the first one's power of 10,000, sign, digits behind the point, the groups.
func appendNumeric(to []byte, groups []uint16, weight int, negative bool, scale int) []byte {
	for len(groups) > 0 && groups[0] == 0 {
		groups, weight = groups[1:], weight-1
	}
	for len(groups) > 0 && groups[len(groups)-1] == 0 {
		groups = groups[:len(groups)-1]
	}
	sign := uint16(0)
	if negative && len(groups) > 0 {
		sign = 0x4000
	}
	if len(groups) == 0 {
		weight = 0
	}
	to = binary.BigEndian.AppendUint16(to, uint16(len(groups)))
	to = binary.BigEndian.AppendUint16(to, uint16(int16(weight)))
	to = binary.BigEndian.AppendUint16(to, sign)
	to = binary.BigEndian.AppendUint16(to, uint16(scale))
	for _, g := range groups {
		to = binary.BigEndian.AppendUint16(to, g)
	}
	return to
}

func appendInt(to []byte, n int64) []byte {
	var groups [5]uint16
	u := uint64(n)
	if n < 0 {
		u = -u
	}
	for i := len(groups) - 1; i >= 0; i-- {
		groups[i] = uint16(u % 10000)
		u /= 10000
	}
	return appendNumeric(to, groups[:], len(groups)-1, n < 0, 0)
}

// appendDecimal takes digits with a sign and a point.
func appendDecimal(to []byte, text string) ([]byte, error) {
	digits, negative := strings.CutPrefix(text, "-")
	if !negative {
		digits = strings.TrimPrefix(digits, "+")
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	if whole+fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" || len(fraction) > 1000 || len(whole) > 1000 {
		return to, fmt.Errorf("%q is no decimal number", text)
	}
	left, right := (4-len(whole)%4)%4, (4-len(fraction)%4)%4
	groups := make([]uint16, 0, (len(whole)+left+len(fraction)+right)/4)
	var group uint16
	place := left
	push := func(d byte) {
		group = group*10 + uint16(d-'0')
		if place++; place%4 == 0 {
			groups = append(groups, group)
			group = 0
		}
	}
	for i := range len(whole) {
		push(whole[i])
	}
	for i := range len(fraction) {
		push(fraction[i])
	}
	for range right {
		push('0')
	}
	return appendNumeric(to, groups, (len(whole)+left)/4-1, negative, len(fraction)), nil
}

// listEncoder makes one of a list of one dimension.
func listEncoder(oid uint32, element encoder) encoder {
	return func(to []byte, v any) ([]byte, error) {
		list, ok := v.([]any)
		if !ok {
			return to, unfit(v, "list")
		}
		nulls := uint32(0)
		for _, e := range list {
			if e == nil {
				nulls = 1
			}
		}
		to = appendListHead(to, len(list), nulls, oid)
		var err error
		for _, e := range list {
			if to, err = appendValue(to, element, e); err != nil {
				return to, err
			}
		}
		return to, nil
	}
}

// appendListHead appends what stands before the elements: dimensions, whether there is a NULL, type, and of the dimension length and first index.
func appendListHead(to []byte, length int, nulls, oid uint32) []byte {
	dimensions := uint32(min(length, 1))
	for _, n := range []uint32{dimensions, nulls, oid} {
		to = binary.BigEndian.AppendUint32(to, n)
	}
	if dimensions > 0 {
		to = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(to, uint32(length)), 1)
	}
	return to
}

// appendValue appends a value with its length before it, -1 for nil.
func appendValue(to []byte, encode encoder, v any) ([]byte, error) {
	at := len(to)
	to = append(to, 0xff, 0xff, 0xff, 0xff)
	if v == nil {
		return to, nil
	}
	to, err := encode(to, v)
	binary.BigEndian.PutUint32(to[at:], uint32(len(to)-at-4))
	return to, err
}
