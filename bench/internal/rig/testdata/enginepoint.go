package engine

// This file is put into the package when the bot is built to be killed. It is not part of
// the bot.

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// Armed is where the process is to kill itself, and since when commands count; false if nobody
// has said anything.
func Armed() (since time.Time, point string, armed bool) {
	raw, err := os.ReadFile(os.Getenv("PROMISE_ARMED"))
	if err != nil {
		return time.Time{}, "", false
	}
	var nanos int64
	at, point, _ := strings.Cut(strings.TrimSuffix(string(raw), "\n"), "\n")
	if _, err := fmt.Sscan(at, &nanos); err != nil {
		return time.Time{}, "", false
	}
	return time.Unix(0, nanos), point, true
}

// Die kills the process, once.
func Die() {
	_ = os.Remove(os.Getenv("PROMISE_ARMED"))
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

const (
	ownWork = "store: "
	copied  = "-copy"
)

// work names what the engine is about to do by itself, by the file that it does it with.
func work(op errorfs.Op) string {
	name := filepath.Base(op.Path)
	ext := filepath.Ext(name)
	inCopy := strings.HasSuffix(filepath.Dir(op.Path), copied)
	syncs := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
	switch {
	case inCopy && ext == ".log":
		return ownWork + "a copy takes the log"
	case op.Kind == errorfs.OpLink && ext == ".sst":
		return ownWork + "a copy takes a table"
	case op.Kind == errorfs.OpCreate && ext == ".log":
		return ownWork + "a log is begun"
	case op.Kind == errorfs.OpRemove && ext == ".log":
		return ownWork + "a log is dropped"
	case op.Kind == errorfs.OpCreate && ext == ".sst":
		return ownWork + "a table is begun"
	case op.Kind == errorfs.OpRemove && ext == ".sst":
		return ownWork + "a table is dropped"
	case syncs && ext == ".sst":
		return ownWork + "a table is synced"
	case syncs && strings.HasPrefix(name, "MANIFEST"):
		return ownWork + "the list of tables is synced"
	}
	return ""
}

// killableDisk kills the process before an operation of the engine's own work.
func killableDisk(fs vfs.FS) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if here := work(op); here != "" {
			if _, point, _ := Armed(); point == here {
				Die()
			}
		}
		return nil
	}))
}

// busily has the engine erase and be copied all the time while the process is to be killed in
// that work.
func busily(p *Pebble, err error) (*Pebble, error) {
	if err != nil {
		return p, err
	}
	go func() {
		for range time.Tick(2 * time.Millisecond) {
			if _, point, _ := Armed(); !strings.HasPrefix(point, ownWork) {
				continue
			}
			_ = p.Erase(context.Background())
			_ = os.RemoveAll(p.cfg.Dir + copied)
			_ = p.Checkpoint(p.cfg.Dir + copied)
		}
	}()
	return p, nil
}
