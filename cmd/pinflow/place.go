package main

import (
	"os"
	"strings"

	"github.com/pinflow/pinflow"
)

// mustExist keeps commands that read from making an empty data folder where a name was mistyped.
func mustExist(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return &pinflow.Error{Op: "read data", On: dir, Kind: pinflow.NotFound, Err: err,
			Hint: "Name the folder that pinflow up --data has, or a running Pinflow with --http."}
	}
	return nil
}

// withScheme lets people leave out http://.
func withScheme(address string) string {
	if strings.Contains(address, "://") {
		return address
	}
	return "http://" + address
}
