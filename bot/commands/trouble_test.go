package commands

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
)

var errTrouble = errors.New("the platform is in trouble")

// Whoever asked hears before everybody does, where the platform can tell one person alone, and
// is not kept waiting by a room that cannot be written to anywhere.
func TestTheAnswerToThePersonIsNotBehindThePublicPost(t *testing.T) {
	for name, trouble := range map[string]error{
		"failing": errTrouble,
		"limited": &chat.RetryAfter{After: 40 * time.Second, Err: errTrouble},
	} {
		for _, platform := range []chat.Platform{chattest.Slack, chattest.Discord} {
			t.Run(string(platform)+" "+name, func(t *testing.T) {
				inWorld(t, nil, func(w *world) {
					w.bot.Attach(chattest.Discord, w.room)
					var open atomic.Bool
					w.room.fail = func(p chat.Post) error {
						if !p.Slot.Private() && !open.Load() {
							return trouble
						}
						return nil
					}
					began := time.Now()
					r := chat.Request{ID: string(platform) + ":1", At: began, User: ada, Place: chat.Place{Platform: platform, Team: "1", Channel: "2"}, Command: "meet", Text: "sync"}
					if platform == chattest.Discord {
						r.Text, r.Options = "", map[string]string{"topic": "sync"}
					}
					require.Nil(t, w.bot.Accept(w.t.Context(), w.bot.Parse(r)).Reply)
					time.Sleep(2 * time.Second)
					synctest.Wait()
					private := find(t, w.room.take(), chat.SlotPrivate)
					assert.Contains(t, revealed(private), canaryStart)
					time.Sleep(15 * time.Minute)
					assert.Empty(t, w.room.take(), "nor is it said that it takes longer")
					open.Store(true)
					time.Sleep(2 * time.Minute)
					synctest.Wait()
					assert.Equal(t, chat.SlotRoot, w.room.take()[0].Slot)
					j, err := w.store.Get(w.t.Context(), jobID(r))
					require.NoError(t, err)
					assert.True(t, j.State.Finished())
				})
			})
		}
	}
}

// What cannot be told at first is told when it can, with the time at which it was asked for.
func TestALateAnswerSaysWhenItWasAskedFor(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		open := time.Now().Add(20 * time.Minute)
		asked := time.Now()
		w.room.fail = func(p chat.Post) error {
			if p.Slot.Private() && time.Now().Before(open) {
				return errTrouble
			}
			return nil
		}
		w.say(ada, channel, "/meet sync")
		time.Sleep(25 * time.Minute)
		synctest.Wait()
		private := find(t, w.room.take(), chat.SlotPrivate)
		assert.Contains(t, revealed(private), canaryStart)
		assert.Equal(t, "You asked for this at "+chat.Instant(asked)+". I couldn't answer sooner.", private.Reply.Note)
	})
	inWorld(t, nil, func(w *world) {
		assert.Empty(t, find(t, w.say(ada, channel, "/meet sync"), chat.SlotPrivate).Reply.Note)
	})
}

// While an answer cannot be given, the person hears once that it takes longer.
func TestThePersonHearsThatAnAnswerTakesLonger(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.room.fail = func(p chat.Post) error {
			if p.Slot != chat.SlotProgress {
				return errTrouble
			}
			return nil
		}
		w.say(ada, channel, "/meet sync")
		time.Sleep(5*time.Second + 10*time.Millisecond)
		synctest.Wait()
		posts := w.room.take()
		require.Len(t, posts, 1)
		assert.Contains(t, posts[0].Reply.Text, "Still working on it")
		time.Sleep(time.Hour)
		assert.Empty(t, w.room.take())
	})
}

// A process that stood still while it made a meeting, until another had found it and told of
// it, has nothing to add.
func TestALateAnswerToWhatWasFoundAndToldSaysNothing(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		stands := make(chan struct{})
		w.systec.after = func(op string) error {
			if op == "create" {
				w.systec.mu.Unlock() // others are answered
				<-stands
				w.systec.mu.Lock()
			}
			return nil
		}
		w.say(ada, channel, "/meet sync")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		posts := w.room.take()
		require.Len(t, posts, 5, describe(posts))
		assert.Equal(t, chat.SlotProgress, posts[0].Slot)
		w.systec.after = nil
		close(stands)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		assert.Empty(t, w.room.take())
		assert.Equal(t, 1, w.systec.created)
	})
}

// claimed is a room on a platform that gives some requests to another bot.
type claimed struct {
	*room
	taken bool
}

func (c *claimed) Claim(context.Context, []byte) error {
	if c.taken {
		return chat.ErrTaken
	}
	return nil
}

func TestWhatAnotherBotAnswersIsLeftToIt(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := &claimed{room: w.room, taken: true}
		w.bot.Attach(chattest.Slack, c)
		assert.Empty(t, w.say(ada, channel, "/meet sync"))
		assert.Zero(t, w.systec.created)
		c.taken = false
		require.Len(t, w.say(ada, channel, "/meet sync"), 4)
		assert.Equal(t, 1, w.systec.created)
	})
}
