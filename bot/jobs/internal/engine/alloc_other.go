//go:build !linux

package engine

import (
	"os"
)

// allocate takes up room on the disk.
func allocate(f *os.File, size int64) error {
	chunk := make([]byte, 1<<20)
	for ; size > 0; size -= int64(len(chunk)) {
		if _, err := f.Write(chunk); err != nil {
			return err
		}
	}
	return f.Sync()
}
