package value

import (
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// libraryFaults turns the library's tree of errors into faults in our words.
func libraryFaults(e *jsonschema.ValidationError) []Fault {
	switch e.ErrorKind.(type) {
	case *kind.Group, *kind.Schema, *kind.Reference, *kind.AllOf:
		var faults []Fault
		for _, cause := range e.Causes {
			faults = append(faults, libraryFaults(cause)...)
		}
		return faults
	}
	return leafFaults(e)
}

// leafFaults returns the faults that one error stands for, itself and not its causes.
func leafFaults(e *jsonschema.ValidationError) []Fault {
	path := pointer(e.InstanceLocation...)
	each := func(names []string, reason string) []Fault {
		faults := make([]Fault, len(names))
		for i, name := range names {
			faults[i] = Fault{path + pointer(name), reason}
		}
		return faults
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		return each(k.Missing, missing)
	case *kind.AdditionalProperties:
		return each(k.Properties, notAllowed)
	case *kind.DependentRequired:
		return each(k.Missing, missing+" (needed beside "+k.Prop+")")
	case *kind.Dependency:
		return each(k.Missing, missing+" (needed beside "+k.Prop+")")
	case *kind.PropertyNames:
		return []Fault{{path + pointer(k.Property), "has a name that is not allowed: it " + firstReason(e.Causes)}}
	}
	return []Fault{{path, libraryReason(e)}}
}

// libraryReason is the reason of an error that concerns the value at its place as a whole.
func libraryReason(e *jsonschema.ValidationError) string {
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		return wrongType(k.Got, k.Want)
	case *kind.Enum:
		return notOneOf(jsonTexts(k.Want))
	case *kind.Const:
		return notOneOf(jsonTexts([]any{k.Want}))
	case *kind.Format:
		if k.Want == "regex" {
			return "must be a regular expression in RE2 syntax: " + regexReason(k.Err)
		}
		return "must have the format " + k.Want
	case *kind.Pattern:
		return "must match the pattern " + k.Want
	case *kind.MinLength:
		return tooFew(k.Want, k.Got, "character")
	case *kind.MaxLength:
		return tooMany(k.Want, k.Got, "character")
	case *kind.MinItems:
		return tooFew(k.Want, k.Got, "item")
	case *kind.MaxItems:
		return tooMany(k.Want, k.Got, "item")
	case *kind.MinProperties:
		return tooFew(k.Want, k.Got, "field")
	case *kind.MaxProperties:
		return tooMany(k.Want, k.Got, "field")
	case *kind.Minimum:
		return bound("at least", k.Want)
	case *kind.Maximum:
		return bound("at most", k.Want)
	case *kind.ExclusiveMinimum:
		return bound("more than", k.Want)
	case *kind.ExclusiveMaximum:
		return bound("less than", k.Want)
	case *kind.MultipleOf:
		return bound("a multiple of", k.Want)
	case *kind.AdditionalItems:
		return "has " + count(k.Count, "item") + " more than the schema knows"
	}
	return shapeReason(e)
}

// shapeReason is libraryReason for keywords that combine schemas or look at a whole array.
func shapeReason(e *jsonschema.ValidationError) string {
	switch k := e.ErrorKind.(type) {
	case *kind.UniqueItems:
		return "must have no two equal items"
	case *kind.Contains:
		return "has no item of the kind it must contain"
	case *kind.MinContains:
		return tooFew(k.Want, len(k.Got), "item") + " of the kind it must contain"
	case *kind.MaxContains:
		return tooMany(k.Want, len(k.Got), "item") + " of the kind it may contain"
	case *kind.AnyOf:
		return "is none of the alternatives: " + alternatives(e.Causes)
	case *kind.OneOf:
		if len(k.Subschemas) > 0 {
			return "is more than one of the alternatives of which it must be exactly one"
		}
		return "is none of the alternatives: " + alternatives(e.Causes)
	case *kind.Not:
		return "is what the schema rules out"
	case *kind.FalseSchema:
		return "is not allowed here"
	}
	return "does not satisfy " + strings.Join(e.ErrorKind.KeywordPath(), "/")
}

// alternatives tells of each why it does not fit.
func alternatives(causes []*jsonschema.ValidationError) string {
	reasons := make([]string, 0, len(causes))
	for _, cause := range causes {
		reasons = append(reasons, "it "+firstReason([]*jsonschema.ValidationError{cause}))
	}
	return strings.Join(reasons, "; or ")
}

// firstReason returns the reason of the first fault, with its path if that is below the first cause's.
func firstReason(causes []*jsonschema.ValidationError) string {
	if len(causes) == 0 {
		return "does not fit"
	}
	faults := ordered(libraryFaults(causes[0]))
	if len(faults) == 0 {
		return "does not fit"
	}
	below := strings.TrimPrefix(faults[0].Path, pointer(causes[0].InstanceLocation...))
	if below == "" {
		return faults[0].Reason
	}
	return "has a fault: " + below + " " + faults[0].Reason
}

func jsonTexts(values []any) []string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = jsonText(v)
	}
	return texts
}
