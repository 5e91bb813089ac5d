// Package access decides who may do what over HTTP.
//
// A key is a secret that its owner sends with each request, as Authorization: Bearer or as the password of Authorization: Basic. It has
// scopes: post, read, sql and admin, none of which implies another. Of a key only the SHA-256 is kept, in a file that every process reads anew
// when it changes (Keys), or in the environment. A browser signs in with a key once and gets a cookie that stands for it for some hours.
//
// Every route says what it takes, by NeedScope, NeedKey or Open; one that says nothing is closed to everybody as soon as keys are needed. A Mux
// holds the routes of a process and judges requests: first the Host and the Origin, because a page of another site can make
// its reader's browser send requests here, then the key and its scopes.
package access
