package commands

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/meeting"
)

// directory knows one name, or nobody.
type directory struct {
	*room
	name string
}

func (d directory) Profile(context.Context, chat.Place, string) (chat.Profile, error) {
	if d.name == "" {
		return chat.Profile{}, assert.AnError
	}
	return chat.Profile{Name: d.name, Locale: "zh-CN", Rights: ada.Rights}, nil
}

func (directory) InGroup(context.Context, chat.Place, string, string) (bool, error) {
	return false, nil
}

// A meeting always has its requester's name, also where the event has only the language.
func TestAMeetingHasItsRequestersName(t *testing.T) {
	for name, want := range map[string]string{"Ada": "Ada", "": "Someone"} {
		inWorld(t, nil, func(w *world) {
			w.bot.Attach(chattest.Slack, directory{w.room, name})
			posts := w.say(chat.User{ID: ada.ID, Locale: "en", Rights: ada.Rights}, channel, "/meet")
			assert.Equal(t, want+"'s meeting", find(t, posts, chat.SlotRoot).Reply.Title)
			reg, err := w.bot.registry.Get(t.Context(), meeting.Ref{Provider: "systec", ID: "1591620801"})
			require.NoError(t, err)
			assert.Equal(t, want, reg.Requester.Name)
			assert.Contains(t, describe(w.say(chat.User{ID: "U2", Name: "Ben", Locale: "en", Rights: ben.Rights}, channel, "/meet end")), "Only "+want+", who requested")
		})
	}
}

// Who is named as a host hears of it, and everybody reads who may start the meeting.
func TestNamedHostsAreTold(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		thread := find(t, w.say(ada, channel, "/meet x --host <@U2|ben>,<@U9|dan>"), chat.SlotThread).Reply
		assert.Equal(t, []chat.User{{ID: "U2"}, {ID: "U9"}}, thread.Mentions)
		var may []string
		for _, f := range thread.Fields {
			if f.User != nil {
				may = append(may, f.User.ID)
			}
		}
		assert.Equal(t, []string{"U1", "U2", "U9"}, may)
	})
}
