package commands

import (
	"fmt"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/grammar"
	"meetbot/bot/texts"
)

// opened is the form that a bare /livepush opens.
func (w *world) opened(u chat.User) (chat.Decision, map[string]chat.FormField) {
	w.t.Helper()
	d := w.bot.Ready(w.t.Context(), w.bot.Parse(w.request(u, channel, chat.Request{Command: "livepush"})))
	fields := map[string]chat.FormField{}
	if d.Form != nil {
		for _, f := range d.Form.Fields {
			fields[f.Name] = f
		}
	}
	return d, fields
}

func (w *world) submit(u chat.User, arg string, fields map[string]string) chat.Decision {
	return w.bot.Parse(w.request(u, channel, chat.Request{Form: &chat.Submission{Form: "push", Arg: arg, Fields: fields}}))
}

func TestAFormProposesWhatIsThere(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		_, fields := w.opened(ada)
		assert.NotContains(t, fields, "to", "nothing is saved")
		assert.True(t, fields["url"].Needed())
		assert.True(t, fields["key"].Needed())
		assert.False(t, fields["platform"].Extra)
		assert.Equal(t, chat.TextField, fields["meeting"].Kind)
		const noDefault = "Number, ID or link. None here takes live push; create one with /meet --provider tencent --live"
		assert.Equal(t, noDefault, fields["meeting"].Hint, "it has no default")
		w.say(ada, channel, "/meet Standup --provider systec")
		_, fields = w.opened(ada)
		assert.Equal(t, noDefault, fields["meeting"].Hint, "that one takes no push")

		w.say(ada, channel, "/meet Show --provider tencent --live")
		for _, name := range []string{"bili", "抖音"} {
			w.say(ada, channel, fmt.Sprintf("/livepush save %s --url rtmp://%x.example.com/live --key k12345678", name, name))
		}
		d, fields := w.opened(ada)
		assert.Equal(t, chat.ListField, fields["to"].Kind)
		assert.Equal(t, []chat.Choice{{Label: "bili", Value: "bili"}, {Label: "抖音", Value: "抖音"}}, fields["to"].Choices)
		assert.Equal(t, chat.ChoiceField, fields["meeting"].Kind)
		assert.Contains(t, fields["meeting"].Hint, "Default: ")
		assert.Equal(t, []chat.Choice{{Label: "Show · 806-146-601", Value: "tencent:806146601"}}, fields["meeting"].Choices)
		for _, name := range []string{"url", "key"} {
			assert.True(t, fields[name].Required, name)
			assert.False(t, fields[name].Needed(), "%s: with a saved destination it may stay empty", name)
			assert.False(t, fields[name].Only.Met(map[string]string{"to": "bili"}), name)
		}

		sent := w.submit(ada, d.Form.Arg, map[string]string{"to": "bili,抖音", "url": "", "key": "", "name": "", "platform": "", "meeting": "tencent:806146601"})
		require.NotNil(t, sent.Ask, "%v", sent.Faults)
		assert.Equal(t, "2 of 2 set", find(t, w.do(sent, ada, channel), chat.SlotPrivate).Reply.Title)

		both := w.submit(ada, "", map[string]string{"to": "bili", "url": "rtmp://a.example.com/b"})
		assert.Equal(t, map[string]string{"to": "Choose saved destinations or enter an address with its key, not both."}, both.Faults)
		none := w.submit(ada, "", map[string]string{})
		assert.Contains(t, none.Faults["url"], "address is missing")
		misplaced := w.submit(ada, "", map[string]string{"url": "rtmp://a.example.com/b", "key": "rtmp://a.example.com/b"})
		assert.NotContains(t, misplaced.Faults["key"], "--url", "no option is called so on a form")

		w.say(ada, channel, "/livepush save many --members bili,抖音")
		for i := range 25 {
			w.say(ada, channel, fmt.Sprintf("/livepush save d%d --url rtmp://d%d.example.com/live --key k12345678", i, i))
		}
		_, fields = w.opened(ada)
		assert.Equal(t, chat.TextField, fields["to"].Kind, "more than a form can show are typed")
		_, fields = w.opened(ben)
		assert.NotContains(t, fields, "to", "none of them is his")
	})
}

// A button on a card knows its meeting.
func TestAFormOfAMeetingDoesNotAskForIt(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		posts := w.say(ada, channel, "/meet Show --provider tencent --live")
		for _, b := range find(t, posts, chat.SlotRoot).Reply.Buttons {
			if b.Action.Name == "push" {
				d := w.bot.Ready(w.t.Context(), w.bot.Parse(w.request(ada, channel, chat.Request{Action: &b.Action})))
				require.NotNil(t, d.Form)
				assert.Equal(t, "tencent:806146601", d.Form.Arg)
				for _, f := range d.Form.Fields {
					assert.NotEqual(t, "meeting", f.Name)
				}
				return
			}
		}
		t.Fatal("no button")
	})
}

// Whom only a look-up can refuse types no stream key in vain.
func TestAFormDoesNotOpenForWhoMayNot(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.bot.Attach(chattest.Slack, lobby{w.room, map[string]chat.Profile{
			"U1": {Name: "Ada", Rights: ada.Rights}, "U5": {Name: "Guest", Rights: chat.RightsKnown},
		}})
		d, _ := w.opened(chat.User{ID: "U5"})
		require.NotNil(t, d.Reply)
		assert.Contains(t, d.Reply.Text, "Whoever runs this bot can allow more people")
		d, _ = w.opened(chat.User{ID: "U1"})
		assert.NotNil(t, d.Form)
		d, _ = w.opened(chat.User{ID: "U6"})
		assert.NotNil(t, d.Form, "nobody knows: it is looked up again when the form is sent")
	})
}

func TestTheHintOfAFormFitsWhereverItIsShown(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		for _, locale := range texts.Locales {
			for _, platform := range []chat.Platform{chattest.Slack, chattest.Discord, chattest.Console} {
				how := w.bot.howToCreate(w.bot.parser.Text(platform, locale), grammar.Declared(grammar.VerbPush), chat.Place{Platform: platform, Team: "T1", Channel: "C1"})
				assert.Contains(t, how, "tencent")
				assert.LessOrEqual(t, utf8.RuneCountInString(how), maxHint, how)
			}
		}
	})
}
