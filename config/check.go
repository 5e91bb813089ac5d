package config

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
)

// part is a part of the settings that can tell what is wrong with it.
type part interface {
	// faults returns all that is wrong. isFlag tells whether the setting of that name was given on the command line.
	faults(isFlag func(name string) bool) []error
}

// Check returns an Invalid error that lists every fault, nil if there is none. It takes the settings to
// come from anywhere but the command line; what Kong checks takes that into account.
func (s *Settings) Check() error {
	var faults []error
	for _, p := range []part{&s.Places, &s.Listen, &s.Timing, &s.Limits} {
		faults = append(faults, p.faults(func(string) bool { return false })...)
	}
	return joined(faults)
}

// joined makes one error of faults: itself if there is but one.
func joined(faults []error) error {
	switch len(faults) {
	case 0:
		return nil
	case 1:
		return faults[0]
	}
	return &pinflow.Error{Op: "read the settings", Kind: pinflow.Invalid, Err: list(faults)}
}

// list says faults one a line, if there are several.
func list(faults []error) error {
	if len(faults) == 1 {
		return faults[0]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d faults:", len(faults))
	for _, f := range faults {
		b.WriteString("\n  " + f.Error())
	}
	return errors.New(b.String())
}

// fault is one about the setting of that name.
func fault(name, value, why, hint string) error {
	return &pinflow.Error{Op: "set " + name + " to", On: value, Kind: pinflow.Invalid, Err: errors.New(why), Hint: hint}
}

func (p *Places) faults(isFlag func(string) bool) []error {
	_, journal := ParseJournalURL(p.Journal)
	_, _, lake := ParseLake(p.LakeURL())
	_, _, store := ParseStore(p.StoreURL())
	var faults []error
	for _, place := range []struct {
		name, url string
		err       error
	}{{"journal", p.Journal, journal}, {"lake", p.Lake, lake}, {"store", p.Store, store}, {"store-read", p.StoreRead, p.storeReadFault()}} {
		// A journal's URL has no place for a password wherever it stands, and its own fault says where one belongs.
		if place.name != "journal" && isFlag(place.name) && hasPassword(place.url) {
			faults = append(faults, fault("--"+place.name, redacted(place.url), "a password in a flag can be seen by every user of this machine",
				"Put the URL into the environment (PINFLOW_"+strings.ReplaceAll(strings.ToUpper(place.name), "-", "_")+") or into pinflow.yaml."))
		} else if place.err != nil {
			faults = append(faults, place.err)
		}
	}
	if p.Data == "" {
		faults = append(faults, fault("data", `""`, "the folder has no name", "Name a folder, such as ./pinflow-data."))
	}
	return faults
}

// storeReadFault tells what is wrong with the URL for queries.
func (p *Places) storeReadFault() error {
	if p.StoreRead == "" {
		return nil
	}
	file, _, err := ParseStore(p.StoreRead)
	if err == nil && file != "" {
		err = fault("store-read", p.StoreRead, "it is for a store in PostgreSQL", "Write postgres://user@host/database, or leave it out.")
	}
	return err
}

func (l *Listen) faults(func(string) bool) []error {
	faults := l.httpFaults()
	httpHost, httpPort, _ := splitAddress(l.HTTP)
	kafkaHost, kafkaPort, err := l.kafkaAddress()
	if err != nil {
		faults = append(faults, err)
	}
	if len(faults) == 0 && httpPort != 0 && httpPort == kafkaPort && httpHost == kafkaHost {
		faults = append(faults, fault("kafka-listen", l.KafkaListen, "that is where HTTP listens", "Give each an address of its own."))
	}
	return faults
}

// kafkaAddress splits the address that the embedded broker listens on, which must be this machine's own unless clients log in.
func (l *Listen) kafkaAddress() (host string, port int, err error) {
	const name, usual = "kafka-listen", "127.0.0.1:9092"
	host, port, err = splitAddress(l.KafkaListen)
	if err != nil {
		return "", 0, fault(name, l.KafkaListen, err.Error(), "Write host:port, such as "+usual+".")
	}
	if ip := net.ParseIP(host); l.KafkaUsers == "" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", 0, fault(name, l.KafkaListen, "the embedded broker would ask nobody who they are: whoever could reach that address could read and write every record",
			"Give --kafka-users, or listen on "+usual+", or use a Kafka that has users, with --journal kafka://….")
	}
	return host, port, nil
}

func (t *Timing) faults(func(string) bool) []error {
	var faults []error
	if t.LogPeriod != 0 {
		if _, err := pinflow.ParsePeriodLength(t.LogPeriod); err != nil {
			faults = append(faults, err)
		}
	}
	if t.LakeFlush < 10*time.Millisecond {
		faults = append(faults, fault("lake-flush", t.LakeFlush.String(), "that is less than it takes to write an object", "Use 60s, or 1s to see records in the lake soon."))
	}
	for _, wait := range []struct {
		name  string
		value time.Duration
	}{{"seal-grace", t.SealGrace}, {"patience", t.Patience}} {
		if wait.value < 0 {
			faults = append(faults, fault(wait.name, wait.value.String(), "time does not run backwards", "Leave it out for the default; 0s is none."))
		}
	}
	return faults
}

func (l *Limits) faults(func(string) bool) []error {
	var faults []error
	for _, limit := range []struct {
		name         string
		value, least Bytes
	}{
		{"max-record", l.MaxRecord, 1 << 10}, {"max-bulk", l.MaxBulk, l.MaxRecord}, {"ingest-memory", l.IngestMemory, l.MaxRecord}, {"lake-memory", l.LakeMemory, 1 << 20},
		{"duckdb-memory", l.DuckDBMemory, 32 << 20}, {"batch-memory", l.BatchMemory, 1 << 20}, {"stream-memory", l.StreamMemory, 1 << 20}, {"journal-retention", l.JournalRetention, 1 << 20},
	} {
		byProcess := limit.value == 0 && (limit.name == "batch-memory" || limit.name == "stream-memory") // what it is then, the kind of process says
		if limit.value < limit.least && !byProcess {
			faults = append(faults, fault(limit.name, limit.value.String(), "it is less than "+limit.least.String(), "Leave it out for the default."))
		}
	}
	if l.SQLRows < 1 {
		faults = append(faults, fault("sql-rows", fmt.Sprint(l.SQLRows), "no query could have an answer", "Leave it out for the default."))
	}
	if l.SQLTime <= 0 {
		faults = append(faults, fault("sql-time", l.SQLTime.String(), "no query could be answered in time", "Leave it out for the default."))
	}
	return faults
}
