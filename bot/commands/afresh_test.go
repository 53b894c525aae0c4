package commands

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/grammar"
	"meetbot/config/secret"
	"meetbot/meeting"
)

// registrar is a directory that says what people may, and remembers whether it was to ask anew.
type registrar struct {
	*room
	rights map[string]chat.Rights // by person; RightsKnown: nothing
	afresh map[string]bool        // of the last question about a person
}

func (d *registrar) Profile(ctx context.Context, _ chat.Place, id string) (chat.Profile, error) {
	d.afresh[id] = chat.IsAfresh(ctx)
	return chat.Profile{Name: id, Locale: "en", Rights: chat.RightsKnown | d.rights[id]}, nil
}

func (d *registrar) InGroup(ctx context.Context, _ chat.Place, id, _ string) (bool, error) {
	d.afresh[id] = chat.IsAfresh(ctx)
	return false, nil
}

func registered(w *world) *registrar {
	d := &registrar{w.room, map[string]chat.Rights{ada.ID: ada.Rights, ben.ID: ben.Rights}, map[string]bool{}}
	w.bot.Attach(chattest.Slack, d)
	return d
}

// Where keys are sent, approved or kept, and where a meeting is ended, nobody believes what
// the platform said a moment ago.
func TestKeysApprovalsAndEndsBelieveNothingOlder(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		d := registered(w)
		asAda, asBen := chat.User{ID: ada.ID, Locale: "en"}, chat.User{ID: ben.ID, Locale: "en"} // an event that says no rights
		w.say(asAda, channel, "/meet 发布会 --provider tencent --live")
		assert.False(t, d.afresh[ada.ID], "/meet may believe it")
		w.say(asAda, channel, saveProtected)
		assert.True(t, d.afresh[ada.ID], "save")
		delete(d.afresh, ada.ID)
		asked := w.say(asAda, channel, "/livepush to 主站")
		assert.True(t, d.afresh[ada.ID], "push")
		w.press(asBen, channel, asked, grammar.VerbApprove)
		assert.True(t, d.afresh[ben.ID], "approve")
		assert.Len(t, w.tencent.pushes["806146601"], 1)
		delete(d.afresh, ada.ID)
		w.say(asAda, channel, "/meet list")
		assert.False(t, d.afresh[ada.ID], "a list may believe it")
		w.say(asAda, channel, "/meet end 806146601")
		assert.True(t, d.afresh[ada.ID], "end")

		delete(d.afresh, ada.ID)
		token, err := w.bot.keyPage.links.create(w.t.Context(), keyLink{
			Request: chat.Request{ID: "slack:1", At: time.Now(), User: ada, Place: channel}, Locale: "en",
			Ask: grammar.Ask{Verb: grammar.VerbPushSave, Push: meeting.PushTarget{Name: "x", URL: "rtmp://ingest.example.com/live"}},
		})
		require.NoError(t, err)
		d.rights[ada.ID] = 0
		_, err = w.bot.SubmitKey(w.t.Context(), token.Reveal(), KeyEntry{URL: "rtmp://ingest.example.com/live", Key: secret.New("canary-key")})
		require.ErrorIs(t, err, ErrLinkRefused)
		assert.True(t, d.afresh[ada.ID], "a key that is entered on the page")
	})
}

// Whoever asked may have lost the right while a second person was waited for.
func TestAnApprovedPushIsOfSomebodyWhoStillMay(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		d := registered(w)
		w.say(ada, channel, "/meet 发布会 --provider tencent --live")
		w.say(ada, channel, saveProtected)
		asked := w.say(ada, channel, "/livepush to 主站") // the event says that she may
		d.rights[ada.ID] = 0
		time.Sleep(5 * time.Minute)
		done := w.press(ben, channel, asked, grammar.VerbApprove)
		assert.Empty(t, w.tencent.pushes["806146601"])
		var told []string
		for _, p := range done {
			if p.User.ID == ada.ID {
				told = append(told, p.Reply.Text)
			}
		}
		assert.Contains(t, strings.Join(told, "\n"), "Whoever runs this bot can allow more people", "%v", describe(done))
		require.NotContains(t, describe(done), "canary-key")
	})
}
