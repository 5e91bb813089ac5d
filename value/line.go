package value

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"

	"github.com/pinflow/pinflow"
)

// AppendLine appends the lake's line of a record to dst, the final newline included: the record's own
// fields flat, then _partition, _offset, _timestamp, _key and, if it has any, _headers:
//
//	{"title":"…","_partition":0,"_offset":7,"_timestamp":"2026-11-22T10:00:00.000Z","_key":"…","_headers":[{"key":"…","value":"…"}]}
//
// A value that is not Plain is kept as base64 in _raw instead of own fields; a tombstone is kept
// as an empty one. Keys and header texts that are not valid UTF-8 are written {"base64":"…"}.
func AppendLine(dst []byte, r *pinflow.Record) []byte {
	if IsPlain(r.Value) {
		start := len(dst)
		dst = Compact(dst, r.Value)
		dst = dst[:len(dst)-1] // the closing brace
		if len(dst) > start+1 {
			dst = append(dst, ',')
		}
	} else {
		dst = append(dst, `{"_raw":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, r.Value)
		dst = append(dst, `",`...)
	}
	dst = append(dst, `"_partition":`...)
	dst = strconv.AppendInt(dst, int64(r.Partition), 10)
	dst = append(dst, `,"_offset":`...)
	dst = strconv.AppendInt(dst, r.Offset, 10)
	dst = append(dst, `,"_timestamp":"`...)
	dst = appendTime(dst, r.Timestamp)
	dst = append(dst, `","_key":`...)
	dst = appendBytes(dst, r.Key)
	if len(r.Headers) > 0 {
		dst = append(dst, `,"_headers":`...)
		dst = AppendHeaders(dst, r.Headers)
	}
	return append(dst, "}\n"...)
}

// appendBytes is appendText where nil is null.
func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, "null"...)
	}
	return appendText(dst, b)
}

// appendText appends b as a JSON string, or as base64 if it is not valid UTF-8.
func appendText(dst, b []byte) []byte {
	if utf8.Valid(b) {
		return appendQuoted(dst, b)
	}
	dst = append(dst, `{"base64":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, `"}`...)
}

// AppendString appends s, which must be valid UTF-8, as a JSON string.
func AppendString(dst []byte, s string) []byte { return appendQuoted(dst, s) }

func appendQuoted[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

// AppendKey appends a record's key as SQL sees it: text, or the lake's JSON for it if it is not valid UTF-8.
func AppendKey(dst, key []byte) []byte {
	if utf8.Valid(key) {
		return append(dst, key...)
	}
	return appendText(dst, key)
}

// AppendHeaders appends headers as the lake writes them: [{"key":"…","value":"…"}].
func AppendHeaders(dst []byte, headers []pinflow.Header) []byte {
	dst = append(dst, '[')
	for i, h := range headers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"key":`...)
		dst = appendText(dst, []byte(h.Key))
		dst = append(dst, `,"value":`...)
		dst = appendBytes(dst, h.Value)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}
