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
	"meetbot/bot/commands"
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
	r := commands.Reply{
		Title: "周会 weekly", Fields: []commands.Field{{Name: "State", Value: "running"}, {Name: "By", User: &commands.User{ID: "U1"}}},
		Links:   []commands.Link{{Label: "Join", URL: "https://meet.example/j/1?pwd=a&b=c"}},
		Buttons: []commands.Button{{Label: "End", Action: commands.Action{Name: "endyes", Arg: "systec:1"}}},
	}
	for b.Loop() {
		render(r, look{card: true})
	}
}
