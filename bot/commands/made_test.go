package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/meeting"
)

func (f fakeTencent) Recordings(context.Context, string, string) (all []meeting.Page, err error) {
	err = f.do("recordings", func() error { all = slices.Clone(f.recordings); return f.unreadable })
	return all, err
}

func (f fakeTencent) Replays(context.Context, string, string) (all []meeting.Page, err error) {
	err = f.do("replays", func() error { all = slices.Clone(f.replays); return nil })
	return all, err
}

func (f fakeTencent) Participants(context.Context, string, string) (names []string, more bool, err error) {
	err = f.do("participants", func() error { names = slices.Clone(f.people); return nil })
	return names, len(names) > 2, err
}

// records has the provider show recordings from now on.
func (f *fakeProvider) records(files ...string) {
	f.from(func() {
		f.recordings = nil
		for _, id := range files {
			f.recordings = append(f.recordings, meeting.Page{Made: meeting.MadeRecording, File: id, URL: "https://meeting.example.com/crm/" + id})
		}
	})
}

// ready are the posts that say that something is ready: to whom, what and where.
func ready(posts []chat.Post) (all []string) {
	for _, p := range posts {
		if !strings.HasSuffix(p.Reply.Title, " is ready") {
			continue
		}
		to := p.User.ID
		if p.Slot == chat.SlotThread {
			to = "thread"
		}
		var urls []string
		for _, l := range p.Reply.Links {
			urls = append(urls, l.Label+" "+l.URL)
		}
		all = append(all, fmt.Sprint(to, ": ", p.Reply.Title, " ", strings.Join(urls, " ")))
	}
	slices.Sort(all)
	return all
}

// shown makes a meeting with a second host.
func (w *world) shown() {
	w.say(ada, channel, "/meet Friday show --provider tencent --live --host <@U2>")
}

// A recording is told once to the requester and the hosts, with the provider's own page, however
// often and late it is reported.
func TestARecordingIsToldOnceToThoseWhoseItIs(t *testing.T) {
	inWorld(t, reporting, func(w *world) {
		w.shown()
		w.enter(meeting.StateRunning)
		w.hear(meeting.Event{State: meeting.StateRunning})
		w.tencent.records("f1")
		w.room.take()
		w.hear(meeting.Event{Made: meeting.MadeRecording, Files: []string{"f1"}}) // while it still runs
		want := []string{
			"U1: The recording of “Friday show” is ready Recording https://meeting.example.com/crm/f1",
			"U2: The recording of “Friday show” is ready Recording https://meeting.example.com/crm/f1",
		}
		assert.Equal(t, want, ready(w.settle()))
		w.hear(meeting.Event{State: meeting.StateEnded})
		w.hear(meeting.Event{Made: meeting.MadeRecording, Files: []string{"f1"}})
		time.Sleep(6 * 24 * time.Hour)
		w.hear(meeting.Event{Made: meeting.MadeRecording, Files: []string{"f1"}})
		assert.Empty(t, ready(w.settle()), "it was told")
		w.tencent.records("f1", "f2")
		w.hear(meeting.Event{Made: meeting.MadeRecording, Files: []string{"f1", "f2"}})
		assert.Equal(t, []string{
			"U1: The recording of “Friday show” is ready Recording https://meeting.example.com/crm/f2",
			"U2: The recording of “Friday show” is ready Recording https://meeting.example.com/crm/f2",
		}, ready(w.settle()), "only what is new")
		w.hear(meeting.Event{Made: meeting.MadeTranscript, Files: []string{"f1"}})
		assert.Equal(t, "U1: The transcript of “Friday show” is ready Transcript https://meeting.example.com/crm/f1", ready(w.settle())[0])
	})
}

// A variable has everybody told who can read the thread.
func TestRecordingsInTheThread(t *testing.T) {
	inWorld(t, func(c *Config) { reporting(c); c.RecordingsInThread = true }, func(w *world) {
		w.shown()
		w.tencent.records("f1")
		w.hear(meeting.Event{State: meeting.StateRunning})
		w.hear(meeting.Event{Made: meeting.MadeSummary, Files: []string{"f1"}})
		assert.Equal(t, []string{"thread: The summary of “Friday show” is ready Summary https://meeting.example.com/crm/f1"}, ready(w.settle()))
	})
}

// Without the right to read recordings it is told all the same, without a link.
func TestARecordingWithoutAPageIsTold(t *testing.T) {
	inWorld(t, reporting, func(w *world) {
		w.shown()
		w.hear(meeting.Event{State: meeting.StateRunning})
		w.tencent.failing(func(op string) error {
			if op == "recordings" {
				return refusal(meeting.ErrNotPermitted, meeting.ReasonAccountRight)
			}
			return nil
		})
		w.hear(meeting.Event{Made: meeting.MadeRecording, Files: []string{"f1"}})
		posts := w.settle()
		assert.Equal(t, []string{"U1: The recording of “Friday show” is ready ", "U2: The recording of “Friday show” is ready "}, ready(posts))
		assert.Contains(t, describe(posts), "can find it in Tencent Meeting")
	})
}

// A provider that cannot answer now is asked again, and nothing is told without its page.
func TestAPageIsWaitedFor(t *testing.T) {
	inWorld(t, reporting, func(w *world) {
		w.shown()
		w.hear(meeting.Event{State: meeting.StateRunning})
		w.tencent.failing(func(op string) error {
			if op == "recordings" {
				return refusal(meeting.ErrUnavailable, meeting.ReasonNone)
			}
			return nil
		})
		w.hear(meeting.Event{Made: meeting.MadeRecording, Files: []string{"f1"}})
		time.Sleep(3 * time.Minute)
		assert.Empty(t, ready(w.room.take()))
		w.tencent.failing(nil)
		time.Sleep(time.Minute)
		w.tencent.records("f1")
		time.Sleep(2 * time.Minute)
		assert.Len(t, ready(w.room.take()), 2)
	})
}

// What could be read of several is told at once only where nothing is missing.
func TestAPageThatCannotBeReadYetIsWaitedFor(t *testing.T) {
	inWorld(t, reporting, func(w *world) {
		w.shown()
		w.hear(meeting.Event{State: meeting.StateRunning})
		w.tencent.records("f1")
		w.tencent.from(func() { w.tencent.unreadable = refusal(meeting.ErrUnavailable, meeting.ReasonNone) })
		w.hear(meeting.Event{Made: meeting.MadeRecording, Files: []string{"f1"}})
		time.Sleep(time.Second)
		assert.Len(t, ready(w.room.take()), 2, "it is there, whatever else cannot be read")
		w.tencent.records("f2")
		w.hear(meeting.Event{Made: meeting.MadeRecording, Files: []string{"f2", "f3"}})
		time.Sleep(3 * time.Minute)
		assert.Empty(t, ready(w.room.take()))
		w.tencent.from(func() { w.tencent.unreadable = nil })
		w.tencent.records("f2", "f3")
		time.Sleep(2 * time.Minute)
		told := ready(w.room.take())
		require.Len(t, told, 2)
		assert.Contains(t, told[0], "/crm/f2")
		assert.Contains(t, told[0], "/crm/f3")
	})
}

// A provider that reports nothing is asked, a few times; a replay is for everybody.
func TestWhatIsNotReportedIsAskedForAFewTimes(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.shown()
		w.enter(meeting.StateRunning, 30)
		time.Sleep(10 * time.Minute)
		w.enter(meeting.StateEnded, 30)
		asked := w.tencent.calls("recordings")
		time.Sleep(20 * time.Minute)
		w.tencent.records("f1")
		w.tencent.from(func() {
			w.tencent.replays = []meeting.Page{{Made: meeting.MadeReplay, File: "room", URL: "https://meeting.example.com/l/room"}}
		})
		w.room.take()
		time.Sleep(2 * time.Hour)
		assert.Equal(t, []string{
			"U1: The recording of “Friday show” is ready Recording https://meeting.example.com/crm/f1",
			"U2: The recording of “Friday show” is ready Recording https://meeting.example.com/crm/f1",
			"thread: The replay of “Friday show” is ready Replay https://meeting.example.com/l/room",
		}, ready(w.room.take()))
		time.Sleep(4 * 24 * time.Hour)
		assert.Empty(t, ready(w.room.take()))
		assert.Equal(t, 6, asked.take(), "and then no more")
	})
}

// A number may have been another meeting's before, and be somebody else's by now.
func TestARecordingIsOfTheMeetingThatBeganThen(t *testing.T) {
	inWorld(t, reporting, func(w *world) {
		before := time.Now()
		w.shown()
		w.hear(meeting.Event{State: meeting.StateRunning})
		w.hear(meeting.Event{Made: meeting.MadeRecording, Files: []string{"old"}, Page: "https://p.example/old", Began: before.Add(-time.Hour)})
		assert.Empty(t, ready(w.settle()))
		w.hear(meeting.Event{State: meeting.StateEnded})
		w.settle()
		w.hear(meeting.Event{Made: meeting.MadeRecording, Files: []string{"later"}, Page: "https://p.example/later", Began: time.Now().Add(time.Hour)})
		assert.Empty(t, ready(w.settle()))
		w.hear(meeting.Event{Made: meeting.MadeRecording, Files: []string{"ours"}, Page: "https://p.example/ours", Began: before})
		assert.Len(t, ready(w.settle()), 2)
	})
}

// Who came is told only where a variable says so.
func TestWhoCame(t *testing.T) {
	for name, on := range map[string]bool{"Off": false, "On": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(c *Config) { reporting(c); c.Participants = on }, func(w *world) {
				w.shown()
				w.tencent.mu.Lock()
				w.tencent.people = []string{"\u200b", "Ada", "Ev\u202eil <!channel>\n", strings.Repeat("x", 100)}
				w.tencent.mu.Unlock()
				asked := w.tencent.calls("participants")
				w.hear(meeting.Event{State: meeting.StateRunning})
				w.hear(meeting.Event{State: meeting.StateEnded})
				w.room.take()
				time.Sleep(time.Minute)
				posts := told(w.room.take())
				require.Len(t, posts, 1)
				if !on {
					assert.Zero(t, asked.take())
					assert.NotContains(t, fieldsOf(posts[0]), "Participants")
					return
				}
				assert.Equal(t, "4+, among them Ada, Evil <!channel>, "+strings.Repeat("x", 40)+"…", fieldsOf(posts[0])["Participants"])
			})
		})
	}
}

// A report waits a while for who came, and then goes without.
func TestAReportDoesNotWaitForEver(t *testing.T) {
	inWorld(t, func(c *Config) { reporting(c); c.Participants = true }, func(w *world) {
		w.shown()
		w.hear(meeting.Event{State: meeting.StateRunning})
		w.tencent.failing(func(op string) error {
			if op == "participants" {
				return refusal(meeting.ErrUnavailable, meeting.ReasonNone)
			}
			return nil
		})
		w.hear(meeting.Event{State: meeting.StateEnded})
		time.Sleep(4 * time.Minute)
		assert.Empty(t, told(w.room.take()))
		time.Sleep(3 * time.Minute)
		assert.Len(t, told(w.room.take()), 1)
	})
}

// A meeting is entered again after its report, and recorded again.
func TestARecordingAfterTheReportIsTold(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.shown()
		w.enter(meeting.StateRunning)
		time.Sleep(20 * time.Minute)
		w.enter(meeting.StateEmpty)
		time.Sleep(2*time.Hour - 10*time.Minute)
		require.Len(t, told(w.room.take()), 1)
		w.enter(meeting.StateRunning)
		time.Sleep(time.Hour) // in which it would have been asked for the recordings of the first time
		w.enter(meeting.StateEnded)
		w.tencent.records("f2")
		time.Sleep(time.Hour)
		assert.Len(t, ready(w.room.take()), 2)
	})
}
