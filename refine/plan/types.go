package plan

import (
	"fmt"
	"strings"
)

// storedType returns the type in which tables, relations and PostgreSQL all hold a DuckDB type
// exactly, false if there is none.
func storedType(t string) (string, bool) {
	if inner, ok := strings.CutSuffix(t, "[]"); ok {
		stored, ok := scalarType(inner)
		return stored + "[]", ok
	}
	return scalarType(t)
}

func scalarType(t string) (string, bool) {
	switch t {
	case "BOOLEAN", "INTEGER", "BIGINT", "HUGEINT", "DOUBLE", "VARCHAR", "BLOB", "DATE", "TIMESTAMP", "TIMESTAMPTZ":
		return t, true
	case "TINYINT", "SMALLINT", "UTINYINT", "USMALLINT":
		return "INTEGER", true
	case "UINTEGER":
		return "BIGINT", true
	case "UBIGINT":
		return "HUGEINT", true
	case "FLOAT":
		return "DOUBLE", true
	case "TIMESTAMP_S", "TIMESTAMP_MS":
		return "TIMESTAMP", true
	case "UUID", "JSON", `"NULL"`, "NULL":
		return "VARCHAR", true
	}
	if strings.HasPrefix(t, "ENUM(") {
		return "VARCHAR", true
	}
	_, _, ok := decimal(t)
	return t, ok
}

// decimal reads DECIMAL(width,scale).
func decimal(t string) (width, scale int, ok bool) {
	n, err := fmt.Sscanf(t, "DECIMAL(%d,%d)", &width, &scale)
	return width, scale, err == nil && n == 2
}

func decimalType(scale int) string { return fmt.Sprintf("DECIMAL(38,%d)", scale) }

func isInteger(t string) bool { return t == "INTEGER" || t == "BIGINT" || t == "HUGEINT" }

// isKey tells whether values of a stored type are equal just when they look the same, so that groups
// can be made of them in any engine. DOUBLE is one once its two zeros are made one.
func isKey(t string) bool { return t != "BLOB" && !strings.HasSuffix(t, "[]") }

// postgresType is a stored type in PostgreSQL's words.
func postgresType(t string) string {
	if inner, ok := strings.CutSuffix(t, "[]"); ok {
		return postgresType(inner) + "[]"
	}
	if width, scale, ok := decimal(t); ok {
		return fmt.Sprintf("numeric(%d,%d)", width, scale)
	}
	switch t {
	case "VARCHAR":
		return "text"
	case "DOUBLE":
		return "double precision"
	case "BLOB":
		return "bytea"
	case "HUGEINT":
		return "numeric"
	}
	return strings.ToLower(t)
}
