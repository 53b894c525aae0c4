package commands

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/grammar"
	"meetbot/bot/registry"
	"meetbot/meeting"
)

func TestOffNamesWhatIsNotSet(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		for i, name := range []string{"一号", "二号"} {
			w.say(ada, channel, fmt.Sprintf("/livepush save %s --url rtmp://ingest%d.example.com/live --key k%d", name, i, i))
		}
		w.say(ada, channel, "/livepush save 双平台 --members 一号,二号")
		w.say(ada, channel, "/livepush to 一号")
		off := find(t, w.say(ada, channel, "/livepush off 一号,快手"), chat.SlotPrivate).Reply
		assert.Equal(t, "1 of 2 off", off.Title)
		assert.Equal(t, chat.Warning, off.Tone)
		require.Len(t, off.Fields, 2)
		assert.Equal(t, chat.Field{Name: "快手", Value: "not set at this meeting"}, off.Fields[1])

		whole := w.say(ada, channel, "/livepush off 双平台")[0].Reply
		assert.Equal(t, "1 of 1 off", whole.Title, "of a set only what is there is meant")
		assert.Equal(t, chat.Good, whole.Tone)
		assert.Equal(t, "二号", whole.Fields[1].Name)

		assert.Contains(t, w.say(ada, channel, "/livepush off 快手、抖音")[0].Reply.Text, "快手, 抖音")
	})
}

// listed counts what the list of the channel holds.
func (w *world) listed() int {
	docs, err := w.store.Docs(w.t.Context(), 0, "here", channel.Key())
	require.NoError(w.t, err)
	return len(docs)
}

func TestAMeetingThatIsOverLeavesTheListsOfItsPlaces(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x")
		other := chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "C2"}
		w.say(ada, other, "/meet share 1591620801")
		require.Equal(t, 1, w.listed())
		w.press(ada, channel, w.say(ada, channel, "/meet end"), grammar.VerbEndYes)
		assert.Zero(t, w.listed())
		docs, err := w.store.Docs(w.t.Context(), 0, "here")
		require.NoError(t, err)
		assert.Empty(t, docs)
		assert.Contains(t, w.say(ada, channel, "/meet end 1591620801")[0].Reply.Text, "over", "by its number it is still known")
	})
}

func TestAMeetingOfWhichNothingIsHeardLeavesTheListAndComesBack(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent")
		ref := meeting.Ref{Provider: "tencent", ID: "806146601"}
		w.tencent.mu.Lock()
		delete(w.tencent.meetings, ref.ID)
		w.tencent.mu.Unlock()
		time.Sleep(30 * time.Minute)
		require.Equal(t, 1, w.listed(), "it may have been a passing fault")
		time.Sleep(2 * time.Hour)
		assert.Zero(t, w.listed())
		require.NoError(t, w.bot.Hear(w.t.Context(), meeting.Event{ID: "e", At: time.Now(), Ref: ref, State: meeting.StateRunning}))
		w.settle()
		assert.Equal(t, 1, w.listed())
		time.Sleep(time.Minute)
		reg, err := w.bot.registry.Get(w.t.Context(), ref)
		require.NoError(t, err)
		assert.Equal(t, meeting.StateUnlisted, reg.Meeting.State, "it is asked for again, and still not there")
	})
}

func TestTheDeadDoNotHideTheLiving(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		for i := range 205 { // as an earlier version, or a crash, leaves them
			m := meeting.Meeting{Ref: meeting.Ref{Provider: "systec", ID: fmt.Sprintf("1%08d", i)}, Topic: "old", State: meeting.StateEnded}
			_, err := w.bot.registry.Add(w.t.Context(), registry.Registration{Meeting: m, Requester: ada, Place: channel, Created: time.Now()})
			require.NoError(t, err)
		}
		m := meeting.Meeting{Ref: meeting.Ref{Provider: "systec", ID: "999999999"}, Topic: "live one", State: meeting.StateRunning}
		_, err := w.bot.registry.Add(w.t.Context(), registry.Registration{Meeting: m, Requester: ada, Place: channel, Created: time.Now()})
		require.NoError(t, err)
		listed := w.say(ada, channel, "/meet list")[0].Reply.Fields
		require.Len(t, listed, 1)
		assert.Equal(t, "live one", listed[0].Name)
		assert.Equal(t, 1, w.listed())
	})
}

func TestTheLogIsOfTheMeetingThatCanBePushed(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x")
		w.say(ada, channel, "/meet show --provider tencent")
		w.say(ada, channel, pushLine)
		assert.Equal(t, "Live push changes in “show”", w.say(ada, channel, "/livepush log")[0].Reply.Title)
		assert.Equal(t, "Live push changes in “x”", w.say(ada, channel, "/livepush log 1591620801")[0].Reply.Title)
	})
}

// However many meetings a place has had, what is shown is the newest of those that go on.
func TestAListShowsTheNewestOfVeryMany(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		created := time.Now()
		for i := range 260 {
			m := meeting.Meeting{Ref: meeting.Ref{Provider: "systec", ID: fmt.Sprint(1000000000 + i*7919%260)}, Topic: fmt.Sprint("meeting ", i), State: meeting.StateReady}
			_, err := w.bot.registry.Add(w.t.Context(), registry.Registration{
				Job: fmt.Sprint(i), Created: created.Add(time.Duration(i) * time.Second), StateAt: created, Asked: created, Place: channel, Meeting: m,
			})
			require.NoError(t, err)
		}
		time.Sleep(5 * time.Minute)
		fields := w.say(ada, channel, "/meet list")[0].Reply.Fields
		require.Len(t, fields, registry.MaxHere)
		assert.Equal(t, "meeting 259", fields[0].Name)
		assert.Equal(t, "meeting 235", fields[24].Name)

		// What is over makes room for what is older, also where the newest cannot be read.
		for _, i := range []int{259, 258, 240} {
			ref := meeting.Ref{Provider: "systec", ID: fmt.Sprint(1000000000 + i*7919%260)}
			_, err := w.bot.registry.Change(w.t.Context(), ref, func(reg *registry.Registration) bool {
				reg.Meeting.State = meeting.StateEnded
				return true
			})
			require.NoError(t, err)
		}
		ref := meeting.Ref{Provider: "systec", ID: fmt.Sprint(1000000000 + 257*7919%260)}
		doc, err := w.store.Doc(w.t.Context(), "meeting", ref.String())
		require.NoError(t, err)
		doc.Value = []byte("from another version")
		_, err = w.store.PutDoc(w.t.Context(), doc)
		require.NoError(t, err)
		fields = w.say(ada, channel, "/meet list")[0].Reply.Fields
		require.Len(t, fields, registry.MaxHere)
		assert.Equal(t, "meeting 256", fields[0].Name)
		assert.Equal(t, "meeting 231", fields[24].Name)
	})
}

// Meetings whose topics begin alike are told apart on the buttons that ask which is meant.
func TestLongTopicsLeaveTheNumberOnAButton(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		topic := strings.Repeat("季度全员大会与产品发布", 11)
		w.say(ada, channel, "/meet "+topic)
		time.Sleep(time.Minute)
		w.say(ada, channel, "/meet "+topic+" --provider tencent")
		time.Sleep(time.Minute)
		buttons := w.say(ada, channel, "/meet end")[0].Reply.Buttons
		require.Len(t, buttons, 2)
		for _, b := range buttons {
			assert.LessOrEqual(t, utf8.RuneCountInString(b.Label), 75, "which every platform shows")
			assert.Regexp(t, ` · \d{3}-\d{3}-\d{3,4}$`, b.Label)
		}
	})
}

// Whatever stands between the names of a list, one that is in it is not proposed again.
func TestAListProposesNoNameThatIsInIt(t *testing.T) {
	for _, typed := range []string{"一号,", "一号, ", "一号、", "一号，", " “一号”、", "二号, 一号、"} {
		var values []string
		for _, c := range completeList([]string{"一号", "Two"}, typed) {
			values = append(values, c.Value)
		}
		before := strings.TrimRight(typed, " ")
		assert.Equal(t, []string{before + "Two"}, values, typed)
	}
	assert.Empty(t, completeList([]string{"Two"}, "two，"), "names are compared as elsewhere")
}
