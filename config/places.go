package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pinflow/pinflow"
)

// parseBroker returns a broker as host:port.
func parseBroker(text string) (string, error) {
	if text == "" {
		return "", errors.New("a broker is empty")
	}
	if host := strings.Trim(text, "[]"); !strings.Contains(text, ":") || net.ParseIP(host) != nil {
		return net.JoinHostPort(host, "9092"), nil
	}
	host, port, err := splitAddress(text)
	if err == nil && port == 0 {
		err = errors.New("port 0 can't be connected to")
	}
	if err == nil && host == "" {
		err = errors.New("there is no host")
	}
	if err != nil {
		return "", fmt.Errorf("the broker %q: %w", text, err)
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}

// splitAddress splits host:port.
func splitAddress(text string) (host string, port int, err error) {
	host, digits, err := net.SplitHostPort(text)
	if err != nil {
		var detail *net.AddrError
		if errors.As(err, &detail) {
			err = errors.New(detail.Err)
		}
		return "", 0, err
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("the port %q is no number up to 65535", digits)
	}
	return host, int(n), nil
}

// ParseLake reads a lake's URL: a folder, or a bucket of S3 with its prefix as path and gocloud's parameters as
// query. One of them is set. Anything else is an Invalid error.
func ParseLake(text string) (folder string, s3 *url.URL, err error) {
	return parsePlace("lake", text, "file", []string{"s3"}, "Write file:///path or s3://bucket/prefix?endpoint=…&region=….")
}

// ParseStore reads a store's URL: a DuckDB file, or a PostgreSQL database. One of them is set. Anything else is
// an Invalid error.
func ParseStore(text string) (file string, postgres *url.URL, err error) {
	return parsePlace("store", text, "duckdb", []string{"postgres", "postgresql"}, "Write duckdb:///path or postgres://user@host/database.")
}

// parsePlace reads a URL that is a path, if it has the scheme local, or else of one of the remote schemes, with a host.
func parsePlace(what, text, local string, remote []string, hint string) (string, *url.URL, error) {
	bad := func(why error) (string, *url.URL, error) { return "", nil, badURL(what, text, why, hint) }
	u, err := url.Parse(text)
	if err != nil {
		return bad(withoutURL(err))
	}
	if u.Scheme == local {
		switch {
		case u.Host != "" || !strings.HasPrefix(u.Path, "/") || u.User != nil:
			return bad(fmt.Errorf("the path is not absolute: there are three slashes before it"))
		case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
			return bad(errors.New("there is something behind the path; a ? or # in it is written %3F or %23"))
		case strings.Trim(u.Path, "/") == "":
			return bad(errors.New("it has no path"))
		}
		return filepath.FromSlash(filepath.Clean(u.Path)), nil, nil
	}
	for _, scheme := range remote {
		if u.Scheme != scheme {
			continue
		}
		if u.Hostname() == "" {
			return bad(errors.New("there is nothing behind the slashes"))
		}
		if _, err := url.ParseQuery(u.RawQuery); err != nil {
			return bad(err)
		}
		return "", u, nil
	}
	return bad(fmt.Errorf("it does not begin with %s:// or %s://", local, remote[0]))
}

func badURL(what, text string, why error, hint string) error {
	return &pinflow.Error{Op: "read the URL of the " + what, On: redacted(text), Kind: pinflow.Invalid, Err: why, Hint: hint}
}

// withoutURL is what url.Parse says without the text, which may hold a password.
func withoutURL(err error) error {
	var detail *url.Error
	if !errors.As(err, &detail) {
		return err
	}
	var port url.EscapeError
	if errors.As(detail.Err, &port) {
		return detail.Err
	}
	return errors.New("it is no URL")
}

// redacted is a URL for people: what could be a password is left out.
func redacted(text string) string {
	if scheme, rest, ok := strings.Cut(text, "://"); ok {
		if at := strings.LastIndex(rest, "@"); at >= 0 {
			text = scheme + "://…" + rest[at:]
		}
	}
	address, query, ok := strings.Cut(text, "?")
	if ok && strings.Contains(strings.ToLower(query), "pass") {
		return address + "?…"
	}
	return text
}

// hasPassword tells whether there is a password in a URL.
func hasPassword(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return redacted(text) != text
	}
	_, inUser := u.User.Password()
	query := u.Query()
	return inUser || query.Has("password") || query.Has("sslpassword")
}
