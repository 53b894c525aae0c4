package commands

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/meeting"
)

func TestAnOperatorFindsOutWhomToTell(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		about := func(r chat.Request) About {
			j, err := w.store.Get(w.t.Context(), jobID(r))
			require.NoError(t, err)
			return AboutJob(w.t.Context(), w.store, chattest.Kinds(), j)
		}
		in := channel
		in.Thread = "17.5"
		w.room.fail = func(p chat.Post) error {
			if p.Slot == chat.SlotPrivate {
				return errors.Join(chat.ErrLost, errors.New("takes no messages\x1b[2J"))
			}
			return nil
		}
		evil := chat.User{ID: "U1", Name: "A\u202eda\x1b]0;x\x07", Rights: ada.Rights}
		made := w.request(evil, in, chat.Request{Command: "meet", Text: "Launch --provider tencent"})
		w.do(w.bot.Parse(made), evil, in)
		got := about(made)
		assert.Equal(t, "slack, team T1, channel C1, thread 17.5", got.Where)
		assert.Equal(t, "Ada]0;x (slack:U1)", got.Who, "nothing acts on a terminal")
		assert.Equal(t, "Launch", got.Topic)
		assert.Equal(t, "tencent:806146601", got.Meeting)
		assert.Equal(t, "806-146-601", got.Number)
		var lost []string
		for _, d := range got.Deliveries {
			if d.State == "lost" {
				lost = append(lost, d.Label+": "+d.Error)
			}
		}
		require.NotEmpty(t, lost)
		for _, l := range lost {
			assert.True(t, strings.HasPrefix(l, "private: "), l)
			assert.Contains(t, l, "no way to the person is left")
			assert.NotContains(t, l, "\x1b")
		}

		w.room.fail = nil
		w.tencent.failing(func(op string) error {
			if op == "set_push" {
				return refusal(meeting.ErrNotPermitted, meeting.ReasonNotHost)
			}
			return nil
		})
		push := w.request(ada, in, chat.Request{Command: "livepush", Text: "--name bili --url rtmp://ingest.example.com/live --key canary-key"})
		w.do(w.bot.Parse(push), ada, in)
		got = about(push)
		assert.Equal(t, "bili", got.Names)
		assert.Equal(t, "Launch", got.Topic, "of the meeting that is meant")
		assert.Contains(t, got.Error, "tencent")
		for _, d := range got.Deliveries {
			assert.Empty(t, d.Error)
		}
	})
}

func TestTheLogSaysWhyACommandWasRefused(t *testing.T) {
	var log bytes.Buffer
	inWorld(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) }, func(w *world) {
		w.say(ada, channel, "/livepush to canary")
		w.say(chat.User{ID: "U8", Rights: chat.RightsKnown | chat.RightMeet}, channel, "/meet end 999999999")
	})
	assert.Contains(t, log.String(), `msg="command refused" job=`)
	assert.Contains(t, log.String(), "why=which.none_push")
	assert.NotContains(t, log.String(), "canary", "nothing that a person typed")
}
