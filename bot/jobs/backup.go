package jobs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"meetbot/bot/jobs/internal/engine"
)

// checkpointDirs is how a copy that is being made is called, below the store's directory.
const checkpointDirs = ".backup-"

// Backup writes a consistent copy of the embedded store as a tar archive, also while it is
// at work: unpacked by [Restore], it is a directory that [Open] opens. The encryption key is
// in it if it lies beside the store.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	p, ok := s.engine.(*engine.Pebble)
	if !ok {
		return errors.New("bot backup copies the embedded store only; for a cluster's, use bot export")
	}
	records := filepath.Join(s.cfg.Dir, engine.RecordsDir)
	if !s.cfg.ReadOnly { // else nothing changes there
		dir, err := os.MkdirTemp(s.cfg.Dir, checkpointDirs)
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		defer func() { _ = os.RemoveAll(dir) }() // the next start removes what is left
		records = filepath.Join(dir, engine.RecordsDir)
		if err := p.Checkpoint(records); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
	}
	files, err := os.ReadDir(records)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	out := tar.NewWriter(w)
	for _, file := range files {
		if err := errors.Join(ctx.Err(), addFile(out, engine.RecordsDir+"/"+file.Name(), filepath.Join(records, file.Name()))); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
	}
	for _, name := range []string{keyFile, storeFile} {
		err := addFile(out, name, filepath.Join(s.cfg.Dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("backup: %w", err)
		}
	}
	return out.Close()
}

func addFile(out *tar.Writer, name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: info.Size(), ModTime: info.ModTime()}); err != nil {
		return err
	}
	_, err = io.CopyN(out, f, info.Size())
	return err
}

// Restore unpacks a [Store.Backup] into dir, which must not be there yet, or be empty. If it
// fails, nothing is left there.
func Restore(dir string, r io.Reader) (err error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty; name a new directory", dir)
	}
	dir = filepath.Clean(dir)
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	part, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+"-") // 0700
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(part))
		}
	}()
	if err := os.Mkdir(filepath.Join(part, engine.RecordsDir), 0o700); err != nil {
		return err
	}
	in := tar.NewReader(r)
	complete := false // store.json comes last
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("the backup is cut off: %w", err)
		}
		base, below := strings.CutPrefix(h.Name, engine.RecordsDir+"/")
		if h.Typeflag != tar.TypeReg || base != filepath.Base(base) || base == "." || base == ".." ||
			!below && !slices.Contains([]string{keyFile, storeFile}, base) {
			return fmt.Errorf("%q does not belong in a backup", h.Name)
		}
		complete = complete || h.Name == storeFile
		if err := unpack(filepath.Join(part, filepath.FromSlash(h.Name)), in); err != nil {
			return err
		}
	}
	if !complete {
		return errors.New("the backup is cut off")
	}
	for _, d := range []string{filepath.Join(part, engine.RecordsDir), part} {
		if err := syncDir(d); err != nil {
			return err
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(part, dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func unpack(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
