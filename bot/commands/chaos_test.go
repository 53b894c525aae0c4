package commands

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/meeting"
)

// flaky is a provider on a bad day: slow, sometimes out of reach, and sometimes its
// answer is lost after the work is done.
type flaky struct {
	fakeSystec
	mu     sync.Mutex
	dice   *rand.Rand
	calls  map[string]int // by user key: creations that were carried out
	paused bool
}

func (f *flaky) roll(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.paused {
		return n
	}
	return f.dice.IntN(n)
}

func (f *flaky) Create(ctx context.Context, in meeting.Instant) (meeting.Meeting, error) {
	if f.roll(5) == 0 {
		return meeting.Meeting{}, refusal(meeting.ErrUnavailable, "")
	}
	slow := time.Duration(f.roll(3)) * time.Second
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return meeting.Meeting{}, refusal(meeting.ErrOutcomeUnknown, "")
	}
	m, err := f.fakeSystec.Create(ctx, in)
	f.mu.Lock()
	f.calls[in.UserKey]++
	f.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return meeting.Meeting{}, refusal(meeting.ErrOutcomeUnknown, "")
	}
	if err == nil && f.roll(4) == 0 {
		return meeting.Meeting{}, refusal(meeting.ErrOutcomeUnknown, "")
	}
	return m, err
}

func (f *flaky) List(ctx context.Context, account, key string) ([]meeting.Meeting, error) {
	switch f.roll(4) {
	case 0:
		return nil, refusal(meeting.ErrUnavailable, "")
	case 1:
		return nil, nil // not listed yet
	}
	return f.fakeSystec.List(ctx, account, key)
}

// TestWhateverHappensEveryCommandIsAnsweredAndMadeOnce runs commands while the provider
// and the chat platform have a bad day and the process is stopped again and again.
func TestWhateverHappensEveryCommandIsAnsweredAndMadeOnce(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chaos(t, seed) })
		})
	}
}

func chaos(t *testing.T, seed uint64) {
	dice := rand.New(rand.NewPCG(seed, 1))
	provider := &flaky{fakeSystec: fakeSystec{newFake("systec")}, dice: rand.New(rand.NewPCG(seed, 2)), calls: map[string]int{}}
	r := &room{}
	var roomDice sync.Mutex
	troubles := rand.New(rand.NewPCG(seed, 3))
	calm := false
	r.fail = func(chat.Post) error {
		roomDice.Lock()
		defer roomDice.Unlock()
		if !calm && troubles.IntN(5) == 0 {
			return fmt.Errorf("the platform does not answer")
		}
		return nil
	}
	cfg := Config{
		Parser:    grammar.Config{Locale: "en", Kinds: kinds, Providers: []meeting.Provider{"systec"}, Default: "systec"},
		Providers: map[meeting.Provider]Provider{"systec": provider},
	}
	w := &world{t: t, room: r}
	var stop func()
	begin := func(from *jobs.Store) {
		store, err := jobs.OpenMemory(jobs.Config{Grace: time.Millisecond})
		require.NoError(t, err)
		if from != nil {
			var records bytes.Buffer
			require.NoError(t, from.Export(t.Context(), &records))
			_, err = store.Import(t.Context(), &records)
			require.NoError(t, err)
			require.NoError(t, from.Close())
		}
		w.store, w.bot = store, New(cfg, store)
		w.bot.Attach(chattest.Slack, r)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- store.Run(ctx, w.bot) }()
		stop = func() {
			cancel()
			assert.NoError(t, <-done)
		}
	}
	begin(nil)
	restarts := 0
	var asked []chat.Request
	for range 40 {
		switch dice.IntN(6) {
		case 0:
			stop()
			restarts++
			begin(w.store)
		case 1:
			time.Sleep(time.Duration(dice.IntN(20_000)) * time.Millisecond)
		case 2: // the platform delivers it twice
			if len(asked) > 0 {
				again := asked[dice.IntN(len(asked))]
				require.True(t, w.bot.Accept(t.Context(), w.bot.Parse(again)).Duplicate)
			}
		default:
			u := chat.User{ID: fmt.Sprintf("U%03d", len(asked)), Name: "Somebody", Rights: chat.RightsKnown | chat.RightMeet}
			at := channel
			at.Channel = fmt.Sprintf("C%03d", len(asked)) // where somebody else's meeting is, one is asked
			req := w.request(u, at, chat.Request{Command: "meet", Text: fmt.Sprintf("topic %03d", len(asked))})
			require.Zero(t, w.bot.Accept(t.Context(), w.bot.Parse(req)))
			asked = append(asked, req)
			time.Sleep(time.Duration(dice.IntN(1500)) * time.Millisecond)
		}
	}
	time.Sleep(20 * time.Minute) // every window is over
	provider.mu.Lock()
	provider.paused = true
	provider.mu.Unlock()
	roomDice.Lock()
	calm = true
	roomDice.Unlock()
	time.Sleep(5 * time.Minute)
	stop()

	posts := r.take()
	for _, req := range asked {
		answers, roots := 0, 0
		for _, p := range posts {
			if p.User.ID != req.User.ID {
				continue
			}
			switch p.Slot {
			case chat.SlotPrivate:
				answers++
			case chat.SlotRoot:
				roots++
			}
		}
		assert.GreaterOrEqual(t, answers, 1, "%s was told how it ended", req.Text)
		assert.LessOrEqual(t, answers, 1+restarts, "%s was told once, but for restarts", req.Text)
		j, err := w.store.Get(t.Context(), jobID(req))
		require.NoError(t, err)
		assert.True(t, j.State.Finished(), "%s: %s", req.Text, j.State)
		made := provider.calls["meetbot:"+j.ID+":"+channel.UserKey(req.User)]
		assert.LessOrEqual(t, made, 1, "%s was made once", req.Text)
		if j.Outcome == "created" {
			assert.Equal(t, 1, made)
			assert.GreaterOrEqual(t, roots, 1, "%s is shown to everybody", req.Text)
			found, err := w.bot.registry.Here(t.Context(), req.Place, 25)
			require.NoError(t, err)
			n := 0
			for _, reg := range found {
				if reg.Meeting.Topic == req.Text {
					n++
					assert.NotEmpty(t, reg.Cards, "the card is known")
				}
			}
			assert.Equal(t, 1, n, "%s is remembered once", req.Text)
		} else {
			assert.Zero(t, roots)
			assert.Contains(t, []string{"unknown", "refused", "withdrawn"}, j.Outcome)
			assert.False(t, j.Outcome != "unknown" && made > 0, "%s: %s, but it exists", req.Text, j.Outcome)
		}
	}
	assert.NotEmpty(t, asked)
	for _, p := range posts {
		assert.False(t, !p.Slot.Private() && strings.Contains(revealed(p), "canary"))
	}
	require.NoError(t, w.store.Close())
}
