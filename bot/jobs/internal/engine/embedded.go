package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// StreamsDir is where the server keeps the records, below the directory.
const StreamsDir = "jetstream"

const reopenTimeout = 20 * time.Second

// embedded is a NATS server in this process, on one directory, without a port.
type embedded struct {
	dir, name string
	maxBytes  uint64
	queues    []string
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
	handle func(Message)
	stop   func()
}

// OpenEmbedded opens the engine on cfg.Dir. It takes over the lock that its caller has on
// the directory, also when it fails.
func OpenEmbedded(ctx context.Context, cfg Config, lock *os.File) (Engine, error) {
	e := &embedded{dir: cfg.Dir, name: cfg.Stream, maxBytes: cfg.MaxBytes, queues: cfg.Queues, log: cfg.Log, lock: lock, readers: make(map[*reader]struct{})}
	if err := e.start(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
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
		log: b.log, name: b.name, embedded: true, maxBytes: b.maxBytes, queues: b.queues,
		attempt: 2 * time.Second, ackWait: 10 * time.Second,
	}
	if err := e.start(ctx, nc); err != nil {
		return errors.Join(err, e.Close())
	}
	// What the former process had in its hands is handed out again at once, not after
	// the time that it had for it.
	for _, kind := range b.queues {
		if err := e.reset(ctx, kind); err != nil {
			return errors.Join(err, e.Close())
		}
	}
	b.e.Store(e)
	return nil
}

func (b *embedded) Put(ctx context.Context, key string, body []byte, expect uint64, ttl time.Duration) (uint64, error) {
	return b.e.Load().Put(ctx, key, body, expect, ttl)
}

func (b *embedded) Get(ctx context.Context, key string) (Entry, error) {
	return b.e.Load().Get(ctx, key)
}

func (b *embedded) List(ctx context.Context, prefix string, sorted bool, yield func(Entry) bool) error {
	return b.e.Load().List(ctx, prefix, sorted, yield)
}

func (b *embedded) Remove(ctx context.Context, key string, expect uint64) error {
	return b.e.Load().Remove(ctx, key, expect)
}

func (b *embedded) Load(ctx context.Context, kind string) (waiting, used uint64, err error) {
	return b.e.Load().Load(ctx, kind)
}

func (b *embedded) Exclusive() bool { return true }

func (b *embedded) Free() (uint64, error) { return FreeBytes(b.dir) }

func (b *embedded) Consume(ctx context.Context, kind string, handle func(Message)) (func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	stop, err := b.e.Load().Consume(ctx, kind, handle)
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
func (b *embedded) Reopen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reopenTimeout)
	defer cancel()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop()
	if err := b.start(ctx); err != nil {
		return err
	}
	for r := range b.readers {
		stop, err := b.e.Load().Consume(ctx, r.kind, r.handle)
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
		_ = e.Close() // only drops the connection
	}
	if b.server != nil {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}
}

func (b *embedded) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop()
	return Unlock(b.lock)
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
