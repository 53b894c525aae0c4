package slack

import (
	"bytes"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/chat"
	"meetbot/config/secret"
)

func BenchmarkSignedCommand(b *testing.B) {
	adaptertest.BenchmarkCommands(b, func(b *testing.B, bot adaptertest.Accepting) (http.Handler, func(string) *http.Request) {
		a, err := New(Config{BotToken: secret.New(slacktest.BotToken), SigningSecret: secret.New(slacktest.SigningSecret), APIURL: "http://127.0.0.1:1/"}, bot, nil)
		require.NoError(b, err)
		n := 0
		return a.Handler(), func(base string) *http.Request {
			n++
			body := []byte(url.Values{
				"team_id": {"T1"}, "channel_id": {"C1"}, "user_id": {"U1"}, "command": {"/meet"}, "text": {"weekly review --live"},
				"response_url": {"https://hooks.slack.com/commands/T1/1/x"}, "trigger_id": {strconv.Itoa(n)},
			}.Encode())
			req, err := http.NewRequest(http.MethodPost, base+PathCommands, bytes.NewReader(body))
			require.NoError(b, err)
			slacktest.Sign(req.Header, slacktest.SigningSecret, time.Now(), body)
			return req
		}
	})
}

// BenchmarkRender measures a meeting card.
func BenchmarkRender(b *testing.B) {
	r := chat.Reply{
		Title: "周会 weekly", Fields: []chat.Field{{Name: "State", Value: "running"}, {Name: "By", User: &chat.User{ID: "U1"}}},
		Links:   []chat.Link{{Label: "Join", URL: "https://meet.example/j/1?pwd=a&b=c"}},
		Buttons: []chat.Button{{Label: "End", Action: chat.Action{Name: "endyes", Arg: "systec:1"}}},
	}
	for b.Loop() {
		render(r, look{card: true})
	}
}
