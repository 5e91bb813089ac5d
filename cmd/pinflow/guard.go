package main

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/pinflow/pinflow/problem"
)

// guard refuses requests that a page of another site makes the user's browser send: those for a
// host name that is not this machine's (DNS rebinding), and those of a foreign Origin.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !isLoopback(r.Host):
			problem.Write(w, problem.New(http.StatusMisdirectedRequest, "This Pinflow does not answer for the host "+r.Host+".",
				"It listens on loopback: ask for 127.0.0.1 or localhost."))
		case isForeign(r):
			problem.Write(w, problem.New(http.StatusForbidden, "A page of "+r.Header.Get("Origin")+" may not use this Pinflow.",
				"Open the dashboard of this Pinflow itself, or send the request without a browser."))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// isLoopback tells whether a host, with or without a port, is this machine's loopback.
func isLoopback(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	ip := net.ParseIP(name)
	return strings.EqualFold(name, "localhost") || ip != nil && ip.IsLoopback()
}

// isForeign tells whether a browser sent the request for a page of another origin than this server's.
func isForeign(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Method != http.MethodGet && r.Method != http.MethodHead
	}
	u, err := url.Parse(origin)
	return err != nil || u.Host != r.Host
}
