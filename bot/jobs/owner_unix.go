//go:build linux || darwin || freebsd

package jobs

import (
	"io/fs"
	"os"
	"syscall"
)

// stranger reports whether a file belongs to somebody who is neither this process nor root.
func stranger(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && strange(int(stat.Uid), os.Geteuid())
}

// strange reports whether one user's file is no business of another. Root may look after
// anybody's.
func strange(owner, self int) bool { return self != 0 && owner != 0 && owner != self }
