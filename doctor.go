package pinflow

// Advice is something about a place that is not as it should be, and how to mend it.
type Advice struct {
	Severity Severity `json:"severity"`
	Place    string   `json:"place"` // where: "topic pins on kafka:9092"
	What     string   `json:"what"`  // what is so and what comes of it, a sentence
	Do       string   `json:"do"`    // the command that mends it, or a sentence; empty if nothing needs to be done
}

// Severity says how much an Advice matters.
type Severity uint8

// The severities, least first.
const (
	Note    Severity = iota // good to know
	Warning                 // works, until something else goes wrong too
	Broken                  // records are refused, lost or counted wrong
)

// String returns the severity in a word.
func (s Severity) String() string { return [...]string{"note", "warning", "broken"}[s] }

// MarshalText writes the severity as that word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
