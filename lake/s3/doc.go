// Package s3 keeps the objects of a lake under a prefix of a bucket, on AWS S3 or any server that speaks its protocol.
//
//	url.go        what a URL says: bucket, prefix, endpoint, region
//	open.go       Open: credentials, and what is tried before a lake is trusted to a server
//	probe.go      does the server keep what is there?
//	client.go     the SDK's client: retries, connections
//	conn.go       a connection that stands still is given up
//	put.go        PutIfAbsent, Replace, Delete
//	multipart.go  large objects go in parts
//	get.go        Get: a read that breaks off goes on where it was
//	list.go       List
//	errors.go     what an answer means
//	metrics.go    what is counted
//
// An object is put with If-None-Match: *, so of two writers one wins, whichever they are. A put of which no answer came is tried again with the same
// condition: if the first try had stored the object, the second one finds it there, and PutIfAbsent says "not created". Who asked then reads the object, as after
// any other writer's.
package s3
