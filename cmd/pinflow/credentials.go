package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/access"
	"github.com/pinflow/pinflow/internal/datalock"
	"github.com/pinflow/pinflow/web/client"
)

// credentials are how a command shows who it is to a Pinflow that was named. A key is never a flag's value, which every user of the machine could see.
type credentials struct {
	KeyFile string `help:"A file with the key for the Pinflow that is named. By default the key is PINFLOW_KEY in the environment. The one that holds --data asks its own user for none." env:"PINFLOW_KEY_FILE" placeholder:"FILE"`
}

// keyConnections is how many connections a command that asks keeps for its next question.
const keyConnections = 4

// client asks the Pinflow at an address.
func (c credentials) client(address string) (client.Client, error) {
	shown, err := c.read()
	if err != nil {
		return client.Client{}, err
	}
	return clientOf(withScheme(address), shown)
}

// read reads the key, if one is given.
func (c credentials) read() (access.Credentials, error) {
	if c.KeyFile == "" {
		return access.Credentials{Key: strings.TrimSpace(os.Getenv("PINFLOW_KEY"))}, nil
	}
	text, err := os.ReadFile(c.KeyFile)
	key := strings.TrimSpace(string(text))
	if err == nil && (key == "" || strings.ContainsAny(key, " \r\n\t")) {
		err = fmt.Errorf("it does not hold one key")
	}
	if err != nil {
		return access.Credentials{}, &pinflow.Error{Op: "read the key in", On: c.KeyFile, Kind: pinflow.Invalid, Err: err, Hint: "The file holds what pinflow key create printed, and nothing else."}
	}
	return access.Credentials{Key: key}, nil
}

// holderCredentials are those of the user whose process holds a data folder: who can read what the lock says may read the data too.
func holderCredentials(holder *datalock.Info) access.Credentials {
	return access.Credentials{Key: holder.Secret, Fingerprint: holder.Certificate}
}

// clientOfHolder asks the Pinflow that holds a data folder.
func clientOfHolder(holder *datalock.Info) (client.Client, error) {
	return clientOf(holder.HTTP, holderCredentials(holder))
}

func clientOf(base string, shown access.Credentials) (client.Client, error) {
	h, err := httpClient(base, shown, keyConnections)
	return client.Client{Base: base, HTTP: h}, err
}

// httpClient is one that shows credentials to the server at base.
func httpClient(base string, shown access.Credentials, connections int) (*http.Client, error) {
	h, err := shown.Client(base, connections)
	if err != nil {
		return nil, &pinflow.Error{Op: "ask", On: base, Kind: pinflow.Invalid, Err: err, Hint: "Give an address such as http://127.0.0.1:8000."}
	}
	return h, nil
}
