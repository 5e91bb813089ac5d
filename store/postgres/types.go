package postgres

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
)

// sqlType is the type in which PostgreSQL holds the values of one of the plan's types; an error if there is none.
func sqlType(t string) (string, error) {
	if element, ok := strings.CutSuffix(t, "[]"); ok {
		inner, err := sqlType(element)
		return strings.TrimSuffix(inner, textCollation) + "[]" + collationOf(inner), err
	}
	base, parameters, _ := strings.Cut(strings.ToUpper(t), "(")
	switch strings.TrimSpace(base) {
	case "BOOLEAN":
		return "boolean", nil
	case "TINYINT", "SMALLINT", "UTINYINT", "USMALLINT", "INTEGER":
		return "integer", nil
	case "UINTEGER", "BIGINT":
		return "bigint", nil
	case "UBIGINT", "HUGEINT", "UHUGEINT":
		return "numeric(39)", nil
	case "FLOAT", "DOUBLE":
		return "double precision", nil
	case "DECIMAL", "NUMERIC":
		if parameters == "" {
			return "numeric(18,3)", nil
		}
		return "numeric(" + parameters, nil
	case "VARCHAR", "JSON", "UUID":
		return "text" + textCollation, nil
	case "BLOB":
		return "bytea", nil
	case "DATE":
		return "date", nil
	case "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS":
		return "timestamp", nil
	case "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE":
		return "timestamptz", nil
	}
	return "", fmt.Errorf("PostgreSQL holds no %s", t)
}

// textCollation orders text by its bytes, as DuckDB does.
const textCollation = ` COLLATE "C"`

func collationOf(t string) string {
	if strings.HasSuffix(t, textCollation) {
		return textCollation
	}
	return ""
}

// columnList is columns as CREATE TABLE wants them.
func columnList(columns []pinflow.Column) (string, error) {
	parts := make([]string, len(columns))
	for i, c := range columns {
		t, err := sqlType(c.Type)
		if err != nil {
			return "", fmt.Errorf("column %s: %w", c.Name, err)
		}
		parts[i] = quote(c.Name) + " " + t
	}
	return "(" + strings.Join(parts, ", ") + ")", nil
}

// columns are all columns of the table, in order.
func columns(t *pinflow.Table) []pinflow.Column {
	var all []pinflow.Column
	switch t.Kind {
	case pinflow.Partials:
		all = append(all, pinflow.Column{Name: "_period", Type: "BIGINT"}, pinflow.Column{Name: "_shard", Type: "INTEGER"})
	case pinflow.Rows, pinflow.Entities:
		all = append(all, pinflow.Column{Name: "_period", Type: "BIGINT"}, pinflow.Column{Name: "_topic", Type: "VARCHAR"})
	}
	all = append(all, t.Keys...)
	for _, m := range t.Measures {
		all = append(all, m.Column)
	}
	return all
}

// The infinities of DuckDB's times as duckdb-go gives them.
var (
	timeInfinity    = time.UnixMicro(math.MaxInt64).UTC()
	timeMinInfinity = time.UnixMicro(-math.MaxInt64).UTC()
)

const (
	epoch = 946684800 // 2000-01-01, PostgreSQL's first second, in Unix seconds
	// What PostgreSQL's timestamps reach, in microseconds from its epoch: 4714-11-24 BC up to 294277.
	leastMicros = -211813488000000000
	mostMicros  = 9223371331200000000
	// What its dates reach, in days from its epoch.
	leastDays, mostDays = -2451545, 2145031949 - 1
)

// storedTime is t in microseconds from 2000-01-01, and the infinities for what is beyond PostgreSQL's times, or is one of DuckDB's infinities.
func storedTime(t time.Time) int64 {
	seconds := t.Unix() - epoch
	switch {
	case seconds >= mostMicros/1e6 || !t.Before(timeInfinity):
		return math.MaxInt64
	case seconds < leastMicros/1e6 || !t.After(timeMinInfinity):
		return math.MinInt64
	}
	return seconds*1e6 + int64(t.Nanosecond())/1e3
}

// readTime is the way back. The infinities are DuckDB's.
func readTime(micros int64) time.Time { return time.UnixMicro(readMicros(micros)).UTC() }

// readMicros is readTime in microseconds from 1970-01-01, as DuckDB counts.
func readMicros(micros int64) int64 {
	switch micros {
	case math.MaxInt64:
		return math.MaxInt64
	case math.MinInt64:
		return -math.MaxInt64
	}
	return micros + epoch*1e6
}

// storedDate is t's day, in days from 2000-01-01, with infinities as storedTime.
func storedDate(t time.Time) int32 {
	days := floorDiv(t.Unix()-epoch, 86400)
	switch {
	case days > mostDays:
		return math.MaxInt32
	case days < leastDays:
		return math.MinInt32
	}
	return int32(days)
}

// readDate is the way back. The infinities are DuckDB's.
func readDate(days int32) time.Time {
	const duckEpoch = 10957 // days from 1970 to 2000
	switch days {
	case math.MaxInt32:
		return time.Unix(math.MaxInt32*86400, 0).UTC()
	case math.MinInt32:
		return time.Unix(-math.MaxInt32*86400, 0).UTC()
	}
	return time.Unix((int64(days)+duckEpoch)*86400, 0).UTC()
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
