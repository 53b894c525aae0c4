package jobs

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"meetbot/bot/jobs/internal/engine"
)

// Files in the embedded engine's directory.
const (
	lockFile  = "LOCK"
	storeFile = "store.json" // version and key check
	keyFile   = "key"        // the encryption key, if none was configured
)

// storeInfo is the content of storeFile.
type storeInfo struct {
	Version int `json:"version"`
	// Check is sealed with the newest key that the store was opened with.
	Check string `json:"check"`
}

const firstFormatDir = "jetstream" // where the records of the first format are

const checkText = "meetbot store"

// Open opens the store: the embedded one in cfg.Dir, or with cfg.NATSURL that of a
// cluster. ctx limits how long that may take.
//
// It returns [ErrInUse] if another process uses the directory, [ErrWrongKey] if the keys
// do not fit the store, and [ErrDamaged]; then nothing on disk was changed.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg = withDefaults(cfg)
	e, err := openEngine(ctx, &cfg)
	if err != nil {
		return nil, err
	}
	return newStore(ctx, cfg, e)
}

// openEngine opens the engine, and adds the key of the directory to cfg if it has none.
func openEngine(ctx context.Context, cfg *Config) (engine.Engine, error) {
	if cfg.NATSURL != "" {
		if len(cfg.Keys) == 0 {
			return nil, errors.New("a cluster's store needs an encryption key: every process must have the same")
		}
		return engine.OpenCluster(ctx, cfg.engine(), func(get func(context.Context, string) (engine.Entry, error)) error {
			return checkMeta(ctx, *cfg, get)
		})
	}
	if cfg.Dir == "" {
		return nil, errors.New("neither a directory nor a NATS URL is given")
	}
	if !cfg.ReadOnly {
		if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
			return nil, err
		}
	}
	lock, err := engine.LockDir(filepath.Join(cfg.Dir, lockFile))
	if err != nil {
		return nil, err
	}
	keys, fresh, err := checkDir(cfg.Dir, cfg.Keys)
	if err == nil && fresh && cfg.ReadOnly {
		err = fmt.Errorf("%s has no store", cfg.Dir)
	}
	if err == nil && keys == nil {
		keys, err = makeKeyFile(filepath.Join(cfg.Dir, keyFile), cfg.Log)
	}
	if err != nil {
		_ = engine.Unlock(lock) // the other error says more
		return nil, err
	}
	cfg.Keys = keys
	ec := cfg.engine()
	ec.Mark = func() error { return markDir(cfg.Dir, keys) }
	e, err := engine.OpenPebble(ctx, ec, lock, fresh, func(get func(context.Context, string) (engine.Entry, error)) error {
		return checkMeta(ctx, *cfg, get)
	})
	if err != nil {
		return nil, err
	}
	if !cfg.ReadOnly {
		if err := errors.Join(tidy(cfg.Dir), markDir(cfg.Dir, keys)); err != nil {
			return nil, errors.Join(err, e.Close())
		}
	}
	return e, nil
}

// engine returns what the engine needs of c.
func (c Config) engine() engine.Config {
	return engine.Config{
		Queues: []string{kindJob, kindTimer}, MaxBytes: c.MaxBytes, Log: c.Log, Dir: c.Dir, ReadOnly: c.ReadOnly, EraseAfter: c.EraseAfter,
		Current: c.Observer.Replicas, Damaged: c.Observer.Damaged, Reopened: c.Observer.Reopened,
		URL: c.NATSURL, Creds: c.NATSCreds, Stream: c.Name, Replicas: c.Replicas,
	}
}

// checkDir returns the keys for the store in dir, nil if one has to be made, and whether
// there is no store yet. It changes nothing.
func checkDir(dir string, keys [][]byte) (_ [][]byte, fresh bool, err error) {
	raw, err := os.ReadFile(filepath.Join(dir, storeFile))
	marked := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, err
	}
	if !marked && exists(dir, firstFormatDir) {
		return nil, false, fmt.Errorf("%s: %w", dir, errFirstFormat)
	}
	switch fresh = !exists(dir, engine.RecordsDir) && (!marked || exists(dir, engine.MakingDir)); {
	case fresh:
	case !marked:
		return nil, false, fmt.Errorf("%s has records but no %s: %w", dir, storeFile, ErrWrongKey)
	}
	var info storeInfo
	if marked {
		if err := json.Unmarshal(raw, &info); err != nil {
			return nil, false, fmt.Errorf("%w: %s is not as it was written (%w); restore it from a backup", ErrDamaged, filepath.Join(dir, storeFile), err)
		}
		if err := checkVersion(info.Version); err != nil {
			return nil, false, fmt.Errorf("%s: %w", dir, err)
		}
	}
	if len(keys) == 0 {
		if keys, err = readKeyFile(filepath.Join(dir, keyFile), fresh); err != nil || keys == nil {
			return nil, fresh, err
		}
	}
	seal, err := newSealer(keys)
	if err != nil || fresh {
		return keys, fresh, err
	}
	check, err := base64.StdEncoding.DecodeString(info.Check)
	if err != nil || sealedWith(check) == "" {
		return nil, false, fmt.Errorf("%w: %s is not as it was written; restore it from a backup", ErrDamaged, filepath.Join(dir, storeFile))
	}
	if _, err := seal.open(storeFile, nil, check); err != nil {
		if !errors.Is(err, ErrWrongKey) {
			return nil, false, fmt.Errorf("%w: %s is not as it was written; restore it from a backup", ErrDamaged, filepath.Join(dir, storeFile))
		}
		return nil, false, fmt.Errorf("the store in %s: %w", dir, ErrWrongKey)
	}
	return keys, false, nil
}

// tidy removes what a process left that was killed while it wrote a file or made a copy.
func tidy(dir string) error {
	var err error
	for _, pattern := range []string{temporaryFiles, checkpointDirs + "*"} {
		left, globErr := fs.Glob(os.DirFS(dir), pattern) // dir itself is no pattern
		err = errors.Join(err, globErr)
		for _, name := range left {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, name)))
		}
	}
	return err
}

// temporaryFiles are those that are to replace others.
const temporaryFiles = ".tmp-*"

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

// markDir makes sure that the directory says that it has a store, and of which key.
func markDir(dir string, keys [][]byte) error {
	seal, err := newSealer(keys)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, storeFile)
	if raw, err := os.ReadFile(path); err == nil {
		var info storeInfo
		if json.Unmarshal(raw, &info) == nil {
			if check, err := base64.StdEncoding.DecodeString(info.Check); err == nil && sealedWith(check) == seal.newest {
				return nil
			}
		}
	}
	check := seal.seal(storeFile, nil, []byte(checkText))
	raw, err := json.Marshal(storeInfo{formatVersion, base64.StdEncoding.EncodeToString(check)})
	if err != nil {
		return err
	}
	return writeFile(path, raw)
}

// readKeyFile reads the key beside the store; nil if there is neither yet.
func readKeyFile(path string, fresh bool) ([][]byte, error) {
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := private(path); err != nil {
			return nil, err
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
		switch {
		case err == nil && len(key) == KeySize:
		case fresh:
			return nil, fmt.Errorf("%s does not hold a key, %d bytes in base64; remove it, or put a key there", path, KeySize)
		default:
			return nil, fmt.Errorf("no encryption key is configured and %s does not hold one, %d bytes in base64: %w", path, KeySize, ErrWrongKey)
		}
		return [][]byte{key}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case !fresh:
		return nil, fmt.Errorf("no encryption key is configured and %s is missing: %w", path, ErrWrongKey)
	}
	return nil, nil
}

// private returns an error if others may read the key, or may have put it there: with a key
// that somebody else knows, the store hides nothing.
func private(path string) error {
	file, err := os.Stat(path)
	if err != nil {
		return err
	}
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	switch {
	case dir.Mode().Perm()&0o002 != 0:
		return fmt.Errorf("%w: every user of this machine can write to %s, and so may have made its key; run chmod 700 on it, and rotate the key", ErrOpenToOthers, filepath.Dir(path))
	case file.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%w: other users can read %s; run chmod 600 on it, and rotate the key", ErrOpenToOthers, path)
	case stranger(file):
		return fmt.Errorf("%w: %s belongs to another user, who knows it; if that user is you, run chown on it, else rotate the key", ErrOpenToOthers, path)
	}
	return nil
}

func makeKeyFile(path string, log *slog.Logger) ([][]byte, error) {
	key := make([]byte, KeySize)
	_, _ = rand.Read(key) // never fails
	if err := writeFile(path, []byte(base64.StdEncoding.EncodeToString(key)+"\n")); err != nil {
		return nil, err
	}
	log.Info("made an encryption key beside the store: a backup that holds both protects nothing", "file", path)
	return [][]byte{key}, nil
}

// writeFile replaces a file durably; only its owner may read it.
func writeFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), temporaryFiles) // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}
