package duck

import "strings"

// ParquetType returns the type in which WriteParquet keeps values of a DuckDB type so that they come back exactly: the
// type itself, unless Parquet lacks it or DuckDB keeps less than all of it. HUGEINT is DECIMAL(38,0), so values of 39 digits do not fit.
func ParquetType(t string) string {
	switch t {
	case "HUGEINT":
		return "DECIMAL(38,0)"
	case "UHUGEINT", "BIGNUM", "VARINT", "INTERVAL", "BIT", "TIMETZ", "TIME WITH TIME ZONE", "VARIANT", "GEOMETRY", `"NULL"`:
		return "VARCHAR"
	}
	if strings.HasSuffix(t, "]") {
		i := strings.LastIndexByte(t, '[')
		return ParquetType(t[:i]) + "[]" // Parquet has no lists of a fixed length
	}
	name, inside, ok := strings.Cut(strings.TrimSuffix(t, ")"), "(")
	if !ok {
		return t
	}
	switch name {
	case "STRUCT":
		fields := splitTypes(inside)
		for i, f := range fields {
			at := endOfName(f)
			fields[i] = f[:at] + " " + ParquetType(strings.TrimSpace(f[at:]))
		}
		return "STRUCT(" + strings.Join(fields, ", ") + ")"
	case "MAP":
		parts := splitTypes(inside)
		for i, p := range parts {
			parts[i] = ParquetType(p)
		}
		return "MAP(" + strings.Join(parts, ", ") + ")"
	}
	return t
}

// splitTypes splits what stands between the parentheses of a type at its outermost commas.
func splitTypes(s string) (parts []string) {
	depth, from := 0, 0
	var quote byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0 // a doubled one opens it again at once
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			depth--
		case c == ',' && depth == 0:
			parts = append(parts, strings.TrimSpace(s[from:i]))
			from = i + 1
		}
	}
	return append(parts, strings.TrimSpace(s[from:]))
}

// endOfName returns where the name of a struct's field ends.
func endOfName(field string) int {
	if field == "" || field[0] != '"' {
		return max(strings.IndexByte(field, ' '), 0)
	}
	for i := 1; i < len(field); i++ {
		if field[i] != '"' {
			continue
		}
		if i+1 < len(field) && field[i+1] == '"' {
			i++
			continue
		}
		return i + 1
	}
	return len(field)
}
