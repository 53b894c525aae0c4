package commands

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
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
		assert.Contains(t, find(t, posts, chat.SlotRoot).Reply.Fields[1].Value, "nobody is in yet")
	})
}
