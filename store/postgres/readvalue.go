package postgres

import (
	"encoding/binary"
	"errors"
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
				return nil, errors.New("an array ends early")
			}
			size := int32(binary.BigEndian.Uint32(raw))
			raw = raw[4:]
			if size < 0 {
				list = append(list, nil)
				continue
			}
			if int(size) > len(raw) {
				return nil, errors.New("an array ends early")
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
