package config

import (
	"strings"
	"testing"
)

func TestParseJournalURL(t *testing.T) {
	for text, want := range map[string]string{
		"embedded:":                            "embedded",
		"kafka://a:9092":                       "a:9092",
		"kafka://a":                            "a:9092",
		"kafka://a:1,b.example:65535,10.0.0.1": "a:1 b.example:65535 10.0.0.1:9092",
		"kafka://[::1]:99,[fe80::1],::1":       "[::1]:99 [fe80::1]:9092 [::1]:9092",
		"":                                     "neither embedded: nor kafka://",
		"embedded":                             "neither embedded: nor kafka://",
		"embedded://x":                         "neither embedded: nor kafka://",
		"Kafka://a:1":                          "neither embedded: nor kafka://",
		"kafka:a:1":                            "neither embedded: nor kafka://",
		"kafka://":                             "a broker is empty",
		"kafka://a:1,,b:2":                     "a broker is empty",
		"kafka://a:1,":                         "a broker is empty",
		"kafka://:9092":                        "there is no host",
		"kafka://a:":                           "the port \"\" is no number",
		"kafka://a:x":                          "the port \"x\" is no number",
		"kafka://a:0":                          "port 0",
		"kafka://a:65536":                      "is no number up to 65535",
		"kafka://a:1:2":                        "too many colons",
		"kafka://a:1/topic":                    "more than brokers",
		"kafka://a:1#x":                        "more than brokers",

		"kafka://a?tls=true":                                   "a:9092 tls",
		"kafka://a?tls=false":                                  "a:9092",
		"kafka://a?ca=/etc/ca.pem":                             "a:9092 tls ca=/etc/ca.pem",
		"kafka://a?tls=true&cert=/c&key=/a%20b":                "a:9092 tls cert=/c key=/a b",
		"kafka://me@a:1,b:2":                                   "a:1 b:2 me scram-sha-512",
		"kafka://me@a:1,b:2?sasl=scram-sha-256":                "a:1 b:2 me scram-sha-256",
		"kafka://m%40e@a:1?sasl=plain&tls=true&ca=/x%3Fy":      "a:1 tls ca=/x?y m@e plain",
		"kafka://a?tls=yes":                                    "neither true nor false",
		"kafka://a?tls=":                                       "has not one value",
		"kafka://a?tls=true&tls=true":                          "has not one value",
		"kafka://a?TLS=true":                                   "those that are: tls, ca, cert, key, sasl",
		"kafka://a?x=y":                                        "\"x\" is not known",
		"kafka://a?ca=/x&tls=false":                            "certificates, and tls=false",
		"kafka://a?tls=true&cert=/x":                           "belong together",
		"kafka://a?key=/x":                                     "belong together",
		"kafka://a?sasl=plain":                                 "no user",
		"kafka://me@a?sasl=gssapi":                             "none of scram-sha-512, scram-sha-256, plain",
		"kafka://@a":                                           "no user before the @",
		"kafka://user:hush@a:1":                                "a password does not belong there",
		"kafka://user:hush@a:1?tls=true":                       "a password does not belong there",
		"kafka://user@a:1?password=hush":                       "a password does not belong there",
		"kafka://user@a:1?sasl=plain&Passphrase=hush&tls=true": "a password does not belong there",
		"kafka://a?ca=%zz":                                     "cannot be read",
	} {
		p, err := ParseJournalURL(text)
		got := strings.Join(p.Brokers, " ")
		for _, part := range []struct{ name, value string }{{"ca=", p.CAFile}, {"cert=", p.CertFile}, {"key=", p.KeyFile}, {"", p.User}, {"", p.SASL}} {
			if part.name == "ca=" && p.TLS {
				got += " tls"
			}
			if part.value != "" {
				got += " " + part.name + part.value
			}
		}
		if p.Embedded {
			got = "embedded"
		}
		check(t, text, got, err, want)
	}
}
