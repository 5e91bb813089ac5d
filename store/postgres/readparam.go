package postgres

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/pinflow/pinflow/internal/duck/readonly"
)

// condition is a bound condition in PostgreSQL's words, with its value as the parameter of that number: text, cast to the column's type.
func condition(b readonly.Bound, number int) (sql, value string, err error) {
	t, err := sqlType(b.Column.Type)
	if err != nil {
		return "", "", err
	}
	return sortKey(b.Column.Name, b.Column.Type) + fmt.Sprintf(" %s $%d::text::%s", b.Op, number, strings.TrimSuffix(t, textCollation)), paramText(b.Value, isDate(b.Column.Type)), nil
}

// sortKey is a column as it is compared: text by its bytes.
func sortKey(name, columnType string) string {
	if t, err := sqlType(columnType); err == nil {
		return quote(name) + collationOf(t)
	}
	return quote(name)
}

func isDate(columnType string) bool {
	return strings.TrimRight(strings.ToUpper(columnType), "[]") == "DATE"
}

// paramText is a value, as pinflow.Relation describes it, as PostgreSQL reads it from text.
func paramText(v any, date bool) string {
	switch v := v.(type) {
	case string:
		return storedText(v)
	case []byte:
		return `\x` + hex.EncodeToString(v)
	case float64:
		switch {
		case math.IsInf(v, 1):
			return "Infinity"
		case math.IsInf(v, -1):
			return "-Infinity"
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	case time.Time:
		return timeText(v, date)
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			if parts[i] = "NULL"; e != nil {
				parts[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(paramText(e, date)) + `"`
			}
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	return fmt.Sprint(v)
}

// timeText is a time, or a day, as it is stored.
func timeText(t time.Time, date bool) string {
	layout, least, most := "-01-02 15:04:05.999999+00", storedTime(t) == math.MinInt64, storedTime(t) == math.MaxInt64
	if date {
		layout, least, most = "-01-02", storedDate(t) == math.MinInt32, storedDate(t) == math.MaxInt32
	}
	switch {
	case least:
		return "-infinity"
	case most:
		return "infinity"
	}
	t = t.UTC()
	if y := t.Year(); y <= 0 {
		return fmt.Sprintf("%04d", 1-y) + t.Format(layout) + " BC"
	}
	return fmt.Sprintf("%04d", t.Year()) + t.Format(layout)
}
