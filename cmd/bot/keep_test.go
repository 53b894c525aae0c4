package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
)

// chatPlatform is one that may refuse its credentials.
type chatPlatform struct {
	refuses atomic.Bool
	asked   atomic.Int32
	runs    atomic.Int32
	breaks  error
	panics  atomic.Bool
	end     chan struct{} // ends what runs now
}

func newChatPlatform() *chatPlatform { return &chatPlatform{end: make(chan struct{}, 1)} }

var errRefusedHere = kit.Refused("the platform refuses the token")

func (p *chatPlatform) open() (kit.Adapter, error) { return &chatAdapter{p: p}, nil }

type chatAdapter struct{ p *chatPlatform }

func (a *chatAdapter) Run(ctx context.Context) error {
	a.p.runs.Add(1)
	for {
		switch {
		case a.p.panics.Swap(false):
			panic("canary")
		case a.p.refuses.Load():
			return errRefusedHere
		case a.p.breaks != nil:
			return a.p.breaks
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.p.end:
		}
	}
}

func (a *chatAdapter) Probe(context.Context) error {
	a.p.asked.Add(1)
	if a.p.refuses.Load() {
		return errRefusedHere
	}
	return nil
}

func (a *chatAdapter) Health() kit.Health { return kit.Health{State: kit.Running} }
func (a *chatAdapter) Post(context.Context, chat.Post) (chat.Receipt, error) {
	return chat.Receipt{}, nil
}
func (a *chatAdapter) Endpoint() (string, http.Handler) { return "/x/", http.NotFoundHandler() }

// inGroup runs adapters as the bot does.
func inGroup(t *testing.T, log *strings.Builder, platforms map[string]*chatPlatform) (stop func(), done chan error) {
	t.Helper()
	g := &group{log: slog.New(slog.NewTextHandler(log, nil))}
	for name, p := range platforms {
		k, a, err := keep(name, p.open)
		require.NoError(t, err)
		g.addAdapter(k, a)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done = make(chan error, 1)
	go func() { done <- g.run(ctx) }()
	return cancel, done
}

func TestARefusedTokenStopsOneAdapterAndItComesBack(t *testing.T) {
	for name, atStart := range map[string]bool{"AtTheStart": true, "Later": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newChatPlatform(), newChatPlatform()
				a.refuses.Store(atStart)
				var log strings.Builder
				stop, done := inGroup(t, &log, map[string]*chatPlatform{"a": a, "b": b})
				if !atStart {
					time.Sleep(time.Hour)
					a.refuses.Store(true)
					a.end <- struct{}{}
				}
				time.Sleep(10*time.Minute + time.Second)
				assert.Empty(t, done, "the other one serves")
				assert.EqualValues(t, 1, b.runs.Load())
				assert.EqualValues(t, 10, a.asked.Load(), "once a minute")
				assert.EqualValues(t, 1, a.runs.Load())
				a.refuses.Store(false)
				time.Sleep(time.Minute)
				assert.EqualValues(t, 2, a.runs.Load(), "it came back")
				stop()
				require.NoError(t, <-done)
				assert.Contains(t, log.String(), "adapter stopped, trying again")
			})
		})
	}
}

func TestTheProcessEndsWhenNothingCanServe(t *testing.T) {
	for _, n := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			all := map[string]*chatPlatform{"a": newChatPlatform()}
			if n == 2 {
				all["b"] = newChatPlatform()
			}
			for _, p := range all {
				p.refuses.Store(true)
			}
			var log strings.Builder
			_, done := inGroup(t, &log, all)
			err := <-done
			require.ErrorIs(t, err, kit.ErrTokenRefused)
			for name := range all {
				assert.Contains(t, err.Error(), name+": the platform refuses the token")
			}
		})
	}
}

func TestWhatEndsAnAdapterEndsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := newChatPlatform(), newChatPlatform(), newChatPlatform()
		a.breaks = errors.New("the gateway is closed for good, code 4014")
		c.panics.Store(true)
		var log strings.Builder
		stop, done := inGroup(t, &log, map[string]*chatPlatform{"a": a, "b": b, "c": c})
		time.Sleep(24 * time.Hour)
		assert.Empty(t, done)
		assert.Less(t, a.runs.Load(), int32(40), "and is tried seldomer and seldomer: at most once an hour in the end")
		assert.EqualValues(t, 1, b.runs.Load())
		assert.EqualValues(t, 2, c.runs.Load(), "a panic ends one adapter, which starts again")
		stop()
		require.NoError(t, <-done)
		assert.NotContains(t, log.String(), "canary")
	})
}

func TestAnAdapterThatWasReplacedIsServedByTheNewOne(t *testing.T) {
	made := 0
	k, a, err := keep("x", func() (kit.Adapter, error) {
		made++
		return &numbered{chatAdapter{p: newChatPlatform()}, made}, nil
	})
	require.NoError(t, err)
	_, looksUp := a.(chat.Directory)
	assert.True(t, looksUp)
	path, h := k.Endpoint()
	assert.Equal(t, "/x/", path)
	serves := func() int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/x/y", nil))
		return w.Code
	}
	assert.Equal(t, 201, serves())
	require.NoError(t, k.replace(t.Context()))
	assert.Equal(t, 202, serves())
	profile, err := a.(chat.Directory).Profile(t.Context(), chat.Place{}, "")
	require.NoError(t, err)
	assert.Equal(t, "2", profile.Name)
	r, err := a.Post(t.Context(), chat.Post{})
	require.NoError(t, err)
	assert.Equal(t, "2", r.Message)

	_, a, err = keep("x", newChatPlatform().open)
	require.NoError(t, err)
	_, looksUp = a.(chat.Directory)
	assert.False(t, looksUp)
}

// numbered is an adapter that says which it is.
type numbered struct {
	chatAdapter
	n int
}

func (a *numbered) Post(context.Context, chat.Post) (chat.Receipt, error) {
	return chat.Receipt{Message: string(rune('0' + a.n))}, nil
}

func (a *numbered) Endpoint() (string, http.Handler) {
	return "/x/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200 + a.n) })
}

func (a *numbered) Profile(context.Context, chat.Place, string) (chat.Profile, error) {
	return chat.Profile{Name: string(rune('0' + a.n))}, nil
}

func (a *numbered) InGroup(context.Context, chat.Place, string, string) (bool, error) {
	return false, nil
}
