package commands

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/audit"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// told are the posts whose title is that of a report.
func told(posts []chat.Post) (reports []chat.Post) {
	for _, p := range posts {
		if p.Reply.Title == "What became of “Friday show”" {
			reports = append(reports, p)
		}
	}
	return reports
}

func fieldsOf(p chat.Post) map[string]string {
	fields := map[string]string{}
	for _, f := range p.Reply.Fields {
		fields[f.Name] = f.Value
	}
	return fields
}

// spoken has the provider say something that happened in the past.
func (w *world) spoken(e meeting.Event, ago time.Duration) {
	w.t.Helper()
	w.next++
	e.ID, e.Ref = "s"+string(rune('a'+w.next)), show
	e.At = time.Now().Add(-ago)
	require.NoError(w.t, w.bot.Hear(w.t.Context(), e))
}

func reporting(c *Config) { c.Webhooks = map[meeting.Provider]bool{show.Provider: true} }

// What the provider told is told once, in the thread, with who pushed it where.
func TestWhatBecameOfAMeetingIsToldOnce(t *testing.T) {
	inWorld(t, reporting, func(w *world) {
		w.onAir(2)
		w.enter(meeting.StateRunning, 30)
		w.hear(meeting.Event{State: meeting.StateRunning})
		time.Sleep(5 * time.Minute)
		w.hear(meeting.Event{Live: meeting.LiveOn})
		time.Sleep(30 * time.Minute)
		w.say(ben, channel, "/livepush off p0")
		w.say(ada, channel, "/livepush off p0")
		time.Sleep(30 * time.Minute)
		w.hear(meeting.Event{Live: meeting.LiveOff})
		time.Sleep(7 * time.Minute)
		w.enter(meeting.StateEnded, 80)
		w.hear(meeting.Event{State: meeting.StateEnded})
		w.hear(meeting.Event{State: meeting.StateEnded})
		w.room.take()
		time.Sleep(time.Minute)
		posts := told(w.room.take())
		require.Len(t, posts, 1)
		p := posts[0]
		assert.Equal(t, chat.SlotThread, p.Slot)
		require.NotNil(t, p.Root)
		fields := fieldsOf(p)
		assert.Regexp(t, `^1 h 12 min \(.* to .*\)$`, fields["Duration"])
		assert.Regexp(t, `^1 h 0 min \(.* to .*\)$`, fields["Live stream"])
		assert.Regexp(t, `in total, peak 30$`, fields["Viewers"])
		assert.Regexp(t, `^on at .* by Ada, off at .* by Ada$`, fields["Push to p0"])
		assert.Regexp(t, `^on at .* by Ada$`, fields["Push to p1"])
		w.hear(meeting.Event{State: meeting.StateEnded})
		w.spoken(meeting.Event{State: meeting.StateRunning}, 3*time.Hour)
		time.Sleep(time.Hour)
		assert.Empty(t, told(w.room.take()), "it was told")
	})
}

// Without reports of the provider's, only what was seen is told.
func TestAReportSaysNoMoreThanWasSeen(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet Friday show --provider tencent --live")
		w.enter(meeting.StateRunning)
		time.Sleep(41 * time.Minute)
		w.enter(meeting.StateEnded)
		time.Sleep(10 * time.Minute)
		posts := told(w.room.take())
		require.Len(t, posts, 1)
		fields := fieldsOf(posts[0])
		assert.Regexp(t, `^at least \d\d min \(seen from .* to .*\)$`, fields["Duration"])
		assert.NotContains(t, fields, "Live stream")
	})
}

// A meeting that is not listed any more may only be lost from sight.
func TestAMeetingThatComesBackIsNotReported(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet Friday show --provider tencent --live")
		w.enter(meeting.StateRunning)
		time.Sleep(20 * time.Minute)
		w.enter(meeting.StateUnlisted)
		time.Sleep(4 * time.Minute)
		w.enter(meeting.StateRunning)
		time.Sleep(time.Hour)
		assert.Empty(t, told(w.room.take()))
		w.enter(meeting.StateUnlisted)
		time.Sleep(time.Hour)
		assert.Len(t, told(w.room.take()), 1)
	})
}

func TestAMeetingThatNobodyJoinedHasNoReport(t *testing.T) {
	inWorld(t, reporting, func(w *world) {
		w.say(ada, channel, "/meet Friday show --provider tencent --live")
		w.hear(meeting.Event{State: meeting.StateCancelled})
		time.Sleep(time.Hour)
		assert.Empty(t, told(w.room.take()))
	})
}

// Words arrive in any order: the end first, and hours before the beginning.
func TestALateBeginningIsStillReported(t *testing.T) {
	inWorld(t, reporting, func(w *world) {
		w.say(ada, channel, "/meet Friday show --provider tencent --live")
		time.Sleep(20 * time.Minute)
		w.spoken(meeting.Event{State: meeting.StateEnded}, time.Minute)
		time.Sleep(2 * time.Hour)
		assert.Empty(t, told(w.room.take()), "nobody was heard of in it")
		w.spoken(meeting.Event{State: meeting.StateRunning}, 2*time.Hour+11*time.Minute)
		time.Sleep(time.Minute)
		posts := told(w.room.take())
		require.Len(t, posts, 1)
		assert.Contains(t, fieldsOf(posts[0])["Duration"], "10 min (")
	})
}

// A meeting that could be entered again is over once it was empty for an hour.
func TestAnEmptyMeetingIsReportedInTheEnd(t *testing.T) {
	inWorld(t, reporting, func(w *world) {
		w.say(ada, channel, "/meet Friday show --provider tencent --live")
		w.enter(meeting.StateRunning)
		w.hear(meeting.Event{State: meeting.StateRunning})
		time.Sleep(20 * time.Minute)
		w.enter(meeting.StateEmpty)
		w.hear(meeting.Event{State: meeting.StateEmpty})
		time.Sleep(50 * time.Minute)
		w.enter(meeting.StateRunning)
		w.hear(meeting.Event{State: meeting.StateRunning})
		time.Sleep(30 * time.Minute)
		assert.Empty(t, told(w.room.take()))
		w.enter(meeting.StateEmpty)
		w.hear(meeting.Event{State: meeting.StateEmpty})
		time.Sleep(70 * time.Minute)
		posts := told(w.room.take())
		require.Len(t, posts, 1)
		assert.Regexp(t, `^1 h 40 min \(.* to .*\) · empty in between$`, fieldsOf(posts[0])["Duration"])
	})
}

// The same job may tell it after a crash; no other one may.
func TestAReportThatWasBegunIsItsJobsAlone(t *testing.T) {
	inWorld(t, reporting, func(w *world) {
		w.say(ada, channel, "/meet Friday show --provider tencent --live")
		w.hear(meeting.Event{State: meeting.StateRunning})
		w.hear(meeting.Event{State: meeting.StateEnded})
		w.settle()
		begun := func(id string) int {
			r := &run{job: &jobs.Job{ID: id, Created: time.Now()}, w: &work{Ask: grammar.Ask{Verb: grammar.VerbReport, Arg: show.String()}}, kinds: kinds, text: w.bot.parser.Text, now: time.Now, note: w.bot.cfg.smallPrint}
			_, err := w.bot.polling.reports.next(w.t.Context(), r)
			require.NoError(t, err)
			return len(r.job.Outbox)
		}
		assert.Equal(t, 1, begun("a"))
		assert.Equal(t, 1, begun("a"), "it was killed before it was told")
		assert.Zero(t, begun("b"))
		time.Sleep(time.Minute)
		assert.Empty(t, told(w.room.take()))
	})
}

// backAgain is a store for which somebody comes back just before a job is taken.
type backAgain struct {
	*jobs.Store
	before func()
}

func (s backAgain) Enqueue(ctx context.Context, j jobs.Job) (jobs.Job, error) {
	s.before()
	return s.Store.Enqueue(ctx, j)
}

// Somebody comes back when the report is about to be written: the next end has one.
func TestAReportThatWasBegunTooEarlyIsToldLater(t *testing.T) {
	inWorld(t, reporting, func(w *world) {
		w.say(ada, channel, "/meet Friday show --provider tencent --live")
		w.enter(meeting.StateRunning)
		w.hear(meeting.Event{State: meeting.StateRunning})
		time.Sleep(20 * time.Minute)
		w.enter(meeting.StateEmpty)
		w.hear(meeting.Event{State: meeting.StateEmpty})
		time.Sleep(59 * time.Minute)
		w.settle()
		begun := w.bot.polling.reports
		begun.now = func() time.Time { return time.Now().Add(5 * time.Minute) }
		begun.queue.store = backAgain{w.store, func() {
			w.enter(meeting.StateRunning)
			_, err := w.bot.registry.Change(w.t.Context(), show, func(reg *registry.Registration) bool {
				return w.bot.registry.Turn(reg, meeting.StateRunning)
			})
			require.NoError(t, err)
		}}
		require.NoError(t, begun.begin(w.t.Context(), show))
		w.settle()
		w.enter(meeting.StateEnded)
		w.hear(meeting.Event{State: meeting.StateEnded})
		time.Sleep(time.Minute)
		assert.Len(t, told(w.room.take()), 1)
	})
}

// Who sees a card where a meeting was shared is not told there who was in it.
func TestAReportGoesNowhereElse(t *testing.T) {
	inWorld(t, reporting, func(w *world) {
		private, elsewhere := channel, channel
		private.Thread, private.Private = "p1", true
		elsewhere.Channel = "C2"
		w.say(ada, private, "/meet Friday show --provider tencent --live")
		w.say(ada, elsewhere, "/meet share 806146601")
		reg, err := w.bot.registry.Get(w.t.Context(), show)
		require.NoError(t, err)
		require.Len(t, reg.Cards, 2)
		_, err = w.bot.registry.DropCard(w.t.Context(), show, *reg.ThreadAt(private))
		require.NoError(t, err)
		w.hear(meeting.Event{State: meeting.StateRunning})
		time.Sleep(20 * time.Minute)
		w.hear(meeting.Event{State: meeting.StateEnded})
		time.Sleep(time.Minute)
		posts := told(w.room.take())
		require.Len(t, posts, 1)
		assert.Equal(t, chat.SlotDirect, posts[0].Slot)
		assert.Equal(t, ada.ID, posts[0].User.ID)
	})
}

// However often something was switched, the report has room for it.
func TestAReportOfManyChangesIsBounded(t *testing.T) {
	var lines []audit.Line
	for i := range 1000 {
		action := audit.On
		if i%2 == 1 {
			action = audit.Off
		}
		lines = append(lines, audit.Line{Action: action, Destination: fmt.Sprint("p", i/2%25), WhoName: "Ada", Outcome: "set", At: time.Unix(1_800_000_000+int64(i), 0)})
	}
	fields := changesOf(texts.For("en"), lines, false)
	require.Len(t, fields, 11)
	said := strings.Split(fields[0].Value, ", ")
	require.Len(t, said, 7)
	assert.Equal(t, "34 more", said[3])
	assert.Contains(t, said[0], "on at ")
	assert.Contains(t, said[6], "off at ")
	assert.Equal(t, chat.Field{Name: "…", Value: "15 more"}, fields[10])
}
