package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/pinflow/pinflow"
)

// A key as its owner has it is pf_<id>_<secret><check>, all in base32: the id tells which key it is meant to be and is no secret, the check
// is a CRC-32 of all before it, so that what was mistyped or cut off is told from what is wrong.
const (
	prefix    = "pf_"
	idBytes   = 5  // 8 characters
	bytesOf   = 25 // of the secret: 200 bits, 40 characters
	idLen     = 8
	secretLen = 40
	checkLen  = 7
	keyLen    = len(prefix) + idLen + 1 + secretLen + checkLen
)

var alphabet = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Key is what is known of a key: not the secret.
type Key struct {
	ID      string
	Name    string // who or what has it, for people
	Scope   Scope
	Created time.Time
	Expires time.Time // zero: never
	hash    [sha256.Size]byte
}

// isExpired tells whether the key's time is over.
func (k *Key) isExpired(now time.Time) bool { return !k.Expires.IsZero() && !now.Before(k.Expires) }

// matches tells, in a time that does not depend on how much of it is right, whether the text is this key.
func (k *Key) matches(text string) bool {
	hash := sha256.Sum256([]byte(text))
	return subtle.ConstantTimeCompare(hash[:], k.hash[:]) == 1
}

// newKey makes a key and returns the text that its owner needs, which is kept nowhere.
func newKey(name string, s Scope, created, expires time.Time) (Key, string) {
	var random [idBytes + bytesOf]byte
	_, _ = rand.Read(random[:]) // never fails
	id := alphabet.EncodeToString(random[:idBytes])
	text := prefix + id + "_" + alphabet.EncodeToString(random[idBytes:])
	text += check(text)
	return Key{ID: id, Name: name, Scope: s, Created: created, Expires: expires, hash: sha256.Sum256([]byte(text))}, text
}

// idOf returns the id in the text of a key, or why it can be none.
func idOf(text string) (string, error) {
	switch {
	case !strings.HasPrefix(text, prefix):
		return "", errors.New("it does not begin with " + prefix)
	case len(text) < keyLen:
		return "", errors.New("it is cut off")
	case len(text) > keyLen:
		return "", errors.New("something follows it")
	case check(text[:keyLen-checkLen]) != text[keyLen-checkLen:]:
		return "", errors.New("its check is wrong: a character is missing or mistyped")
	}
	return text[len(prefix) : len(prefix)+idLen], nil
}

func check(text string) string {
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE([]byte(text)))
	return alphabet.EncodeToString(sum[:])
}

// NewLocal returns a secret for the commands of the same user on the same machine, to be handed on where no other user can read it.
func NewLocal() string {
	var random [bytesOf]byte
	_, _ = rand.Read(random[:]) // never fails
	return "local_" + hex.EncodeToString(random[:])
}

// checkName refuses names that could not be shown in a line.
func checkName(name string) error {
	const most = 100
	bad := func(why string) error {
		return &pinflow.Error{Op: "name a key", On: fmt.Sprintf("%q", name), Kind: pinflow.Invalid, Err: errors.New(why), Hint: "Name who or what will use it, such as ingest-fleet."}
	}
	switch {
	case strings.TrimSpace(name) != name || name == "":
		return bad("it is empty, or has spaces around it")
	case len(name) > most:
		return bad(fmt.Sprintf("it has more than %d bytes", most))
	case strings.HasPrefix(name, prefix):
		return bad("it looks like a key")
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return bad("it has characters that can't be shown")
		}
	}
	return nil
}
