package clients

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
)

// TestEmulators posts as the emulators of the original and of its AWS variant do. What they posted arrives in lake and metrics.
func TestEmulators(t *testing.T) {
	interpreter(t)
	eachJournal(t, func(t *testing.T, p *process) {
		all := map[string]any{}
		var api, rest []sent
		script(t, "", &api, "emulate_api.py", p.http, "4", "25")
		script(t, "", &rest, "emulate_rest.py", p.http, p.topic, "60")
		maps.Copy(all, byPlace(t, api, false))
		maps.Copy(all, byPlace(t, rest, false))
		if len(api) != 100 || len(rest) != 60 {
			t.Errorf("%d and %d posts are acknowledged, want 100 and 60", len(api), len(rest))
		}
		p.arrived(all)
	})
}

// kafkaJSON is the content type in which the REST proxy takes records.
const kafkaJSON = "application/vnd.kafka.json.v2+json"

// TestRESTProxy asks what clients of the Kafka REST proxy (version 2 of its API) may, right and wrong, and compares status and error
// code with the proxy's.
func TestRESTProxy(t *testing.T) {
	interpreter(t)
	p := up(t, "")
	pin := string(posts(t, "proxy", 1)[0])
	key, err := json.Marshal(keyOf(t, json.RawMessage(pin)))
	if err != nil {
		t.Fatal(err)
	}
	good := func(more string) string { return `{` + more + `"value":` + pin + `}` }
	type ask struct {
		Method  string `json:"method"`
		Path    string `json:"path"`
		Content string `json:"content"`
		Accept  string `json:"accept"`
		Body    string `json:"body"`
	}
	cases := []struct {
		name, topic, content, body string
		status, code               int
		records                    string // per record: + for taken, - for refused for good
	}{
		{"one record", p.topic, kafkaJSON, `{"records":[` + good("") + `]}`, 200, 0, "+"},
		{"a charset", p.topic, kafkaJSON + "; charset=utf-8", `{"records":[` + good("") + `]}`, 200, 0, "+"},
		{"the key that the value has", p.topic, kafkaJSON, `{"records":[` + good(`"key":`+string(key)+`,`) + `]}`, 200, 0, "+"},
		{"schemas that JSON does not need", p.topic, kafkaJSON, `{"key_schema":null,"value_schema_id":1,"records":[` + good("") + `]}`, 200, 0, "+"},
		{"some are invalid", p.topic, kafkaJSON, `{"records":[` + good("") + `,{"value":{"index":1}},{"value":"text"},{"key":"other","value":` + pin + `},` + good(`"partition":0,`) + `,` + good("") + `]}`,
			200, 0, "+----+"},
		{"all are invalid", p.topic, kafkaJSON, `{"records":[{"value":null},{}]}`, 422, 422, "--"},
		{"no records", p.topic, kafkaJSON, `{}`, 422, 422, ""},
		{"an empty list", p.topic, kafkaJSON, `{"records":[]}`, 422, 422, ""},
		{"a field of another name", p.topic, kafkaJSON, `{"record":[]}`, 422, 422, ""},
		{"a record's field of another name", p.topic, kafkaJSON, `{"records":[` + good(`"headers":[],`) + `]}`, 422, 422, ""},
		{"no JSON", p.topic, kafkaJSON, `records`, 400, 400, ""},
		{"a topic that is not there", "nowhere", kafkaJSON, `{"records":[` + good("") + `]}`, 404, 40401, ""},
		{"Avro", p.topic, "application/vnd.kafka.avro.v2+json", `{"records":[` + good("") + `]}`, 415, 415, ""},
		{"a form", p.topic, "application/x-www-form-urlencoded", `records=1`, 415, 415, ""},
	}
	var asks []ask
	for _, c := range cases {
		asks = append(asks, ask{"POST", "/topics/" + c.topic, c.content, "application/vnd.kafka.v2+json", c.body})
	}
	text, err := json.Marshal(asks)
	if err != nil {
		t.Fatal(err)
	}
	var answers []struct {
		Status  int
		Content string
		Body    struct {
			Code    *int `json:"error_code"`
			Message string
			Offsets []struct {
				Partition, Offset *int64
				Code              *int `json:"error_code"`
				Error             *string
			}
		}
	}
	script(t, "", &answers, "ask_rest.py", p.http, string(text))
	taken := 0
	for i, c := range cases {
		a := answers[i]
		said, _ := json.Marshal(a.Body)
		if a.Status != c.status || a.Content != "application/vnd.kafka.v2+json" || (c.code == 0) != (a.Body.Code == nil) || c.code != 0 && *a.Body.Code != c.code {
			t.Errorf("%s is answered %d, %s, %s, want %d and error code %d", c.name, a.Status, a.Content, said, c.status, c.code)
			continue
		}
		if c.code != 0 && a.Body.Message == "" {
			t.Errorf("%s is answered without a message: %s", c.name, said)
		}
		records := ""
		for _, o := range a.Body.Offsets {
			switch {
			case o.Code == nil && o.Error == nil && o.Partition != nil && o.Offset != nil:
				records += "+"
			case o.Code != nil && *o.Code == 1 && o.Error != nil && o.Partition == nil && o.Offset == nil:
				records += "-"
			default:
				records += "?"
			}
		}
		if records != c.records {
			t.Errorf("%s: the records' results are %q, want %q: %s", c.name, records, c.records, said)
		}
		taken += strings.Count(records, "+")
	}
	p.counted(taken)
	var counts [1]struct{ Posts int }
	decode(t, p.pinflow("sql", "SELECT count(*)::INTEGER AS posts FROM posts", "--http", p.http, "--output", "json"), &counts)
	if counts[0].Posts != taken {
		t.Errorf("%d posts are counted, %d were taken", counts[0].Posts, taken)
	}
}
