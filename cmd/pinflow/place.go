package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/pinflow/pinflow"
	"github.com/pinflow/pinflow/config"
)

// mustExist keeps commands that read from making an empty store where a name was mistyped.
func mustExist(p config.Places) error {
	file, _, err := config.ParseStore(p.StoreURL())
	if err != nil || file == "" { // opening it will say why
		return nil
	}
	if _, err := os.Stat(file); err != nil {
		return &pinflow.Error{Op: "read data", On: p.Data, Kind: pinflow.NotFound, Err: fmt.Errorf("there is no store: %w", err),
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
