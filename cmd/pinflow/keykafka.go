package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/journal/embedded"
)

// keyKafka makes a user of the embedded broker.
type keyKafka struct {
	Name string `arg:"" help:"The user's name."`
}

// Help is shown by --help.
func (keyKafka) Help() string {
	return `Makes a password, prints it on stderr, once, and on stdout the line for the file of --kafka-users, which holds only its hash.

Example:

  pinflow key kafka consumer-1 >> kafka.users
  pinflow up --kafka-listen 0.0.0.0:9092 --kafka-advertise pins.example.com --kafka-users kafka.users --kafka-tls-cert tls.crt --kafka-tls-key tls.key`
}

// Run prints the line.
func (c keyKafka) Run(t terminal) error {
	if c.Name == "" || strings.ContainsAny(c.Name, ":\n\r#") {
		return &pinflow.Error{Op: "make a user", On: c.Name, Kind: pinflow.Invalid, Err: errors.New("the name is empty, or has a colon, a # or a line's end in it"), Hint: "Choose another one."}
	}
	password := rand.Text()
	fmt.Fprintf(t.err, "The password of %s, shown once: %s\n", c.Name, password)
	_, err := fmt.Fprintf(t.out, "%s:%s\n", c.Name, embedded.Hash(password))
	return err
}
