package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// shownBoard is what the newest of the posts shows on the board, line by line; nil: none does.
func shownBoard(posts []chat.Post) (lines []string) {
	for _, p := range posts {
		if p.Slot != chat.SlotEdit && p.Slot != chat.SlotRoot || p.Reply.Title != "Live push board" {
			continue
		}
		lines = []string{}
		if p.Reply.Text != "" {
			lines = append(lines, p.Reply.Text)
		}
		for _, f := range p.Reply.Fields {
			line := f.Name
			if !f.Heading {
				line += ": " + f.Value
			}
			lines = append(lines, string(instants.ReplaceAll([]byte(line), []byte("<time>"))))
		}
	}
	return lines
}

// pressed presses the first button of a message that does something.
func (w *world) pressed(u chat.User, p chat.Post, action string) []chat.Post {
	w.t.Helper()
	for _, b := range p.Reply.Buttons {
		if b.Action.Name == action {
			return w.do(w.bot.Parse(w.request(u, p.Place, chat.Request{Action: &b.Action})), u, p.Place)
		}
	}
	require.Failf(w.t, "no such button", "%s in %v", action, p.Reply.Buttons)
	return nil
}

func labels(buttons []chat.Button) (all []string) {
	for _, b := range buttons {
		all = append(all, b.Label)
	}
	return all
}

func TestTheBoardFollowsWhatBecomesOfEveryPush(t *testing.T) {
	inWorld(t, func(c *Config) { c.Webhooks = map[meeting.Provider]bool{show.Provider: true} }, func(w *world) {
		posts := w.say(ada, channel, "/livepush board")
		root := find(t, posts, chat.SlotRoot)
		assert.True(t, root.Flat, "no thread is opened for it")
		assert.Equal(t, []string{"Nothing is pushed from here."}, shownBoard(posts))
		assert.Empty(t, root.Reply.Buttons)
		assert.Equal(t, "The board is posted. I keep it up to date as long as I can post here.", find(t, posts, chat.SlotPrivate).Reply.Title)
		assert.NotContains(t, slots(posts), chat.SlotEdit, "it shows what it is to show")

		w.say(ada, channel, "/livepush save b --url rtmp://b.example.com/live --key canary-key-b --page https://b.example/watch")
		assert.Nil(t, shownBoard(w.say(ada, channel, "/meet Show --provider tencent --live")), "nothing is pushed yet")
		posts = w.say(ada, channel, "/livepush to b")
		requireNoSecretsInPublic(t, posts)
		assert.Equal(t, []string{"Show", "Status: Ready, nobody has joined yet", "b: on, verified · since <time> · by Ada"}, shownBoard(posts))
		edit := find(t, posts, chat.SlotEdit)
		for _, p := range posts {
			if p.Slot == chat.SlotEdit && p.Reply.Title == "Live push board" {
				edit = p
			}
		}
		assert.Equal(t, []string{"Turn off b", "Turn off pushes", "Copy"}, labels(edit.Reply.Buttons))
		assert.NotNil(t, edit.Reply.Buttons[1].Confirm, "as the card asks")
		assert.Equal(t, []chat.Link{{Label: "Watch on b", URL: "https://b.example/watch"}}, edit.Reply.Links)
		copied := find(t, w.press(ben, channel, []chat.Post{edit}, grammar.VerbBoardCopy), chat.SlotPrivate).Reply
		assert.Equal(t, "Show\nb: on, verified\nWatch on b: https://b.example/watch", copied.Copy)

		posts = w.say(ada, channel, "/livepush --name c --url rtmp://c.example.com/live --key canary-key-c --standby")
		assert.Contains(t, shownBoard(posts), "c: on standby, verified · since <time> · by Ada")

		// The host deletes one in the client.
		w.tencent.mu.Lock()
		w.tencent.pushes[show.ID] = w.tencent.pushes[show.ID][:1]
		w.tencent.mu.Unlock()
		assert.Contains(t, shownBoard(w.say(ada, channel, "/livepush status")), "c: not set at this meeting · <time>")

		w.tencent.failing(func(op string) error {
			if op == "set_push" {
				return &meeting.APIError{Provider: "tencent", Err: meeting.ErrInvalid, Message: "stream key is canary-key", Code: 190303}
			}
			return nil
		})
		posts = w.say(ada, channel, "/livepush --name d --url rtmp://d.example.com/live --key canary-key-d")
		assert.Contains(t, shownBoard(posts), "d: Tencent Meeting refused (error 190303) · <time> · by Ada", "and not what the provider said")
		posts = w.say(ada, channel, "/livepush off b")
		assert.Contains(t, shownBoard(posts), "b: on, verified · since <time> · by Ada · Tencent Meeting refused (error 190303)")
		requireNoSecretsInPublic(t, posts)
		w.tencent.failing(nil)

		w.enter(meeting.StateRunning, 12)
		w.hear(meeting.Event{State: meeting.StateRunning})
		w.hear(meeting.Event{Live: meeting.LiveOn})
		assert.Contains(t, shownBoard(w.settle()), "Status: Live since <time>")
		time.Sleep(25 * time.Second)
		assert.Contains(t, shownBoard(w.room.take()), "Viewers: 12 at <time>, peak 12")

		posts = w.pressed(ada, edit, "off")
		assert.Contains(t, shownBoard(posts), "b: off, verified · since <time> · by Ada")

		w.enter(meeting.StateEnded)
		w.hear(meeting.Event{State: meeting.StateEnded})
		assert.Equal(t, []string{"Nothing is pushed from here."}, shownBoard(w.settle()))
	})
}

func TestTheBoardSaysWhatNobodyKnows(t *testing.T) {
	for name, tt := range map[string]struct {
		fail func(op string) error
		want string
	}{
		"the answer is lost, and nothing is read": {func() func(op string) error {
			sent := false
			return func(op string) error {
				switch {
				case op == "set_push":
					sent = true
					return refusal(meeting.ErrOutcomeUnknown, "")
				case sent:
					return refusal(meeting.ErrUnavailable, "")
				}
				return nil
			}
		}(), "B站: the meeting service didn't respond: it may or may not be set · <time> · by Ada"},
		"it cannot be read back": {func(op string) error {
			if op == "pushes" {
				return &meeting.APIError{Provider: "tencent", Err: meeting.ErrNotPermitted, Reason: meeting.ReasonAPI, Code: 1}
			}
			return nil
		}, "B站: accepted, not verified · since <time> · by Ada"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				w.say(ada, channel, "/meet x --provider tencent --live")
				w.say(ada, channel, "/livepush board")
				w.tencent.failing(tt.fail)
				posts := w.say(ada, channel, pushLine)
				time.Sleep(10 * time.Minute)
				lines := shownBoard(append(posts, w.room.take()...))
				require.NotNil(t, lines)
				assert.Equal(t, tt.want, lines[len(lines)-1])
			})
		})
	}
}

func TestANewBoardTakesThePlaceOfTheOld(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		old := find(t, w.say(ada, channel, "/livepush 看板"), chat.SlotRoot)
		elsewhere := channel
		elsewhere.Channel = "C2"
		w.say(ben, elsewhere, "/livepush board")
		w.say(ada, channel, "/meet x --provider tencent --live")
		thread := channel
		thread.Thread = "t9"
		posts := w.say(ben, thread, "/livepush board")
		assert.Empty(t, find(t, posts, chat.SlotRoot).Reply.Fields)
		replaced := find(t, posts, chat.SlotEdit)
		assert.Equal(t, "A newer board replaces this one.", replaced.Reply.Text)
		assert.Empty(t, replaced.Reply.Buttons)
		assert.Equal(t, old.Place.Key(), replaced.Place.Key())

		posts = w.say(ada, channel, pushLine)
		var drawn []string
		for _, p := range posts {
			if p.Slot == chat.SlotEdit && p.Reply.Title == "Live push board" {
				drawn = append(drawn, p.Edit.Place.Thread)
			}
		}
		assert.Equal(t, []string{"t9"}, drawn, "the new one alone, and none of another room")

		// Shared there, the meeting is on that room's board too, until its card is deleted.
		posts = w.say(ada, elsewhere, "/meet share 806146601")
		assert.Contains(t, shownBoard(posts), "B站: on, verified · since <time> · by Ada")
		w.room.fail = func(p chat.Post) error {
			if p.Slot == chat.SlotEdit && p.Place.Channel == "C2" && p.Reply.Title == "x" {
				return chat.ErrGone
			}
			return nil
		}
		w.hearState(meeting.StateRunning)
		posts = w.settle()
		var last []string
		for _, p := range posts {
			if p.Place.Channel == "C2" {
				last = shownBoard([]chat.Post{p})
			}
		}
		assert.Equal(t, []string{"Nothing is pushed from here."}, last)
	})
}

func (w *world) hearState(s meeting.State) {
	w.t.Helper()
	w.enter(s)
	w.hear(meeting.Event{State: s})
}

func TestABoardThatPeopleDeletedIsForgotten(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.say(ada, channel, "/livepush board")
		tried := 0
		w.room.fail = func(p chat.Post) error {
			if p.Slot == chat.SlotEdit && p.Reply.Title == "Live push board" {
				tried++
				return chat.ErrGone
			}
			return nil
		}
		w.say(ada, channel, pushLine)
		assert.Equal(t, 1, tried)
		w.say(ada, channel, "/livepush off all")
		assert.Equal(t, 1, tried)
		_, err := readBoard(w.t.Context(), w.store, channel.Key())
		require.ErrorIs(t, err, jobs.ErrNotFound)
		w.room.fail = nil
		assert.NotEmpty(t, shownBoard(w.say(ada, channel, "/livepush board")))
	})
}

func TestTheBoardIsForWhoMayPush(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		assert.Contains(t, find(t, w.say(mal, channel, "/livepush board"), chat.SlotPrivate).Reply.Text, "can set up live push")
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.say(ada, channel, pushLine)
		board := w.say(ben, channel, "/livepush board")
		root := find(t, board, chat.SlotRoot)
		for _, action := range []string{"off", "copyboard"} {
			assert.Contains(t, find(t, w.pressed(mal, root, action), chat.SlotPrivate).Reply.Text, "can set up live push")
		}
		assert.Contains(t, find(t, w.pressed(ben, root, "off"), chat.SlotPrivate).Reply.Text, "Only Ada")
		assert.True(t, w.set()[0].Enabled)
	})
}

// TestABoardOfManyMeetingsIsBounded also where everything on it is as long as it can be and has
// to be escaped.
func TestABoardOfManyMeetingsIsBounded(t *testing.T) {
	for name, topic := range map[string]string{"plain": "Show", "long": strings.Repeat("*", 120)} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				for i := range 100 {
					state := meeting.StateReady
					if i == 0 {
						state = meeting.StateRunning
					}
					reg := registry.Registration{
						Job: fmt.Sprint(i), Place: channel, Created: time.Now().Add(time.Duration(i) * time.Second), StateAt: time.Now(),
						Meeting: meeting.Meeting{Ref: meeting.Ref{Provider: "tencent", ID: fmt.Sprintf("8061466%02d", i)}, Topic: topic, State: state},
					}
					for n := range 1 + i%3*5 {
						reg.Pushes = append(reg.Pushes, registry.Push{
							Name: fmt.Sprintf("**p%d_%d**", i, n), Enabled: true, Read: true, Address: fmt.Sprint(i, n), By: "*Ada*", At: time.Now(),
							Page: fmt.Sprintf("https://%d.example/%d", i, n),
						})
						reg.Say(registry.Word{Name: fmt.Sprint("w", n), Said: *texts.NewMessage("fault.invalid"), At: time.Now()})
					}
					_, err := w.bot.registry.Add(w.t.Context(), reg)
					require.NoError(t, err)
				}
				posts := w.say(ada, channel, "/livepush board")
				reply := find(t, posts, chat.SlotRoot).Reply
				headings, length := 0, len([]rune(reply.Title+reply.Text))
				for _, f := range reply.Fields {
					if f.Heading {
						headings++
					}
					length += len([]rune(f.Name+f.Value)) + 8
				}
				assert.Contains(t, reply.Text, fmt.Sprintf("Meetings that don't fit here: %d.", 100-headings))
				assert.LessOrEqual(t, headings, mostOnBoard)
				assert.Greater(t, headings, 2)
				assert.Less(t, length, 3800, "what Discord takes")
				assert.Equal(t, "Copy", reply.Buttons[len(reply.Buttons)-1].Label)
				assert.LessOrEqual(t, len(reply.Buttons)+len(reply.Links), mostBoardLinks)
				assert.Contains(t, reply.Fields[1].Value, "Running", "what runs comes first")
			})
		})
	}
}

// dying is a store that is gone, with its process, after so many writes; what came of the last
// one may be lost.
type dying struct {
	*jobs.Store
	left *atomic.Int64
	die  func()
	lost bool
}

var errKilled = errors.New("killed")

func (d dying) write(f func() error) error {
	switch n := d.left.Add(-1); {
	case n < 0:
		return errKilled
	case n == 0:
		defer d.die()
		if err := f(); err != nil || !d.lost {
			return err
		}
		return errKilled
	}
	return f()
}

func (d dying) Enqueue(ctx context.Context, j jobs.Job) (out jobs.Job, err error) {
	err = d.write(func() error { out, err = d.Store.Enqueue(ctx, j); return err })
	return out, err
}

func (d dying) PutDoc(ctx context.Context, doc jobs.Doc) (rev uint64, err error) {
	err = d.write(func() error { rev, err = d.Store.PutDoc(ctx, doc); return err })
	return rev, err
}

func (d dying) DeleteDoc(ctx context.Context, rev uint64, key ...string) error {
	return d.write(func() error { return d.Store.DeleteDoc(ctx, rev, key...) })
}

// TestABoardComesRightAfterAKill kills the bot after each write and each message of a board that
// replaces another one and of a push that is shown on it, and looks at what the messages say in
// the end.
func TestABoardComesRightAfterAKill(t *testing.T) {
	for _, lost := range []bool{false, true} {
		survived := false
		for n := int64(1); !survived; n++ {
			require.Less(t, n, int64(60))
			synctest.Test(t, func(t *testing.T) { survived = killedOnTheBoard(t, n, lost) })
		}
	}
}

func killedOnTheBoard(t *testing.T, n int64, lost bool) (survived bool) {
	w := &world{t: t, systec: newFake("systec"), tencent: newFake("tencent"), room: &room{}}
	var mu sync.Mutex
	shows := map[string]chat.Reply{} // message → what it shows
	var order []string
	var left atomic.Int64
	left.Store(1 << 40)
	var cancel context.CancelFunc
	var done chan error
	die := func() { cancel() }
	posting := posterFunc(func(ctx context.Context, p chat.Post) (at chat.Receipt, err error) {
		err = dying{left: &left, die: die, lost: lost}.write(func() error { at, err = w.room.Post(ctx, p); return err })
		if err != nil {
			return at, err
		}
		mu.Lock()
		defer mu.Unlock()
		message := at.Message
		if p.Slot == chat.SlotEdit {
			message, at = p.Edit.Message, *p.Edit
		}
		if p.Slot == chat.SlotRoot || p.Slot == chat.SlotEdit {
			if _, is := shows[message]; !is {
				order = append(order, message)
			}
			shows[message] = p.Reply
		}
		return at, nil
	})
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
		w.store = store
		w.bot = New(Config{
			Platforms: chattest.Kinds(),
			Parser:    grammar.Config{Locale: "en", Kinds: kinds, Providers: []meeting.Provider{"tencent"}, Default: "tencent"},
			Providers: map[meeting.Provider]Provider{"tencent": fakeTencent{w.tencent}},
		}, dying{store, &left, die, lost})
		w.bot.Attach(chattest.Slack, posting)
		var ctx context.Context
		ctx, cancel = context.WithCancel(t.Context())
		done = make(chan error, 1)
		go func() { done <- store.Run(ctx, w.bot) }()
	}
	begin(nil)
	w.say(ada, channel, "/meet Show --live")
	w.say(ada, channel, "/livepush board")
	require.Len(t, order, 2)
	left.Store(n)
	for _, line := range []string{"/livepush board", pushLine} {
		command, text, _ := strings.Cut(line, " ")
		d := w.bot.Parse(w.request(ben, channel, chat.Request{Command: strings.TrimPrefix(command, "/"), Text: text}))
		if line == pushLine {
			d = w.bot.Parse(w.request(ada, channel, chat.Request{Command: strings.TrimPrefix(command, "/"), Text: text}))
		}
		taken := w.bot.Accept(t.Context(), d)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if left.Load() > 0 {
			continue
		}
		left.Store(1 << 40)
		assert.NoError(t, <-done)
		begin(w.store)
		if taken.Reply != nil { // whoever is not heard asks again
			assert.Nil(t, w.bot.Accept(t.Context(), d).Reply)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
	}
	survived = left.Load() > 0 && left.Load() < 1<<39
	left.Store(1 << 40)
	time.Sleep(10 * time.Minute)
	synctest.Wait()
	var boards []string
	for _, m := range order {
		if m == order[0] {
			continue // the meeting's card
		}
		boards = append(boards, shows[m].Title+shows[m].Text)
		if m == order[len(order)-1] {
			lines := shownBoard([]chat.Post{{Slot: chat.SlotEdit, Reply: shows[m]}})
			if assert.Len(t, lines, 3, "%d: %v", n, shows[m]) {
				assert.Equal(t, "B站: on, verified · since <time> · by Ada", lines[2], "%d", n)
			}
		}
	}
	for _, b := range boards[:len(boards)-1] {
		assert.Equal(t, "A newer board replaces this one.", b, "%d: %v", n, boards)
	}
	cancel()
	assert.NoError(t, <-done)
	assert.NoError(t, w.store.Close())
	return survived
}

// posterFunc is a poster of one function.
type posterFunc func(ctx context.Context, p chat.Post) (chat.Receipt, error)

func (f posterFunc) Post(ctx context.Context, p chat.Post) (chat.Receipt, error) { return f(ctx, p) }

// Of a meeting that is not listed any more nothing is asked after an hour. Nothing of it changes
// then, and it leaves the board all the same.
func TestAMeetingThatIsLostFromSightLeavesTheBoard(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet Show --provider tencent --live")
		w.say(ada, channel, "/livepush board")
		w.say(ada, channel, pushLine)
		w.enter(meeting.StateUnlisted)
		time.Sleep(3 * time.Hour)
		assert.Equal(t, []string{"Nothing is pushed from here."}, shownBoard(w.room.take()))
	})
}

func TestTheBoardTellsOfAnotherKeyWithoutAnOption(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.onAir(1)
		w.say(ada, channel, "/livepush board")
		posts := w.say(ada, channel, "/livepush --name p0 --url rtmp://ingest0.example.com/live --key other")
		assert.Contains(t, find(t, posts, chat.SlotPrivate).Reply.Fields[0].Value, "Add --override", "to whoever typed it")
		lines := strings.Join(shownBoard(append(posts, w.settle()...)), "\n")
		assert.Contains(t, lines, "a newer key was not sent: this meeting already uses that address with another key")
		assert.NotContains(t, lines, "--override")
	})
}
