// Package adaptertest is what the tests of the chat adapters share: a bot process that can
// be ended and started again on the same store, with both meeting providers from the
// sandbox; the load that benchmarks put on an adapter; and a log that can be looked through.
package adaptertest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/commands"
	"meetbot/bot/grammar/grammartest"
	"meetbot/bot/jobs"
	"meetbot/bot/policy"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/sandbox"
	"meetbot/meeting/systec"
	"meetbot/meeting/tencent"
)

// Log is written while it is read.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns what was logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Adapter is one of the chat adapters.
type Adapter interface {
	chat.Poster
	Run(context.Context) error
}

// Process is a bot process. What it keeps outlives it.
type Process struct {
	Sandbox *sandbox.Server
	Logged  *Log
	Policy  policy.Policy // of the processes that are started after it is set

	t    *testing.T
	dir  string
	stop func()
}

// NewProcess starts the providers. The process is stopped with the test, but not started.
func NewProcess(t *testing.T) *Process {
	t.Helper()
	p := &Process{t: t, dir: t.TempDir(), Logged: &Log{}, stop: func() {}}
	s, err := sandbox.Start(t.Context(), "127.0.0.1:0", sandbox.Config{})
	require.NoError(t, err)
	p.Sandbox = s
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	t.Cleanup(func() { p.Stop() })
	return p
}

// Start starts the process with the one adapter that connect makes.
func (p *Process) Start(platform chat.Platform, connect func(*commands.Bot, *slog.Logger) Adapter) {
	p.t.Helper()
	made := p.Sandbox.Config()
	sys, err := systec.New(systec.Config{Key: secret.New(made.SystecKey), Secret: made.SystecSecret, BaseURL: p.Sandbox.SystecURL(), Capacity: 25})
	require.NoError(p.t, err)
	ten, err := tencent.New(tencent.Config{
		AppID: made.TencentAppID, SDKID: made.TencentSDKID, SecretID: made.TencentSecretID, SecretKey: made.TencentSecretKey,
		UserID: sandbox.DefaultUser, BaseURL: p.Sandbox.TencentURL(),
	})
	require.NoError(p.t, err)
	log := slog.New(slog.NewJSONHandler(p.Logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	store, err := jobs.Open(p.t.Context(), jobs.Config{Dir: p.dir, Log: log, Grace: time.Millisecond, ReconcileAfter: 10 * time.Millisecond})
	require.NoError(p.t, err)
	bot := commands.New(commands.Config{
		Platforms: chattest.Kinds(),
		Parser:    grammartest.Config(),
		Policy:    p.Policy,
		Providers: map[meeting.Provider]commands.Provider{systec.Kind.ID: systec.Provider{Client: sys}, tencent.Kind.ID: tencent.Provider{Client: ten}},
		Accounts:  map[meeting.Provider]commands.Accounts{tencent.Kind.ID: {Bot: sandbox.DefaultUser}}, Log: log,
	}, store)
	a := connect(bot, log)
	bot.Attach(platform, a)
	ctx, cancel := context.WithCancel(p.t.Context())
	done := make(chan error, 2)
	go func() { done <- a.Run(ctx) }()
	go func() { done <- store.Run(ctx, bot) }()
	p.stop = func() {
		cancel()
		for range 2 {
			if err := <-done; !errors.Is(err, context.Canceled) { // being told to stop is no fault
				assert.NoError(p.t, err)
			}
		}
		assert.NoError(p.t, store.Close())
	}
}

// Stop ends the process. It can be started again.
func (p *Process) Stop() {
	p.stop()
	p.stop = func() {}
}
