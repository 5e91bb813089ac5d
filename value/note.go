package value

// note is a flaw after which the scan goes on.
type note struct {
	offset int
	what   flawKind
}

type flawKind uint8

const (
	repeated flawKind = iota
	reservedName
	halfPair
	nul
	tooLong
	tooLarge
	tooSmall
)

// notPlain tells whether the lake cannot store the value flat; else only Check minds.
func (k flawKind) notPlain() bool { return k <= halfPair }

// String tells the flaw, to be read after the path of what has it.
func (k flawKind) String() string {
	return [...]string{
		"stands more than once in the object",
		"is a name reserved for the lake",
		`holds half of a surrogate pair (\ud800 to \udfff)`,
		"holds the character U+0000",
		"is a number of more than 1000 characters",
		"is a number beyond the range of a 64-bit float",
		"is a number too close to 0 for a 64-bit float",
	}[k]
}

func (s *scanner) note(offset int, what flawKind) {
	s.notes = append(s.notes, note{offset, what})
}
