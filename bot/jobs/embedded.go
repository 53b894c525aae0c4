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
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Files in the embedded engine's directory.
const (
	lockFile   = "LOCK"
	storeFile  = "store.json" // version and key check
	keyFile    = "key"        // the encryption key, if none was configured
	streamsDir = "jetstream"
)

// storeInfo is the content of storeFile.
type storeInfo struct {
	Version int `json:"version"`
	// Check is sealed with the newest key that the store was opened with.
	Check string `json:"check"`
}

const reopenTimeout = 20 * time.Second

const checkText = "meetbot store"

// embedded is a NATS server in this process, on one directory, without a port.
type embedded struct {
	dir, name string
	maxBytes  uint64
	log       *slog.Logger
	lock      *os.File

	e atomic.Pointer[natsEngine] // a closed one while the server is opened again

	mu      sync.Mutex
	server  *server.Server
	readers map[*reader]struct{}
}

// reader is a consumer that survives a reopening.
type reader struct {
	kind   string
	handle func(message)
	stop   func()
}

// Open opens the store: the embedded one in cfg.Dir, or with cfg.NATSURL that of a
// cluster. ctx limits how long that may take.
//
// It returns [ErrInUse] if another process uses the directory, and [ErrWrongKey] if the
// keys do not fit the store; then nothing on disk was changed.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg = withDefaults(cfg)
	if cfg.NATSURL != "" {
		return openCluster(ctx, cfg)
	}
	if cfg.Dir == "" {
		return nil, errors.New("neither a directory nor a NATS URL is given")
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockDir(filepath.Join(cfg.Dir, lockFile))
	if err != nil {
		return nil, err
	}
	if cfg.Keys, err = checkDir(cfg.Dir, cfg.Keys, cfg.Log); err != nil {
		_ = unlock(lock) // the other error says more
		return nil, err
	}
	e := &embedded{dir: cfg.Dir, name: cfg.Name, maxBytes: cfg.MaxBytes, log: cfg.Log, lock: lock, readers: make(map[*reader]struct{})}
	if err := e.start(ctx); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return newStore(ctx, cfg, e)
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
		if _, err := os.Stat(filepath.Join(dir, streamsDir)); err == nil {
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

// start starts the server and connects to it. The caller holds mu, or is alone.
func (b *embedded) start(ctx context.Context) error {
	s, err := server.NewServer(&server.Options{
		ServerName:             "embedded",
		DontListen:             true,
		NoSigs:                 true,
		JetStream:              true,
		StoreDir:               b.dir,
		SyncAlways:             true,
		JetStreamMaxMemory:     64 << 20,
		JetStreamMaxStore:      int64(b.maxBytes) * 2,
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return fmt.Errorf("embedded NATS: %w", err)
	}
	s.SetLoggerV2(&natsLog{b.log.With("component", "nats")}, false, false, false)
	b.server = s
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		return errors.New("embedded NATS did not start")
	}
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.NoReconnect(), nats.Name("meetbot"))
	if err != nil {
		return fmt.Errorf("embedded NATS: %w", err)
	}
	e := &natsEngine{
		log: b.log, name: b.name, embedded: true, maxBytes: b.maxBytes,
		attempt: 2 * time.Second, ackWait: 10 * time.Second,
	}
	if err := e.start(ctx, nc); err != nil {
		return errors.Join(err, e.close())
	}
	// What the former process had in its hands is handed out again at once, not after
	// the time that it had for it.
	for _, kind := range []string{kindJob, kindTimer} {
		if err := e.reset(ctx, kind); err != nil {
			return errors.Join(err, e.close())
		}
	}
	b.e.Store(e)
	return nil
}

func (b *embedded) put(ctx context.Context, key string, body []byte, expect uint64, ttl time.Duration) (uint64, error) {
	return b.e.Load().put(ctx, key, body, expect, ttl)
}

func (b *embedded) get(ctx context.Context, key string) (entry, error) {
	return b.e.Load().get(ctx, key)
}

func (b *embedded) list(ctx context.Context, prefix string, sorted bool, yield func(entry) bool) error {
	return b.e.Load().list(ctx, prefix, sorted, yield)
}

func (b *embedded) remove(ctx context.Context, key string, expect uint64) error {
	return b.e.Load().remove(ctx, key, expect)
}

func (b *embedded) load(ctx context.Context, kind string) (waiting, used uint64, err error) {
	return b.e.Load().load(ctx, kind)
}

func (b *embedded) exclusive() bool { return true }

func (b *embedded) free() (uint64, error) { return freeBytes(b.dir) }

func (b *embedded) consume(ctx context.Context, kind string, handle func(message)) (func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	stop, err := b.e.Load().consume(ctx, kind, handle)
	if err != nil {
		return nil, err
	}
	r := &reader{kind, handle, stop}
	b.readers[r] = struct{}{}
	return func() {
		b.mu.Lock()
		delete(b.readers, r)
		stop := r.stop
		b.mu.Unlock()
		stop()
	}, nil
}

// reopen stops the server and starts it again on the same directory: after a full disk
// it does not recover by itself.
func (b *embedded) reopen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reopenTimeout)
	defer cancel()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop()
	if err := b.start(ctx); err != nil {
		return err
	}
	for r := range b.readers {
		stop, err := b.e.Load().consume(ctx, r.kind, r.handle)
		if err != nil {
			b.stop() // else writes would be confirmed, and nothing handed out any more
			return err
		}
		r.stop = stop
	}
	return nil
}

func (b *embedded) stop() {
	if e := b.e.Load(); e != nil {
		_ = e.close() // only drops the connection
	}
	if b.server != nil {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}
}

func (b *embedded) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop()
	return unlock(b.lock)
}

// natsLog passes the server's log on.
type natsLog struct{ log *slog.Logger }

func (l *natsLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *natsLog) Warnf(format string, v ...any) {
	level := slog.LevelWarn
	if strings.Contains(format, "outdated") { // an index that a kill leaves behind, and that is being made again
		level = slog.LevelDebug
	}
	l.log.Log(context.Background(), level, fmt.Sprintf(format, v...))
}

func (l *natsLog) Fatalf(format string, v ...any) { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *natsLog) Errorf(format string, v ...any) { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *natsLog) Debugf(format string, v ...any) {}
func (l *natsLog) Tracef(format string, v ...any) {}
