//go:build !unix

package embedded

import "errors"

// freeBytes is not known here; an append then fails as the write does.
func freeBytes(string) (int64, error) { return 0, errors.ErrUnsupported }
