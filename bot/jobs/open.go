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

const checkText = "meetbot store"

// Open opens the store: the embedded one in cfg.Dir, or with cfg.NATSURL that of a
// cluster. ctx limits how long that may take.
//
// It returns [ErrInUse] if another process uses the directory, and [ErrWrongKey] if the
// keys do not fit the store; then nothing on disk was changed.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg = withDefaults(cfg)
	if cfg.NATSURL != "" {
		if len(cfg.Keys) == 0 {
			return nil, errors.New("a cluster's store needs an encryption key: every process must have the same")
		}
		e, err := engine.OpenCluster(ctx, cfg.engine())
		if err != nil {
			return nil, err
		}
		return newStore(ctx, cfg, e)
	}
	if cfg.Dir == "" {
		return nil, errors.New("neither a directory nor a NATS URL is given")
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := engine.LockDir(filepath.Join(cfg.Dir, lockFile))
	if err != nil {
		return nil, err
	}
	if cfg.Keys, err = checkDir(cfg.Dir, cfg.Keys, cfg.Log); err != nil {
		_ = engine.Unlock(lock) // the other error says more
		return nil, err
	}
	e, err := engine.OpenEmbedded(ctx, cfg.engine(), lock)
	if err != nil {
		return nil, err
	}
	return newStore(ctx, cfg, e)
}

// engine returns what the engine needs of c.
func (c Config) engine() engine.Config {
	return engine.Config{
		Queues: []string{kindJob, kindTimer}, MaxBytes: c.MaxBytes, Log: c.Log, Dir: c.Dir,
		URL: c.NATSURL, Creds: c.NATSCreds, Stream: c.Name, Replicas: c.Replicas,
	}
}

// checkDir returns the keys for the store in dir, made if there is neither store nor key.
// It writes nothing unless they fit.
func checkDir(dir string, keys [][]byte, log *slog.Logger) ([][]byte, error) {
	raw, err := os.ReadFile(filepath.Join(dir, storeFile))
	fresh := errors.Is(err, fs.ErrNotExist)
	if err != nil && !fresh {
		return nil, err
	}
	if fresh {
		if _, err := os.Stat(filepath.Join(dir, engine.StreamsDir)); err == nil {
			return nil, fmt.Errorf("%s has records but no %s: %w", dir, storeFile, ErrWrongKey)
		}
	}
	if len(keys) == 0 {
		if keys, err = readKeyFile(filepath.Join(dir, keyFile), fresh, log); err != nil {
			return nil, err
		}
	}
	seal, err := newSealer(keys)
	if err != nil {
		return nil, err
	}
	var info storeInfo
	if !fresh {
		if err := json.Unmarshal(raw, &info); err != nil {
			return nil, fmt.Errorf("%s: %w", storeFile, err)
		}
		if info.Version != formatVersion {
			return nil, fmt.Errorf("the store in %s has format %d, this program reads format %d", dir, info.Version, formatVersion)
		}
		check, err := base64.StdEncoding.DecodeString(info.Check)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", storeFile, err)
		}
		if plain, err := seal.open(storeFile, check); err != nil || string(plain) != checkText {
			return nil, fmt.Errorf("the store in %s: %w", dir, ErrWrongKey)
		}
		if sealedWith(check) == seal.newest {
			return keys, nil
		}
	}
	check := seal.seal(storeFile, []byte(checkText))
	raw, err = json.Marshal(storeInfo{formatVersion, base64.StdEncoding.EncodeToString(check)})
	if err != nil {
		return nil, err
	}
	return keys, writeFile(filepath.Join(dir, storeFile), raw)
}

// readKeyFile reads the key beside the store, or makes one for a fresh store.
func readKeyFile(path string, fresh bool, log *slog.Logger) ([][]byte, error) {
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			return nil, fmt.Errorf("%s holds no base64", path)
		}
		return [][]byte{key}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case !fresh:
		return nil, fmt.Errorf("no encryption key is configured and %s is missing: %w", path, ErrWrongKey)
	}
	key := make([]byte, KeySize)
	_, _ = rand.Read(key) // never fails
	if err := writeFile(path, []byte(base64.StdEncoding.EncodeToString(key)+"\n")); err != nil {
		return nil, err
	}
	log.Info("made an encryption key; a backup that holds both it and the records protects nothing", "file", path)
	return [][]byte{key}, nil
}

// writeFile replaces a file durably; only its owner may read it.
func writeFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*") // 0600
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
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
