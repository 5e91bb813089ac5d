package embedded

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/xdg-go/scram"

	"github.com/pinflow/pinflow"
)

// The mechanisms by which clients log in.
const (
	plain       = "PLAIN"
	scramSHA256 = "SCRAM-SHA-256"
	scramSHA512 = "SCRAM-SHA-512"
)

// hashes are the mechanisms for which a password is kept.
var hashes = map[string]func() hash.Hash{scramSHA256: sha256.New, scramSHA512: sha512.New}

// iterations make guessing a password from its hash slow.
const iterations = 8192

// users are those who may log in, as a file says, which is read again when it has changed.
type users struct {
	file   string
	secret []byte // from which come the salts of users that do not exist

	mu    sync.Mutex
	mtime time.Time
	size  int64
	known map[string]map[string]scram.StoredCredentials // by name and mechanism
}

// openUsers reads a file with a line per user, name:password or name:hash as Hash makes it; empty lines and those that begin with # are passed over.
func openUsers(file string) (*users, error) {
	u := &users{file: file, secret: random(32)}
	if err := u.refresh(); err != nil {
		return nil, &pinflow.Error{Op: "read the users of the embedded journal", On: file, Kind: pinflow.Invalid, Err: err,
			Hint: "Write a line name:password for each user, or what pinflow key kafka prints."}
	}
	return u, nil
}

// refresh reads the file if it has changed.
func (u *users) refresh() error {
	info, err := os.Stat(u.file)
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.known != nil && info.ModTime().Equal(u.mtime) && info.Size() == u.size {
		return nil
	}
	text, err := os.ReadFile(u.file)
	if err != nil {
		return err
	}
	known, err := parseUsers(text)
	if err != nil {
		return err
	}
	u.known, u.mtime, u.size = known, info.ModTime(), info.Size()
	return nil
}

// parseUsers reads the users' lines. An error tells the line, never what is in it.
func parseUsers(text []byte) (map[string]map[string]scram.StoredCredentials, error) {
	known := map[string]map[string]scram.StoredCredentials{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimRight(lines.Text(), "\r")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, secret, ok := strings.Cut(line, ":")
		if !ok || name == "" || secret == "" {
			return nil, fmt.Errorf("line %d is not name:password", n)
		}
		of := known[name]
		if of == nil {
			of = map[string]scram.StoredCredentials{}
			known[name] = of
		}
		if err := takeSecret(of, secret); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(known) == 0 {
		return nil, errors.New("there is no user in it")
	}
	return known, nil
}

// takeSecret adds what a line says to a user: a password serves for every mechanism, a hash for its own.
func takeSecret(of map[string]scram.StoredCredentials, secret string) error {
	for mechanism := range hashes {
		text, is := strings.CutPrefix(secret, mechanism+"$")
		if !is {
			continue
		}
		c, err := parseHash(text)
		of[mechanism] = c
		return err
	}
	for mechanism, h := range hashes {
		of[mechanism] = derive(h, secret, string(random(16)), iterations)
	}
	return nil
}

// Hash returns what a file of users may hold in a password's place, for those who log in with SCRAM-SHA-512 or PLAIN.
func Hash(password string) string {
	c := derive(sha512.New, password, string(random(16)), iterations)
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s$%d:%s$%s:%s", scramSHA512, c.Iters, b64([]byte(c.Salt)), b64(c.StoredKey), b64(c.ServerKey))
}

// parseHash reads what Hash wrote, behind the mechanism.
func parseHash(text string) (c scram.StoredCredentials, err error) {
	factors, keys, ok := strings.Cut(text, "$")
	iters, salt, ok2 := strings.Cut(factors, ":")
	stored, server, ok3 := strings.Cut(keys, ":")
	bad := errors.New("that is no hash of a password")
	if !ok || !ok2 || !ok3 {
		return c, bad
	}
	if c.Iters, err = strconv.Atoi(iters); err != nil || c.Iters < 4096 || c.Iters > 1<<20 {
		return c, bad
	}
	for _, field := range []struct {
		text string
		to   *[]byte
	}{{stored, &c.StoredKey}, {server, &c.ServerKey}} {
		if *field.to, err = base64.StdEncoding.DecodeString(field.text); err != nil || len(*field.to) < sha256.Size {
			return c, bad
		}
	}
	raw, err := base64.StdEncoding.DecodeString(salt)
	if err != nil || len(raw) == 0 {
		return c, bad
	}
	c.Salt = string(raw)
	return c, nil
}

// derive makes what is kept of a password (RFC 5802, without normalization, as Kafka does).
func derive(h func() hash.Hash, password, salt string, iters int) scram.StoredCredentials {
	salted, err := pbkdf2.Key(h, password, []byte(salt), iters, h().Size())
	if err != nil { // a key of no length, or a hash that FIPS forbids: neither is one of ours
		return scram.StoredCredentials{}
	}
	sum := h()
	sum.Write(sign(h, salted, "Client Key"))
	return scram.StoredCredentials{KeyFactors: scram.KeyFactors{Salt: salt, Iters: iters}, StoredKey: sum.Sum(nil), ServerKey: sign(h, salted, "Server Key")}
}

func sign(h func() hash.Hash, key []byte, text string) []byte {
	mac := hmac.New(h, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// find returns what is kept of a user. One that does not exist, or has no such hash, gets something that no password fits, so that nobody can tell.
func (u *users) find(name, mechanism string) scram.StoredCredentials {
	u.mu.Lock()
	defer u.mu.Unlock()
	if c, ok := u.known[name][mechanism]; ok {
		return c
	}
	h := hashes[mechanism]
	return scram.StoredCredentials{KeyFactors: scram.KeyFactors{Salt: string(sign(h, u.secret, name)[:16]), Iters: iterations},
		StoredKey: random(h().Size()), ServerKey: random(h().Size())}
}

// fits tells whether a password is the user's.
func (u *users) fits(name, password string) bool {
	fits := false
	for mechanism, h := range hashes {
		c := u.find(name, mechanism)
		fits = hmac.Equal(derive(h, password, c.Salt, c.Iters).StoredKey, c.StoredKey) || fits
	}
	return fits
}
