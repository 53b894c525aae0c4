//go:build !linux && !darwin && !freebsd

package jobs

import "io/fs"

// stranger reports whether a file belongs to somebody else: not known here.
func stranger(fs.FileInfo) bool { return false }
