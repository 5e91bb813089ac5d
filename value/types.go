package value

import "strings"

// types is a set of JSON Schema's types.
type types uint8

const (
	typeNull types = 1 << iota
	typeBoolean
	typeNumber
	typeInteger
	typeString
	typeArray
	typeObject
)

const typeNames = "null boolean number integer string array object"

// typeOf returns the type of that name, 0 if there is none.
func typeOf(name string) types {
	for i, n := range strings.Fields(typeNames) {
		if n == name {
			return 1 << i
		}
	}
	return 0
}

// names lists the set.
func (t types) names() []string {
	var list []string
	for i, n := range strings.Fields(typeNames) {
		if t&(1<<i) != 0 {
			list = append(list, n)
		}
	}
	return list
}

// sql is the DuckDB type of a scalar set, "" if there is none that holds it exactly.
func (t types) sql() string {
	switch t {
	case typeString:
		return "VARCHAR"
	case typeInteger:
		return "BIGINT"
	case typeNumber, typeNumber | typeInteger:
		return "DOUBLE"
	case typeBoolean:
		return "BOOLEAN"
	}
	return ""
}

// fault tells why a token is of none of the types, "" if it is of one.
func (t types) fault(buf []byte, tok *token) string {
	var is types
	switch tok.kind {
	case '"':
		is = typeString
	case 't', 'f':
		is = typeBoolean
	case 'n':
		is = typeNull
	case '{':
		is = typeObject
	case '[':
		is = typeArray
	default:
		return t.numberFault(buf, tok)
	}
	if t&is != 0 {
		return ""
	}
	return wrongType(kindOf(tok), t.names())
}

func (t types) numberFault(buf []byte, tok *token) string {
	switch {
	case t&typeNumber != 0:
		return ""
	case t&typeInteger == 0:
		return wrongType("number", t.names())
	case tok.fraction:
		return notAnInteger
	}
	if _, ok := int64Of(buf[tok.start:tok.end]); !ok {
		return notIn64Bits
	}
	return ""
}
