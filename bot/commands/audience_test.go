package commands

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/policy"
	"meetbot/bot/registry"
	"meetbot/meeting"
)

var show = meeting.Ref{Provider: "tencent", ID: "806146601"}

// card is what the newest of the posts shows of the meeting, field by field.
func card(posts []chat.Post) map[string]string {
	fields := map[string]string{}
	for _, p := range posts {
		if p.Slot != chat.SlotEdit && p.Slot != chat.SlotRoot {
			continue
		}
		fields = map[string]string{"edits": fmt.Sprint(len(posts))}
		for _, f := range p.Reply.Fields {
			fields[f.Name] = f.Value
		}
	}
	return fields
}

// enter has the provider say that people are in, when it is asked.
func (w *world) enter(state meeting.State, viewers ...int) {
	w.tencent.mu.Lock()
	defer w.tencent.mu.Unlock()
	w.tencent.meetings[show.ID].State = state
	w.tencent.viewers = map[string]int{}
	for _, n := range viewers {
		w.tencent.viewers[show.ID] = n
	}
}

func (w *world) hear(e meeting.Event) {
	w.t.Helper()
	w.next++
	e.ID, e.At, e.Ref = fmt.Sprint("e", w.next), time.Now(), show
	require.NoError(w.t, w.bot.Hear(w.t.Context(), e))
}

// failing sets how a fake fails, also while it is at work; nil: it does not.
func (f *fakeProvider) failing(with func(op string) error) {
	f.from(func() { f.fail = with })
}

// calls are how often a fake was asked for something since it was looked at last.
type calls struct {
	f *fakeProvider
	n int
}

// calls counts what a fake is asked.
func (f *fakeProvider) calls(op string) *calls {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, before := &calls{f: f}, f.fail
	f.fail = func(called string) error {
		if called == op {
			c.n++
		}
		if before != nil {
			return before(called)
		}
		return nil
	}
	return c
}

func (c *calls) take() int {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	n := c.n
	c.n = 0
	return n
}

// TestTheCardSaysHowManyWatch counts a live that nobody reports: that it has viewers is the
// sign that it is on.
func TestTheCardSaysHowManyWatch(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.enter(meeting.StateRunning)
		time.Sleep(2 * time.Minute)
		fields := card(w.room.take())
		assert.Contains(t, fields["Status"], "Running since")
		assert.NotContains(t, fields["Status"], "live stream has started")
		assert.NotContains(t, fields, "Viewers")

		w.enter(meeting.StateRunning, 412)
		time.Sleep(2 * time.Minute)
		fields = card(w.room.take())
		assert.Contains(t, fields["Status"], "the live stream has started")
		assert.Regexp(t, `^412 at .*, peak 412$`, fields["Viewers"])

		asked := w.tencent.calls("viewers")
		time.Sleep(5 * time.Hour)
		assert.Empty(t, w.room.take(), "what has not changed is not drawn")
		assert.InDelta(t, 350, asked.take(), 70, "about once a minute, also of an old meeting")

		w.enter(meeting.StateRunning, 97)
		time.Sleep(2 * time.Minute)
		assert.Regexp(t, `^97 at .*, peak 412$`, card(w.room.take())["Viewers"])

		w.enter(meeting.StateEnded, 1203)
		time.Sleep(2 * time.Minute)
		fields = card(w.room.take())
		assert.Contains(t, fields["Status"], "Ended")
		assert.Equal(t, "1203 in total, peak 412", fields["Viewers"])
		asked.take()
		time.Sleep(5 * time.Hour)
		assert.Zero(t, asked.take())
	})
}

// TestViewersFollowTheProvidersWord counts between the reports of a start and of an end.
func TestViewersFollowTheProvidersWord(t *testing.T) {
	inWorld(t, func(c *Config) { c.Webhooks = map[meeting.Provider]bool{show.Provider: true} }, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.enter(meeting.StateRunning, 30)
		w.hear(meeting.Event{State: meeting.StateRunning})
		w.hear(meeting.Event{Live: meeting.LiveOn})
		time.Sleep(25 * time.Second)
		fields := card(w.room.take())
		assert.Contains(t, fields["Status"], "Live since")
		assert.Contains(t, fields["Viewers"], "30 at", "soon after the start")

		w.enter(meeting.StateRunning, 80)
		w.hear(meeting.Event{Live: meeting.LiveOff})
		w.settle()
		time.Sleep(25 * time.Second)
		asked := w.tencent.calls("viewers")
		assert.Equal(t, "80 in total, peak 30", card(w.settle())["Viewers"])
		time.Sleep(time.Hour)
		assert.Zero(t, asked.take(), "it is not on")

		w.enter(meeting.StateRunning, 5)
		w.hear(meeting.Event{Live: meeting.LiveOn})
		time.Sleep(25 * time.Second)
		assert.Contains(t, card(w.settle())["Viewers"], "5 at", "once more")
		w.enter(meeting.StateEnded, 90)
		w.hear(meeting.Event{State: meeting.StateEnded})
		assert.Equal(t, "peak 30", card(w.settle())["Viewers"])
		time.Sleep(25 * time.Second)
		assert.Equal(t, "90 in total, peak 30", card(w.settle())["Viewers"])
	})
}

// TestAShowTooShortToBeCountedHasItsTotal also when the provider needs a while to answer.
func TestAShowTooShortToBeCountedHasItsTotal(t *testing.T) {
	inWorld(t, func(c *Config) { c.Webhooks = map[meeting.Provider]bool{show.Provider: true} }, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.enter(meeting.StateEnded, 7)
		w.tencent.failing(refusedWith("viewers", &meeting.APIError{Provider: "tencent", Err: meeting.ErrUnavailable}))
		w.hear(meeting.Event{State: meeting.StateRunning})
		w.hear(meeting.Event{Live: meeting.LiveOn})
		w.hear(meeting.Event{State: meeting.StateEnded})
		time.Sleep(3 * time.Minute)
		assert.NotContains(t, card(w.room.take()), "Viewers")
		w.tencent.failing(nil)
		time.Sleep(10 * time.Minute)
		assert.Equal(t, "7 in total", card(w.room.take())["Viewers"])
	})
}

// TestWhoMayNotCountIsToldOnce says it in the log, and on no card.
func TestWhoMayNotCountIsToldOnce(t *testing.T) {
	for name, err := range map[string]*meeting.APIError{
		"no right":             {Provider: "tencent", Code: 9042, Err: meeting.ErrNotPermitted, Reason: meeting.ReasonAccountRight},
		"unknown operation":    {Provider: "tencent", Code: 200004, Err: meeting.ErrNotPermitted, Reason: meeting.ReasonAPI},
		"an unpublished code":  {Provider: "tencent", Code: 123456, Err: meeting.ErrInvalid, Reason: meeting.ReasonUnlisted},
		"too many calls today": {Provider: "tencent", Code: 190312, Err: meeting.ErrLimit, Reason: meeting.ReasonDaily},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			inWorld(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) }, func(w *world) {
				w.say(ada, channel, "/meet x --provider tencent --live")
				w.tencent.failing(refusedWith("viewers", err))
				w.enter(meeting.StateRunning)
				asked := w.tencent.calls("viewers")
				time.Sleep(3*time.Hour + time.Minute)
				fields := card(w.room.take())
				assert.Contains(t, fields["Status"], "Running")
				assert.NotContains(t, fields, "Viewers")
				assert.LessOrEqual(t, asked.take(), 4, "an hour is long enough for a right to be granted")
				w.enter(meeting.StateEnded)
				time.Sleep(time.Hour)
			})
			assert.Equal(t, 1, strings.Count(log.String(), "provider does not show viewers"), log.String())
		})
	}
}

// TestABusyProviderIsAskedLessAndLess rests as long as the provider wants, at least.
func TestABusyProviderIsAskedLessAndLess(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.tencent.failing(refusedWith("viewers", &meeting.APIError{Provider: "tencent", Code: 190310, Err: meeting.ErrRateLimited}))
		w.enter(meeting.StateRunning)
		asked := w.tencent.calls("viewers")
		time.Sleep(2 * time.Hour)
		n := asked.take()
		assert.LessOrEqual(t, n, 14)
		assert.GreaterOrEqual(t, n, 6)
	})
	r, now, who := newRests(), time.Unix(0, 0), rester{provider: "tencent"}
	r.longer(who, now, time.Hour)
	assert.True(t, r.resting(who, now.Add(59*time.Minute)))
	assert.False(t, r.resting(who, now.Add(61*time.Minute)))
}

// An account that may not see viewers is told of once, to admins alone.
func TestAdminsHearOnceThatViewersAreNotShown(t *testing.T) {
	inWorld(t, func(c *Config) {
		c.Policy.Admins = []policy.Entry{{Platform: chattest.Slack, Kind: chat.UserEntry, ID: "U9"}, {Platform: chattest.Discord, Kind: chat.UserEntry, ID: "9"}}
	}, func(w *world) {
		var heard []chat.Post
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.tencent.failing(func(op string) error {
			if op == "viewers" {
				return refusal(meeting.ErrNotPermitted, meeting.ReasonAccountRight)
			}
			return nil
		})
		w.enter(meeting.StateRunning, 30)
		for range 2 { // the account is asked again after an hour
			time.Sleep(3 * time.Hour)
			for _, p := range w.room.take() {
				if strings.Contains(p.Reply.Title, "how many people watch") {
					heard = append(heard, p)
				}
				assert.NotContains(t, fmt.Sprint(p.Reply.Fields), "Viewers")
			}
		}
		require.Len(t, heard, 1)
		assert.Equal(t, chat.SlotDirect, heard[0].Slot)
		assert.Equal(t, "U9", heard[0].User.ID)
		assert.Contains(t, heard[0].Reply.Text, "Tencent Meeting")
	})
}

// The bot is killed when it has learnt that the meeting is over, before it asks for more.
func TestAllViewersAreCountedAfterAKill(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.enter(meeting.StateRunning, 12)
		time.Sleep(20 * time.Minute)
		w.enter(meeting.StateEnded, 80)
		_, err := w.bot.registry.Change(w.t.Context(), show, func(reg *registry.Registration) bool {
			return w.bot.registry.Turn(reg, meeting.StateEnded)
		})
		require.NoError(t, err)
		w.room.take()
		time.Sleep(20 * time.Minute)
		assert.Equal(t, "80 in total, peak 12", card(w.room.take())["Viewers"])
	})
}
