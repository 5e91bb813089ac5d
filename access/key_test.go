package access

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestKeys(t *testing.T) {
	shape := regexp.MustCompile(`^pf_[a-z2-7]{8}_[a-z2-7]{47}$`)
	seen := map[string]bool{}
	for range 200 {
		k, text := newKey("n", Read, time.Now(), time.Time{})
		if !shape.MatchString(text) || seen[text] || seen[k.ID] {
			t.Fatal(text)
		}
		seen[text], seen[k.ID] = true, true
		if id, err := idOf(text); err != nil || id != k.ID || !k.matches(text) {
			t.Fatal(text, id, err)
		}
		if shown := fmt.Sprintf("%+v", k); strings.Contains(shown, text[12:]) {
			t.Fatal(shown)
		}
	}
}

// TestSlipsAreTold: any one character that is wrong, missing, doubled or swapped with the next is told from a key.
func TestSlipsAreTold(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		_, text := newKey("n", Read, time.Now(), time.Time{})
		slips := []string{"", "pf_", text + "a", text[1:], strings.ToUpper(text), text + text, " " + text}
		for i := range text {
			other := alphabetOf(r, text[i])
			slips = append(slips, text[:i]+other+text[i+1:], text[:i]+text[i+1:], text[:i]+text[i:i+1]+text[i:])
			if i > 0 && text[i] != text[i-1] {
				slips = append(slips, text[:i-1]+text[i:i+1]+text[i-1:i]+text[i+1:])
			}
		}
		for _, slip := range slips {
			if id, err := idOf(slip); err == nil {
				t.Fatalf("%q, a slip of %q, is taken for key %s", slip, text, id)
			}
		}
	}
}

func alphabetOf(r *rand.Rand, not byte) string {
	const all = "abcdefghijklmnopqrstuvwxyz234567_"
	for {
		if c := all[r.IntN(len(all))]; c != not {
			return string(c)
		}
	}
}

func TestScopes(t *testing.T) {
	for s := Scope(1); s <= All; s++ {
		var back Scope
		if err := back.UnmarshalText([]byte(s.String())); err != nil || back != s {
			t.Errorf("%s becomes %s: %v", s, back, err)
		}
		for need := Scope(1); need <= Admin; need <<= 1 {
			if s.Has(need) != strings.Contains(s.String(), need.String()) {
				t.Errorf("%s has %s: %v", s, need, s.Has(need))
			}
		}
	}
	if Read.Has(Read|SQL) || !All.Has(Read|SQL) {
		t.Error("some of several scopes are not all of them")
	}
	for _, wrong := range []string{"", "write", "read,", "read,root", "READ"} {
		if _, err := ParseScope(strings.Split(wrong, ",")...); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{"ingest-fleet": true, "Ada Lovelace": true, "é": true, "": false, " a": false, "a ": false, "a\nb": false, "a\x1b[1m": false,
		"\xff": false, strings.Repeat("x", 101): false, "pf_secret": false} {
		if err := checkName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
