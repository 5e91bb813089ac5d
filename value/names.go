package value

import (
	"bytes"
	"encoding/binary"
)

// fewNames is how many names are told apart without a map.
const fewNames = 48

// names are the top-level names of one object, unescaped, to find repeated ones.
type names struct {
	n    int
	sig  [fewNames]uint64
	name [fewNames][]byte
	more map[string]struct{}
}

// signature is a cheap digest: names that differ rarely share it.
func signature(name []byte) uint64 {
	n := len(name)
	if n >= 8 {
		return binary.LittleEndian.Uint64(name)*3 ^ binary.LittleEndian.Uint64(name[n-8:]) ^ uint64(n)<<56
	}
	var w uint64
	for _, c := range name {
		w = w<<8 | uint64(c)
	}
	return w ^ uint64(n)<<56
}

// add tells whether name is new.
func (s *names) add(name []byte) bool {
	sig := signature(name)
	n := min(s.n, fewNames)
	for i, known := range s.sig[:n] {
		if known == sig && bytes.Equal(s.name[i], name) {
			return false
		}
	}
	if s.n < fewNames {
		s.sig[n], s.name[n] = sig, name
		s.n++
		return true
	}
	if _, ok := s.more[string(name)]; ok {
		return false
	}
	if s.more == nil {
		s.more = map[string]struct{}{}
	}
	s.more[string(name)] = struct{}{}
	return true
}

// reservedNames are the names that the lake adds to a record's own.
var reservedNames = [...]string{"_partition", "_offset", "_timestamp", "_key", "_headers", "_raw", "_erased"}

func reserved(name []byte) bool {
	if len(name) < 4 || name[0] != '_' {
		return false
	}
	for _, r := range reservedNames {
		if string(name) == r {
			return true
		}
	}
	return false
}
