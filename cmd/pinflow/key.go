package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/access"
)

// keyCmd manages the keys that clients need.
type keyCmd struct {
	Create keyCreate `cmd:"" help:"Make a key and print it, once."`
	List   keyList   `cmd:"" help:"List the keys, without their secrets."`
	Revoke keyRevoke `cmd:"" help:"Revoke a key: within a second nobody gets in with it."`
	Kafka  keyKafka  `cmd:"" help:"Print the line by which a client logs in to the embedded broker."`
}

// Help is shown by --help.
func (keyCmd) Help() string {
	return `A key lets a program or a person in: sent as Authorization: Bearer, as the password of Basic, or typed into the page's sign-in. Scopes: post (post records), read (metrics, models, status, page, Prometheus), sql (SQL, filters, reports), admin (batch, audit, generations); none implies another.

Keys are needed by whoever comes from beyond loopback, and by everybody once there is a file of keys. Running processes notice a change of the file.

Examples:

  pinflow key create ingest-fleet --scope post
  pinflow key create ada --scope read,sql --expires 90d
  pinflow key list
  pinflow key revoke abcd2345`
}

// keyStore is where the keys are.
type keyStore struct {
	KeysFile string `help:"The file of the keys. By default keys.json in --data." env:"PINFLOW_KEYS_FILE" placeholder:"FILE" group:"Access"`
	Data     string `help:"The folder of the data." default:"./pinflow-data" env:"PINFLOW_DATA" placeholder:"DIR" group:"Places"`
}

func (s keyStore) path() string { return keysPath(s.KeysFile, s.Data) }

// writable refuses to change a file that the environment's keys stand for.
func (s keyStore) writable() error {
	if _, ok := os.LookupEnv(keysVariable); ok && s.KeysFile == "" {
		return &pinflow.Error{Op: "change the keys", On: keysVariable, Kind: pinflow.Invalid, Err: errors.New("the keys are in the environment, which only its owner can change"),
			Hint: "Unset it, or name a file with --keys-file whose content then goes into it."}
	}
	return nil
}

// keyCreate makes a key.
type keyCreate struct {
	keyStore
	Name    string       `arg:"" help:"Who or what will use it."`
	Scope   access.Scope `required:"" help:"What it may do: post, read, sql, admin, with commas between several." placeholder:"SCOPES"`
	Expires string       `help:"When it ends: after a time such as 12h or 90d, or at a date or time of RFC 3339. By default never." placeholder:"TIME"`
}

// Help is shown by --help.
func (keyCreate) Help() string {
	return `The key goes to stdout and is kept nowhere: only its SHA-256 is. Its id is what stands between pf_ and the next _.

Examples:

  pinflow key create ingest-fleet --scope post > fleet.key
  pinflow key create ada --scope read,sql --expires 2027-01-01`
}

// Run makes it.
func (c *keyCreate) Run(t terminal) error {
	if err := c.writable(); err != nil {
		return err
	}
	now := time.Now()
	ends, err := parseEnd(c.Expires, now)
	if err != nil {
		return usageError{err}
	}
	k, text, err := access.Create(c.path(), c.Name, c.Scope, ends, now)
	if err != nil {
		return err
	}
	until := "does not expire"
	if !k.Expires.IsZero() {
		until = "expires at " + k.Expires.Format(time.RFC3339)
	}
	fmt.Fprintf(t.err, "Key %s for %s, with the scopes %s, %s. This is the only time it is shown:\n", k.ID, k.Name, strings.Join(k.Scope.Names(), ", "), until)
	_, err = fmt.Fprintln(t.out, text)
	return err
}

// parseEnd reads when a key ends: the zero time for never.
func parseEnd(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil && n > 0 {
			return now.Add(time.Duration(n) * 24 * time.Hour), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("--expires %q is neither a time such as 12h or 90d nor a date such as 2027-01-01", text)
}

// keyList lists keys.
type keyList struct {
	keyStore
	Output string `help:"table, json (an array of row objects) or csv." enum:"table,json,csv" default:"table" short:"o" placeholder:"FORMAT"`
}

// Help is shown by --help.
func (keyList) Help() string {
	return `Example:

  pinflow key list --output json`
}

// Run lists them.
func (c *keyList) Run(t terminal) error {
	keys, err := access.List(c.path())
	if text, ok := os.LookupEnv(keysVariable); ok && c.KeysFile == "" {
		keys, err = access.ListText(text)
	}
	if err != nil {
		return err
	}
	result := &pinflow.Result{Columns: []pinflow.Column{{Name: "id", Type: "VARCHAR"}, {Name: "name", Type: "VARCHAR"}, {Name: "scopes", Type: "VARCHAR"},
		{Name: "created", Type: "TIMESTAMPTZ"}, {Name: "expires", Type: "TIMESTAMPTZ"}, {Name: "state", Type: "VARCHAR"}}}
	for _, k := range keys {
		row := []any{k.ID, k.Name, k.Scope.String(), k.Created, nil, "valid"}
		if !k.Expires.IsZero() {
			row[4] = k.Expires
			if !time.Now().Before(k.Expires) {
				row[5] = "expired"
			}
		}
		result.Rows = append(result.Rows, row)
	}
	return printResult(t.out, c.Output, result)
}

// keyRevoke takes a key away.
type keyRevoke struct {
	keyStore
	ID string `arg:"" help:"The key's id, as key list shows it."`
}

// Help is shown by --help.
func (keyRevoke) Help() string {
	return `Event streams that were opened with it end too.

Example:

  pinflow key revoke abcd2345`
}

// Run revokes it.
func (c *keyRevoke) Run(t terminal) error {
	if err := c.writable(); err != nil {
		return err
	}
	if err := access.Revoke(c.path(), c.ID); err != nil {
		return err
	}
	_, err := fmt.Fprintf(t.err, "Key %s is revoked.\n", c.ID)
	return err
}
