package pipelinetest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Records returns n values posted to a source of the definition ("sale" or "reading"), the same ones for the
// same seed. About one in twelve is against the schema or not even JSON, and of those of sale about one in twelve
// more is rejected by cleaning.
func Records(seed uint64, source string, n int) [][]byte {
	r := rand.New(rand.NewPCG(seed, 0))
	all := make([][]byte, n)
	for i := range all {
		switch {
		case r.IntN(12) == 0:
			all[i] = []byte(invalid[r.IntN(len(invalid))])
		case source == "sale":
			all[i] = encode(sale(r))
		default:
			all[i] = encode(reading(r))
		}
	}
	return all
}

// invalid is refused by either schema.
var invalid = [...]string{`{`, ``, `null`, `[]`, `"text"`, `{"order_id": 1, "sensor": "a"}`, `{"order_id": "", "amount": "1", "quantity": 1, "channel": "web"}`,
	`{"order_id": "x", "amount": 1.5, "quantity": 1, "channel": "web", "sensor": 1.5}`, `{"order_id": "x", "amount": "1", "quantity": 1e400, "channel": "web"}`,
	`{"order_id": "x", "order_id": "y", "amount": "1", "quantity": 1, "channel": "web"}`, "{\"order_id\": \"\xff\"}", `{"_offset": 3, "sensor": 1, "value": 1}`,
	`{"order_id": "x", "amount": "1", "quantity": 9223372036854775808, "channel": "web"}`, `{"order_id": "x", "amount": "1", "quantity": 1, "channel": "mail"}`}

func encode(v map[string]any) []byte {
	// What is in it are strings, numbers, booleans, lists and maps, which cannot fail.
	text, _ := json.Marshal(v)
	return text
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// sale makes values that are awkward as often as not: NULL and missing, zeros of both signs, numbers near
// limits, text that only bytes tell apart, amounts whose averages are ties.
func sale(r *rand.Rand) map[string]any {
	v := map[string]any{"order_id": "o" + strconv.Itoa(r.IntN(60)), "amount": amount(r), "quantity": quantity(r), "channel": pick(r, "web", "shop", "phone")}
	maybe := func(name string, value any) {
		if r.IntN(4) > 0 {
			v[name] = value
		}
	}
	maybe("price", pick(r, json.Number("1.00005"), "2.5", "0.1", "-0.0", "0.0", "19.99", "1e300", "123456.78905"))
	maybe("express", pick[any](r, true, false, nil))
	maybe("sold_at", pick(r, fmt.Sprintf("2026-0%d-%02dT%02d:30:00Z", 1+r.IntN(4), 1+r.IntN(3), r.IntN(24)), "2026-02-28T23:59:59.999999+02:00", "yesterday"))
	maybe("labels", some(r, "Red", "red", "Grün", "ΑΒΓ", "", "🎁", "a b", "it's"))
	maybe("customer", pick[any](r, map[string]any{"country": pick[any](r, "de", "DE", "fr", "", nil, "straße", "zz")}, map[string]any{}))
	maybe("note", pick[any](r, nil, "", "a", "B", "ä", "Z", "gift; wrap", "x"))
	if r.IntN(3) == 0 {
		sizes := make([]int64, r.IntN(4))
		for i := range sizes {
			sizes[i] = pick(r, int64(36), 37, 38, -1, 9223372036854775807, -9223372036854775808)
		}
		v["sizes"] = sizes
	}
	if r.IntN(5) == 0 {
		v["extra"] = []int{1, 2}
	}
	return v
}

func amount(r *rand.Rand) string {
	switch r.IntN(14) {
	case 0:
		return pick(r, "free", "", "1,50", "1e400")
	case 1:
		return pick(r, "9999999999999999.99", "-9999999999999999.99", "0.005", "-0.005", "1e3")
	}
	return fmt.Sprintf("%s%d.%02d", pick(r, "", "", "-"), r.IntN(50), r.IntN(100))
}

func quantity(r *rand.Rand) int64 {
	switch r.IntN(20) {
	case 0:
		return -1
	case 1:
		return 9223372036854775807
	}
	return int64(r.IntN(9))
}

func some(r *rand.Rand, of ...string) []string {
	list := make([]string, r.IntN(4))
	for i := range list {
		list[i] = pick(r, of...)
	}
	return list
}

func reading(r *rand.Rand) map[string]any {
	v := map[string]any{"sensor": pick(r, int64(r.IntN(7)), 9007199254740993, -1), "value": json.Number(pick(r, "0", "-0.0", "20.5", "20.25", "-3e2", "1e-300", "1e300", strconv.Itoa(r.IntN(40))))}
	if r.IntN(3) > 0 {
		v["ok"] = r.IntN(2) == 0
	}
	if r.IntN(3) > 0 {
		v["at"] = pick(r, int64(1767225600+r.IntN(20000)), 0, 9223372036854775807, -5)
	}
	if r.IntN(2) == 0 {
		v["flags"] = strings.Fields(pick(r, "", "low", "low battery"))
	}
	return v
}
