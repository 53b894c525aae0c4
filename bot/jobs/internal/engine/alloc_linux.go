package engine

import (
	"os"
	"syscall"
)

// allocate takes up room on the disk.
func allocate(f *os.File, size int64) error { return syscall.Fallocate(int(f.Fd()), 0, 0, size) }
