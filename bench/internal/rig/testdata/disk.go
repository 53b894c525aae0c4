package engine

// This file is put into the package when the bot is built to be killed. It is not part of
// the bot.

import (
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// troubledDisk is a disk that is slow, silent, full or broken while a file says so.
func troubledDisk(fs vfs.FS) vfs.FS {
	path := os.Getenv("PROMISE_DISK")
	if path == "" {
		return fs
	}
	var manner atomic.Value
	manner.Store("")
	go func() {
		for range time.Tick(20 * time.Millisecond) {
			raw, _ := os.ReadFile(path)
			manner.Store(strings.TrimSpace(string(raw)))
		}
	}()
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		switch manner.Load() {
		case "slow":
			time.Sleep(200 * time.Millisecond)
		case "silent":
			for manner.Load() == "silent" {
				time.Sleep(10 * time.Millisecond)
			}
		case "refusing":
			return syscall.ENOSPC
		case "wrong":
			return syscall.EIO
		}
		return nil
	}))
}
