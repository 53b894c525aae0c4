package commands

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/config/secret"
	"meetbot/meeting"
)

// A personal meeting number is the same every time. The new meeting is the new requester's,
// and nobody sees of another's what it was, or how to be its host.
func TestAPersonalNumberIsUsedAgain(t *testing.T) {
	board := chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "C9"}
	for name, between := range map[string]func(*world, []chat.Post){
		"while the first one goes on": func(*world, []chat.Post) {},
		"after the first one ended": func(w *world, posts []chat.Post) {
			w.press(ada, board, posts, grammar.VerbEndYes)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				t := w.t
				first := w.say(ada, board, "/meet CEO one-on-one --pmi")
				assert.Contains(t, revealed(find(t, first, chat.SlotPrivate)), canaryHost+"-1")
				between(w, first)
				w.room.take()

				second := w.say(ben, channel, "/meet Standup --pmi")
				assert.Equal(t, "Standup", find(t, second, chat.SlotRoot).Reply.Title)
				private := revealed(find(t, second, chat.SlotPrivate))
				assert.Contains(t, private, "Standup")
				assert.Contains(t, private, canaryHost+"-2")
				assert.Contains(t, private, canaryStart+"-2")
				for _, p := range second {
					if p.Place.Key() == channel.Key() {
						for _, of := range []string{"CEO", canaryHost + "-1", canaryStart + "-1", "Ada", ada.ID + " "} {
							assert.NotContains(t, revealed(p), of, "%s", p.Slot)
						}
					}
				}
				old := find(t, second, chat.SlotEdit)
				assert.Equal(t, board.Key(), old.Place.Key())
				assert.Equal(t, "CEO one-on-one", old.Reply.Title)
				assert.Contains(t, describe([]chat.Post{old}), "reused")
				assert.Empty(t, old.Reply.Buttons)
				assert.Empty(t, old.Reply.Links)

				// What hangs on the old messages leads nobody to the new meeting.
				for _, verb := range []grammar.Verb{grammar.VerbStartLink, grammar.VerbCopy, grammar.VerbQR, grammar.VerbEndYes} {
					for _, p := range w.press(ada, board, first, verb) {
						for _, of := range []string{"Standup", canaryHost, canaryStart, "https://join.example"} {
							assert.NotContains(t, revealed(p), of, "%s", verb)
						}
					}
				}
				assert.Contains(t, w.say(ada, board, "/meet list")[0].Reply.Text, "No meetings are running here")
				assert.Contains(t, describe(w.say(ben, channel, "/meet list")), "Standup")

				// The new one is ended, and watched, as any other.
				time.Sleep(10 * time.Minute)
				for _, p := range w.room.take() {
					if p.Place.Key() == board.Key() {
						assert.NotContains(t, revealed(p), "Standup", "the old card stays as it was")
					}
				}
				w.press(ben, channel, second, grammar.VerbEndYes)
				reg, err := w.bot.registry.Get(t.Context(), meeting.Ref{Provider: "systec", ID: "1591620888"})
				require.NoError(t, err)
				assert.Equal(t, "Standup", reg.Meeting.Topic)
				assert.Equal(t, meeting.StateEnded, reg.Meeting.State)
			})
		})
	}
}

// A late delivery of the earlier meeting changes nothing at the later one.
func TestTheEarlierMeetingsCardIsNotTheLaterOnes(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		t := w.t
		first := w.say(ada, channel, "/meet one --pmi")
		root := find(t, first, chat.SlotRoot)
		w.another(ben, channel, "/meet two --pmi")
		ref := meeting.Ref{Provider: "systec", ID: "1591620888"}
		reg, err := w.bot.registry.Get(t.Context(), ref)
		require.NoError(t, err)
		require.NotNil(t, reg.Before)
		_, err = w.bot.registry.AddCard(t.Context(), ref, reg.Before.Job, chat.Receipt{Place: root.Place, Message: "late"}, "en")
		require.NoError(t, err)
		now, err := w.bot.registry.Get(t.Context(), ref)
		require.NoError(t, err)
		assert.Equal(t, reg.Cards, now.Cards)

		again, err := w.bot.registry.Add(t.Context(), reg)
		require.NoError(t, err, "the job may do it twice")
		assert.Equal(t, reg.Cards, again.Cards)
		_, err = w.bot.registry.Add(t.Context(), *reg.Before)
		require.Error(t, err, "the earlier job does not take it back")
	})
}

// What was to be shown on the earlier meeting's card, and had to wait, does not show the later
// meeting there.
func TestALateEditOfTheEarlierCardShowsNothingOfTheLaterMeeting(t *testing.T) {
	board := chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "C9"}
	inWorld(t, nil, func(w *world) {
		t := w.t
		first := w.say(ada, board, "/meet CEO one-on-one --pmi")
		held := 0
		w.room.fail = func(p chat.Post) error {
			if p.Slot == chat.SlotEdit && p.Place.Key() == board.Key() {
				held++
				return &chat.RetryAfter{After: time.Minute, Err: errors.New("limited")}
			}
			return nil
		}
		w.press(ada, board, first, grammar.VerbEndYes)
		require.NotZero(t, held)
		w.say(ben, channel, "/meet Standup --pmi")
		w.room.mu.Lock()
		w.room.fail = nil
		w.room.mu.Unlock()
		time.Sleep(10 * time.Minute)
		edits := 0
		for _, p := range w.room.take() {
			if p.Place.Key() == board.Key() && p.Slot == chat.SlotEdit {
				edits++
				assert.NotContains(t, revealed(p), "Standup")
			}
		}
		assert.NotZero(t, edits, "the card says what became of it")
	})
}

// Somebody else's meeting is not the lost one, though the list has nothing else.
func TestAnothersMeetingIsNotAdopted(t *testing.T) {
	for name, change := range map[string]func(*meeting.Meeting){
		"another topic":      func(m *meeting.Meeting) { m.Topic = "Salary talks" },
		"scheduled":          func(m *meeting.Meeting) { m.Scheduled = true },
		"begun long ago":     func(m *meeting.Meeting) { m.Start = m.Start.Add(-time.Hour) },
		"to begin next year": func(m *meeting.Meeting) { m.Start = m.Start.AddDate(1, 0, 0) },
		"another's mark":     func(m *meeting.Meeting) { m.UserKey = "meetbot:other:slack:U9" },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				t := w.t
				w.systec.listsAll = true
				other := meeting.Meeting{
					Ref: meeting.Ref{Provider: "systec", ID: "1591620999"}, Code: "1591620999", Topic: "Standup", State: meeting.StateRunning,
					JoinURL: "https://join.example/j/1591620999", HostKey: secret.New(canaryHost), Start: time.Now().Truncate(time.Second),
				}
				change(&other)
				w.systec.meetings[other.Ref.ID] = &other
				w.systec.failing(func(op string) error {
					if op == "create" {
						return refusal(meeting.ErrOutcomeUnknown, "")
					}
					return nil
				})
				w.say(ada, channel, "/meet Standup")
				time.Sleep(5 * time.Minute)
				posts := w.room.take()
				assert.Contains(t, find(t, posts, chat.SlotPrivate).Reply.Title, "May have been created")
				for _, p := range posts {
					assert.NotContains(t, revealed(p), canaryHost)
					assert.NotContains(t, revealed(p), "1591620999")
				}
				_, err := w.bot.registry.Get(t.Context(), other.Ref)
				require.ErrorIs(t, err, jobs.ErrNotFound)
			})
		})
	}
}
