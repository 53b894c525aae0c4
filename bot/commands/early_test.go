package commands

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/meeting"
)

// TestWhatHappensWhileAMeetingIsMadeIsShownAtOnce has somebody enter in the very second in
// which the meeting is made: before the answer is here, and while its card is being posted.
func TestWhatHappensWhileAMeetingIsMadeIsShownAtOnce(t *testing.T) {
	ref := meeting.Ref{Provider: "tencent", ID: "806146601"}
	for name, during := range map[string]func(w *world, enter func()){
		"before the answer is here": func(w *world, enter func()) {
			w.tencent.after = func(op string) error {
				if op == "create" {
					enter()
				}
				return nil
			}
		},
		"while the card is posted": func(w *world, enter func()) {
			w.room.fail = func(p chat.Post) error {
				if p.Slot == chat.SlotRoot {
					enter()
					time.Sleep(time.Second) // the platform takes its time
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(cfg *Config) { cfg.Webhooks = map[meeting.Provider]bool{show.Provider: true} }, func(w *world) {
				var done atomic.Bool
				during(w, func() {
					if done.Swap(true) {
						return
					}
					for i, e := range []meeting.Event{{State: meeting.StateRunning}, {Live: meeting.LiveOn}} {
						e.ID, e.At, e.Ref = []string{"in", "live"}[i], time.Now().Truncate(time.Second), ref
						assert.NoError(w.t, w.bot.Hear(w.t.Context(), e))
					}
				})
				posts := w.say(ada, channel, "/meet x --provider tencent --live")
				require.True(t, done.Load())
				last := find(t, posts, chat.SlotRoot)
				for _, p := range posts {
					if p.Slot == chat.SlotEdit {
						last = p
					}
				}
				assert.Contains(t, last.Reply.Fields[1].Value, "Live since", "long before the first poll")
			})
		})
	}
}

// TestAnothersEventIsForgotten keeps nothing of meetings that the bot does not come to know.
func TestAnothersEventIsForgotten(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		ref := meeting.Ref{Provider: "tencent", ID: "806146601"}
		require.NoError(t, w.bot.Hear(w.t.Context(), meeting.Event{ID: "e", At: time.Now(), Ref: ref, State: meeting.StateRunning}))
		time.Sleep(heardFor + time.Second)
		docs, err := w.store.Docs(w.t.Context(), 0, docHeard)
		require.NoError(t, err)
		assert.Empty(t, docs)
		posts := w.say(ada, channel, "/meet x --provider tencent")
		assert.Contains(t, find(t, posts, chat.SlotRoot).Reply.Fields[1].Value, "nobody has joined yet")
	})
}

// slow is a room to which the first edit takes a while.
type slow struct {
	*room
	edits atomic.Int32
}

func (s *slow) Post(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	if p.Slot == chat.SlotEdit && s.edits.Add(1) == 1 {
		time.Sleep(2 * time.Second)
	}
	return s.room.Post(ctx, p)
}

// TestAnEditThatIsOvertakenLeavesNothingOldBehind has the edit for an earlier word arrive after
// the edit for a later one.
func TestAnEditThatIsOvertakenLeavesNothingOldBehind(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		late := &slow{room: w.room}
		w.bot.Attach(chattest.Slack, late)
		w.hear(meeting.Event{State: meeting.StateRunning})
		time.Sleep(time.Second)
		w.hear(meeting.Event{Live: meeting.LiveOn})
		assert.Contains(t, card(w.settle())["Status"], "Live since")
		assert.EqualValues(t, 2, late.edits.Load()-1, "the late one, and once more")
	})
}

// TestWhoeverComesTurnsTheCard and the others who come are no work.
func TestWhoeverComesTurnsTheCard(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		for range 50 {
			w.hear(meeting.Event{State: meeting.StateRunning})
		}
		posts := w.settle()
		assert.Contains(t, card(posts)["Status"], "Running since")
		for range 300 {
			w.hear(meeting.Event{State: meeting.StateRunning})
		}
		before, err := w.bot.registry.Get(w.t.Context(), show)
		require.NoError(t, err)
		assert.Empty(t, w.settle())
		after, err := w.bot.registry.Get(w.t.Context(), show)
		require.NoError(t, err)
		assert.Equal(t, before.Version(), after.Version())

		other := meeting.Ref{Provider: "tencent", ID: "9"}
		for i := range 300 { // another's
			require.NoError(t, w.bot.Hear(w.t.Context(), meeting.Event{ID: fmt.Sprint(i), At: time.Now(), Ref: other, State: meeting.StateRunning}))
		}
		docs, err := w.store.Docs(w.t.Context(), 0, docHeard)
		require.NoError(t, err)
		assert.Len(t, docs, 1)
	})
}

// TestALiveThatHasBegunIsThatOfARunningMeeting also where nobody said that it runs.
func TestALiveThatHasBegunIsThatOfARunningMeeting(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.hear(meeting.Event{Live: meeting.LiveOn})
		assert.Contains(t, card(w.settle())["Status"], "Live since")
	})
}

// What is said of a time to come is said now: else nothing that is learnt until then would count.
func TestAProviderThatSpeaksOfTheFutureIsTakenAtItsWordNow(t *testing.T) {
	inWorld(t, reporting, func(w *world) {
		w.say(ada, channel, "/meet Friday show --provider tencent --live")
		w.enter(meeting.StateRunning)
		w.spoken(meeting.Event{State: meeting.StateRunning}, -30*24*time.Hour)
		w.settle()
		w.enter(meeting.StateEmpty)
		time.Sleep(20 * time.Minute)
		reg, err := w.bot.registry.Get(w.t.Context(), show)
		require.NoError(t, err)
		assert.False(t, reg.StateAt.After(time.Now()), "%v", reg.StateAt)
		assert.Equal(t, meeting.StateEmpty, reg.Meeting.State)
	})
}

// A number is used again, and a word on the meeting that had it before comes late.
func TestAWordOnAnEarlierMeetingDoesNotEndThisOne(t *testing.T) {
	inWorld(t, reporting, func(w *world) {
		w.say(ada, channel, "/meet Friday show --provider tencent --live")
		w.spoken(meeting.Event{State: meeting.StateEnded}, 20*time.Minute)
		w.settle()
		reg, err := w.bot.registry.Get(w.t.Context(), show)
		require.NoError(t, err)
		assert.Equal(t, meeting.StateReady, reg.Meeting.State)
	})
}
