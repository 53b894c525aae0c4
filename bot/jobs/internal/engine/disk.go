package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// What a key on the disk begins with.
const (
	indexRecord = 'r'
	indexQueue  = 'q'
	indexExpiry = 'x'
)

// A key on the disk is the segments themselves, so that it sorts as [CompareKeys] does: 0
// and 1 stand between two of them, and a 0 in one is followed by 255.
const (
	betweenSegments = "\x00\x01"
	afterSegments   = "\x00\x02"
	zeroInSegment   = "\x00\xff"
)

// diskKey returns where the record at key is.
func diskKey(key string) []byte {
	b := make([]byte, 1, len(key)+8)
	b[0] = indexRecord
	if !strings.Contains(key, "%") {
		for i := range len(key) {
			if key[i] == '.' {
				b = append(b, betweenSegments...)
			} else {
				b = append(b, key[i])
			}
		}
		return b
	}
	kind, segments, err := SplitKey(key)
	if err != nil {
		return append(b, key...) // nothing is there
	}
	b = append(b, kind...)
	for _, s := range segments {
		b = append(b, betweenSegments...)
		b = append(b, strings.ReplaceAll(s, "\x00", zeroInSegment)...)
	}
	return b
}

// keyOf is the inverse of diskKey.
func keyOf(disk []byte) string {
	parts := strings.Split(string(disk[1:]), betweenSegments)
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(p, zeroInSegment, "\x00")
	}
	return JoinKey(parts[0], parts[1:]...)
}

// spanOf returns between which keys the record at prefix and those below it are.
func spanOf(prefix string) (lower, upper []byte) {
	lower = diskKey(prefix)
	return lower, append(slices.Clone(lower), afterSegments...)
}

// expiryKey orders a record by its expiry.
func expiryKey(disk []byte, at int64) []byte {
	b := make([]byte, 9, 9+len(disk))
	b[0] = indexExpiry
	for i := range 8 {
		b[1+i] = byte(uint64(at) >> (56 - 8*i))
	}
	return append(b, disk[1:]...)
}

// ErrDamaged is a file of the store that is not as it was written.
var ErrDamaged = errors.New("the store is damaged")

// damage says which file is damaged and what to do, if that is what err is about.
func damage(dir string, err error) error {
	switch {
	case err == nil, errors.Is(err, ErrDamaged):
		return err
	case !pebble.IsCorruptionError(err) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, pebble.ErrDBDoesNotExist):
		return err
	}
	return damageIn(dir, err)
}

// damageIn is damage for an error of reading the database, which only the operating system
// can be the cause of otherwise.
func damageIn(dir string, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) && errno != syscall.ENOENT || errors.Is(err, ErrDamaged) {
		return err
	}
	return fmt.Errorf("%w: %s: %w. Nothing was changed. Restore a backup, or save what is still readable with bot export --salvage and import that into an empty directory", ErrDamaged, dir, err)
}

// complete reports damage that the database itself would not notice: a log that is missing,
// or in whose last block something was changed.
func (p *Pebble) complete() error {
	files, err := os.ReadDir(p.dir)
	if err != nil {
		return damage(p.cfg.Dir, fmt.Errorf("the records are missing: %w", err))
	}
	logs := 0
	for _, f := range files {
		num, err := logNumber(f.Name())
		if filepath.Ext(f.Name()) != ".log" || err != nil {
			continue
		}
		logs++
		content, err := os.ReadFile(filepath.Join(p.dir, f.Name()))
		if err != nil {
			return err
		}
		if err := readLog(content, num, func([]byte) error { return nil }); err != nil {
			return damageIn(filepath.Join(p.dir, f.Name()), err)
		}
	}
	if logs == 0 {
		return damage(p.dir, fmt.Errorf("the log of the last writes is missing: %w", fs.ErrNotExist))
	}
	return nil
}

// damaged tells of a file that turned out to be damaged, once.
func (p *Pebble) damaged(path string, details error) {
	if _, told := p.told.LoadOrStore(path, true); told {
		return
	}
	p.log.Error("file of the store is damaged: restore a backup, or save what is still readable with bot export --salvage",
		"file", filepath.Base(path), "err", details)
	if p.cfg.Damaged != nil {
		p.cfg.Damaged()
	}
}

// reserveFile takes up room on the disk that is given back when the disk is full, so that
// what was accepted can still be finished.
const (
	reserveFile = "reserve"
	reserveSize = 16 << 20
)

type reserve struct {
	path string
	log  *slog.Logger
}

// keep makes the reserve, if it is not there and there is plenty of room.
func (r *reserve) keep() {
	if _, err := os.Lstat(r.path); err == nil {
		return
	}
	if free, err := FreeBytes(filepath.Dir(r.path)); err != nil || free < 8*reserveSize {
		return
	}
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return
	}
	if err := errors.Join(allocate(f, reserveSize), f.Close()); err != nil {
		_ = os.Remove(r.path)
	}
}

// release gives the room back.
func (r *reserve) release() error { return os.Remove(r.path) }

// diskFull is called when a write found no room, and is tried again after it.
func (p *Pebble) diskFull() {
	switch err := p.reserve.release(); {
	case err == nil:
		p.log.Error("disk is full, using the reserve to finish accepted jobs", "bytes", reserveSize)
	case !errors.Is(err, fs.ErrNotExist):
		p.log.Error("disk is full, and the reserve cannot be freed", "err", err)
	}
}
