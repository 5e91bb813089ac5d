package config

import (
	"fmt"
	"strings"
)

// sampleWidth is how long a line of the sample's comments may be.
const sampleWidth = 100

// Sample returns a file of settings to start from: each with what it means and its default, all of it commented out.
func Sample() ([]byte, error) {
	settings, err := flags()
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString("# Settings of Pinflow. What is commented out has its default, which is shown; an example is shown where there is none.\n" +
		"# A flag (--http) and the environment (PINFLOW_HTTP) win over this file.\n")
	group := ""
	for _, s := range settings {
		if s.Group != nil && s.Group.Key != group {
			group = s.Group.Key
			fmt.Fprintf(&b, "\n## %s\n", group)
		}
		b.WriteByte('\n')
		for _, line := range wrap(s.Help, sampleWidth-2) {
			b.WriteString("# " + line + "\n")
		}
		value := s.Default
		if !s.HasDefault {
			value = s.Tag.Get("example")
		}
		fmt.Fprintf(&b, "#%s: %s\n", s.Name, quoted(value))
	}
	return []byte(b.String()), nil
}

// quoted is a value as YAML reads it back: in quotes where it would be taken for something else.
func quoted(value string) string {
	if strings.HasSuffix(value, ":") || value == "" {
		return `"` + value + `"`
	}
	return value
}

// wrap cuts a text at spaces into lines.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}
