//go:build !linux && !darwin && !freebsd

package engine

import (
	"errors"
	"os"
	"runtime"
)

// Without a lock two processes would ruin the store, so there is none on this system. A
// cluster can be used.

func LockDir(string) (*os.File, error) {
	return nil, errors.New("the embedded store cannot be used on " + runtime.GOOS + ": set NATS_URL")
}

func Unlock(*os.File) error { return nil }

func FreeBytes(string) (uint64, error) { return 0, errors.ErrUnsupported }

func Writable(string) error { return nil }
