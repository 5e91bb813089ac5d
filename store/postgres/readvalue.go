package postgres

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/pinflow/pinflow"
)

// decoder reads a value as PostgreSQL sends it, in binary. The bytes are valid only until the next row.
type decoder func(raw []byte) (any, error)

// asDecoder makes the decoder of a type of PostgreSQL for a column of a type of DuckDB.
type asDecoder func(oid uint32, columnType string) (decoder, error)

// decoders are those of an answer's columns, which are to be of the types of columns; as makes each.
func decoders(fields []pgconn.FieldDescription, columns []pinflow.Column, as asDecoder) ([]decoder, error) {
	if len(fields) != len(columns) {
		return nil, fmt.Errorf("PostgreSQL gives %d columns, not %d", len(fields), len(columns))
	}
	all := make([]decoder, len(fields))
	for i, f := range fields {
		d, err := as(f.DataTypeOID, columns[i].Type)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", f.Name, err)
		}
		all[i] = d
	}
	return all, nil
}

// forRelation decodes into the values that pinflow.Relation describes.
func forRelation(oid uint32, columnType string) (decoder, error) {
	if element, ok := strings.CutSuffix(columnType, "[]"); ok {
		return listOf(oid, element, forRelation)
	}
	d, err := scalar(oid, columnType)
	if err != nil {
		return nil, err
	}
	switch base, scale := numberType(columnType); base {
	case "HUGEINT":
		return func(raw []byte) (any, error) {
			v, err := d(raw)
			if n, ok := v.(int64); ok {
				return big.NewInt(n), err
			}
			return v, err
		}, nil
	case "DECIMAL":
		return func(raw []byte) (any, error) {
			v, err := d(raw)
			if err != nil {
				return nil, err
			}
			return decimalText(v, scale), nil
		}, nil
	case "VARCHAR":
		return func(raw []byte) (any, error) { return readText(string(raw)), nil }, nil
	}
	return d, nil
}

// forDuckDB decodes into the values that DuckDB's appender takes for a table of placed columns: a DECIMAL without its point, text as bytes, times as
// microseconds, since it has no infinite ones.
func forDuckDB(oid uint32, columnType string) (decoder, error) {
	if element, ok := strings.CutSuffix(columnType, "[]"); ok {
		return listOf(oid, element, forDuckDB)
	}
	d, err := scalar(oid, columnType)
	if err == nil && isTime(columnType) {
		return fixed(8, func(raw []byte) any { return readMicros(int64(binary.BigEndian.Uint64(raw))) }), nil
	}
	return d, err
}

func isTime(columnType string) bool { return strings.HasPrefix(stagedType(columnType), "TIMESTAMP") }

// placed is the column of a table of rows that come from PostgreSQL, and the expression that is the column of the view.
func placed(c pinflow.Column) (column, show string) {
	name, t := quote(c.Name), stagedType(c.Type)
	element, isList := strings.CutSuffix(t, "[]")
	switch {
	case isTime(element) && isList:
		return name + " BIGINT[]", fmt.Sprintf("list_transform(%s, lambda t: %s)::%s AS %s", name, shownTime("t", element), c.Type, name)
	case isTime(element):
		return name + " BIGINT", fmt.Sprintf("(%s)::%s AS %s", shownTime(name, t), c.Type, name)
	case t != c.Type:
		return name + " " + t, fmt.Sprintf("%s::%s AS %s", name, c.Type, name)
	}
	return name + " " + t, name
}

// shownTime is the time of so many microseconds in DuckDB's words.
func shownTime(micros, columnType string) string {
	function := "make_timestamp"
	if columnType == "TIMESTAMPTZ" {
		function = "make_timestamptz"
	}
	return fmt.Sprintf("CASE %s WHEN %d THEN %s 'infinity' WHEN %d THEN %[3]s '-infinity' ELSE %[5]s(%[1]s) END", micros, int64(math.MaxInt64), columnType, -math.MaxInt64, function)
}

// numberType returns which of the staged types a type travels as, and the scale of a DECIMAL.
func numberType(columnType string) (base string, scale int) {
	base, parameters, _ := strings.Cut(stagedType(columnType), "(")
	if base == "DECIMAL" {
		_, _ = fmt.Sscanf(parameters, "%d,%d", new(int), &scale)
	}
	return base, scale
}

// stagedType is the type in which the values of a type come from PostgreSQL: those that it holds, in DuckDB's words.
func stagedType(columnType string) string {
	if element, ok := strings.CutSuffix(columnType, "[]"); ok {
		return stagedType(element) + "[]"
	}
	base, parameters, _ := strings.Cut(strings.ToUpper(columnType), "(")
	switch strings.TrimSpace(base) {
	case "TINYINT", "SMALLINT", "UTINYINT", "USMALLINT":
		return "INTEGER"
	case "UINTEGER":
		return "BIGINT"
	case "UBIGINT", "UHUGEINT":
		return "HUGEINT"
	case "FLOAT":
		return "DOUBLE"
	case "NUMERIC", "DECIMAL":
		if parameters == "" {
			return "DECIMAL(18,3)"
		}
		return "DECIMAL(" + strings.ReplaceAll(parameters, " ", "")
	case "JSON", "UUID":
		return "VARCHAR"
	case "TIMESTAMP_S", "TIMESTAMP_MS":
		return "TIMESTAMP"
	case "TIMESTAMP WITH TIME ZONE":
		return "TIMESTAMPTZ"
	}
	return columnType
}

// scalar decodes a value that is no list: integers as int32, or as int64 or *big.Int, DECIMALs the same without their point, text as it is in DuckDB.
func scalar(oid uint32, columnType string) (decoder, error) {
	base, scale := numberType(columnType)
	switch {
	case base == "BOOLEAN" && oid == pgtype.BoolOID:
		return fixed(1, func(raw []byte) any { return raw[0] != 0 }), nil
	case base == "DOUBLE" && oid == pgtype.Float8OID:
		return fixed(8, func(raw []byte) any { return math.Float64frombits(binary.BigEndian.Uint64(raw)) }), nil
	case base == "VARCHAR" && (oid == pgtype.TextOID || oid == pgtype.VarcharOID || oid == pgtype.BPCharOID):
		return func(raw []byte) (any, error) { return readBytes(raw), nil }, nil
	case base == "BLOB" && oid == pgtype.ByteaOID:
		return func(raw []byte) (any, error) { return append([]byte{}, raw...), nil }, nil
	case base == "DATE" && oid == pgtype.DateOID:
		return fixed(4, func(raw []byte) any { return readDate(int32(binary.BigEndian.Uint32(raw))) }), nil
	case base == "TIMESTAMP" && oid == pgtype.TimestampOID, base == "TIMESTAMPTZ" && oid == pgtype.TimestamptzOID:
		return fixed(8, func(raw []byte) any { return readTime(int64(binary.BigEndian.Uint64(raw))) }), nil
	case base == "INTEGER" && oid == pgtype.Int4OID:
		return fixed(4, func(raw []byte) any { return int32(binary.BigEndian.Uint32(raw)) }), nil
	case base == "INTEGER":
		return within(oid, base, func(n int64) (any, bool) { return int32(n), int64(int32(n)) == n })
	case base == "BIGINT":
		return within(oid, base, func(n int64) (any, bool) { return n, true })
	case base == "HUGEINT" || base == "DECIMAL":
		return integer(oid, scale)
	}
	return nil, fmt.Errorf("PostgreSQL's type %d is not that of a %s", oid, columnType)
}

// within decodes whole numbers of a smaller type.
func within(oid uint32, columnType string, narrow func(int64) (any, bool)) (decoder, error) {
	d, err := integer(oid, 0)
	if err != nil {
		return nil, err
	}
	return func(raw []byte) (any, error) {
		v, err := d(raw)
		if err != nil {
			return nil, err
		}
		if n, ok := v.(int64); ok {
			if small, ok := narrow(n); ok {
				return small, nil
			}
		}
		return nil, fmt.Errorf("%v is no %s", v, columnType)
	}, nil
}

// fixed decodes values of so many bytes.
func fixed(size int, read func(raw []byte) any) decoder {
	return func(raw []byte) (any, error) {
		if len(raw) != size {
			return nil, fmt.Errorf("a value of %d bytes has %d", size, len(raw))
		}
		return read(raw), nil
	}
}

// readBytes is readText for bytes, which it copies.
func readBytes(raw []byte) []byte {
	for _, b := range raw {
		if b == escape {
			return []byte(readText(string(raw)))
		}
	}
	return append([]byte{}, raw...)
}

// integer decodes whole numbers, and numbers of a scale as how many units of it they are: int64, or *big.Int for those that do not fit.
func integer(oid uint32, scale int) (decoder, error) {
	switch {
	case oid == pgtype.NumericOID:
		return func(raw []byte) (any, error) { return readNumeric(raw, scale) }, nil
	case scale > 0:
	case oid == pgtype.Int8OID:
		return fixed(8, func(raw []byte) any { return int64(binary.BigEndian.Uint64(raw)) }), nil
	case oid == pgtype.Int4OID:
		return fixed(4, func(raw []byte) any { return int64(int32(binary.BigEndian.Uint32(raw))) }), nil
	case oid == pgtype.Int2OID:
		return fixed(2, func(raw []byte) any { return int64(int16(binary.BigEndian.Uint16(raw))) }), nil
	}
	return nil, fmt.Errorf("PostgreSQL's type %d is not that of a number of scale %d", oid, scale)
}

// readNumeric is a numeric in units of 10^-scale.
func readNumeric(raw []byte, scale int) (any, error) {
	if len(raw) < 8 {
		return nil, fmt.Errorf("a numeric of %d bytes", len(raw))
	}
	digits, weight, sign := int(binary.BigEndian.Uint16(raw)), int(int16(binary.BigEndian.Uint16(raw[2:]))), binary.BigEndian.Uint16(raw[4:])
	raw = raw[8:]
	if sign&0xbfff != 0 || len(raw) != 2*digits {
		return nil, fmt.Errorf("a numeric that is no finite number")
	}
	zeros := scale + 4*(weight-digits+1) // behind the last digit
	if digits <= 4 && zeros >= -4*digits && zeros <= 2 {
		n := int64(0)
		for i := range digits {
			n = n*10000 + int64(binary.BigEndian.Uint16(raw[2*i:]))
		}
		if zeros >= 0 || n%smallPower(-zeros) == 0 {
			if zeros >= 0 {
				n *= smallPower(zeros)
			} else {
				n /= smallPower(-zeros)
			}
			if sign != 0 {
				n = -n
			}
			return n, nil
		}
	}
	n, base := new(big.Int), big.NewInt(10000)
	for i := range digits {
		n.Add(n.Mul(n, base), big.NewInt(int64(binary.BigEndian.Uint16(raw[2*i:]))))
	}
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(zeros, -zeros))), nil)
	rest := new(big.Int)
	if zeros >= 0 {
		n.Mul(n, power)
	} else {
		n.QuoRem(n, power, rest)
	}
	if rest.Sign() != 0 {
		return nil, fmt.Errorf("a numeric has more than %d decimals", scale)
	}
	if sign != 0 {
		n.Neg(n)
	}
	if n.IsInt64() {
		return n.Int64(), nil
	}
	return n, nil
}

// smallPower is 10^n for n up to 18.
func smallPower(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

// decimalText writes units of 10^-scale with all their decimals.
func decimalText(units any, scale int) string {
	text := fmt.Sprint(units)
	if scale == 0 {
		return text
	}
	text, negative := strings.CutPrefix(text, "-")
	if missing := scale + 1 - len(text); missing > 0 {
		text = strings.Repeat("0", missing) + text
	}
	text = text[:len(text)-scale] + "." + text[len(text)-scale:]
	if negative {
		return "-" + text
	}
	return text
}

// listOf decodes arrays of one dimension, with elements of a type.
func listOf(oid uint32, element string, as asDecoder) (decoder, error) {
	of, ok := elementOf[oid]
	if !ok {
		return nil, fmt.Errorf("PostgreSQL's type %d is not that of a list", oid)
	}
	each, err := as(of, element)
	if err != nil {
		return nil, err
	}
	return func(raw []byte) (any, error) {
		list := []any{}
		if len(raw) < 12 {
			return nil, fmt.Errorf("an array of %d bytes", len(raw))
		}
		dimensions := binary.BigEndian.Uint32(raw)
		if dimensions == 0 {
			return list, nil
		}
		if dimensions != 1 || len(raw) < 20 {
			return nil, fmt.Errorf("an array of %d dimensions", dimensions)
		}
		count := binary.BigEndian.Uint32(raw[12:])
		for raw = raw[20:]; count > 0; count-- {
			if len(raw) < 4 {
				return nil, fmt.Errorf("an array ends early")
			}
			size := int32(binary.BigEndian.Uint32(raw))
			raw = raw[4:]
			if size < 0 {
				list = append(list, nil)
				continue
			}
			if int(size) > len(raw) {
				return nil, fmt.Errorf("an array ends early")
			}
			v, err := each(raw[:size])
			if err != nil {
				return nil, err
			}
			list, raw = append(list, v), raw[size:]
		}
		return list, nil
	}, nil
}

// elementOf tells the types of arrays' elements.
var elementOf = map[uint32]uint32{
	pgtype.BoolArrayOID: pgtype.BoolOID, pgtype.Int2ArrayOID: pgtype.Int2OID, pgtype.Int4ArrayOID: pgtype.Int4OID, pgtype.Int8ArrayOID: pgtype.Int8OID,
	pgtype.NumericArrayOID: pgtype.NumericOID, pgtype.Float8ArrayOID: pgtype.Float8OID, pgtype.TextArrayOID: pgtype.TextOID, pgtype.VarcharArrayOID: pgtype.VarcharOID,
	pgtype.ByteaArrayOID: pgtype.ByteaOID, pgtype.DateArrayOID: pgtype.DateOID, pgtype.TimestampArrayOID: pgtype.TimestampOID, pgtype.TimestamptzArrayOID: pgtype.TimestamptzOID,
}
