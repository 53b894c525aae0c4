package slack

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/signed"
	"meetbot/config/secret"
)

// The example of https://docs.slack.dev/authentication/verifying-requests-from-slack.
const (
	exampleSecret    = "8f742231b10e8888abcd99yyyzzz85a5"
	exampleTime      = 1531420618
	exampleSignature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
	exampleBody      = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar" +
		"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands" +
		"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)

func exampleHeader() http.Header {
	h := http.Header{}
	h.Set(headerTimestamp, strconv.Itoa(exampleTime))
	h.Set(headerSignature, exampleSignature)
	return h
}

func TestSignatureOfSlacksExampleHolds(t *testing.T) {
	at := time.Unix(exampleTime, 0)
	key := secret.New(exampleSecret)
	require.NoError(t, verify(key, exampleHeader(), []byte(exampleBody), at))
	require.NoError(t, verify(key, exampleHeader(), []byte(exampleBody), at.Add(5*time.Minute)))
	require.NoError(t, verify(key, exampleHeader(), []byte(exampleBody), at.Add(-5*time.Minute)))

	for name, change := range map[string]func(key *secret.String, h http.Header, body *string, now *time.Time){
		"Old": func(_ *secret.String, _ http.Header, _ *string, now *time.Time) {
			*now = now.Add(5*time.Minute + time.Second)
		},
		"FromTheFuture": func(_ *secret.String, _ http.Header, _ *string, now *time.Time) {
			*now = now.Add(-5*time.Minute - time.Second)
		},
		"OtherKey":  func(key *secret.String, _ http.Header, _ *string, _ *time.Time) { *key = secret.New("x") },
		"EmptyKey":  func(key *secret.String, _ http.Header, _ *string, _ *time.Time) { *key = secret.String{} },
		"OtherBody": func(_ *secret.String, _ http.Header, body *string, _ *time.Time) { *body += "&" },
		"OtherTime": func(_ *secret.String, h http.Header, _ *string, _ *time.Time) {
			h.Set(headerTimestamp, strconv.Itoa(exampleTime+1))
		},
		"TimeIsWords": func(_ *secret.String, h http.Header, _ *string, _ *time.Time) { h.Set(headerTimestamp, "now") },
		"HugeTime": func(_ *secret.String, h http.Header, _ *string, _ *time.Time) {
			h.Set(headerTimestamp, "9223372036854775807")
		},
		"NoSignature": func(_ *secret.String, h http.Header, _ *string, _ *time.Time) { h.Del(headerSignature) },
		"OtherVersion": func(_ *secret.String, h http.Header, _ *string, _ *time.Time) {
			h.Set(headerSignature, "v1"+exampleSignature[2:])
		},
		"Prefix": func(_ *secret.String, h http.Header, _ *string, _ *time.Time) {
			h.Set(headerSignature, exampleSignature[:len(exampleSignature)-2])
		},
		"OnlyVersion": func(_ *secret.String, h http.Header, _ *string, _ *time.Time) { h.Set(headerSignature, "v0=") },
	} {
		t.Run(name, func(t *testing.T) {
			key, h, body, now := secret.New(exampleSecret), exampleHeader(), exampleBody, at
			change(&key, h, &body, &now)
			require.Error(t, verify(key, h, []byte(body), now))
		})
	}
}

// verify sends a request through the gate at a moment.
func verify(key secret.String, h http.Header, body []byte, now time.Time) error {
	gate := signed.New(scheme(key), func() time.Time { return now }, func(signed.Reason) {}, slog.New(slog.DiscardHandler))
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Header = h
	w := httptest.NewRecorder()
	taken := false
	gate.Handler(func(http.ResponseWriter, *http.Request, []byte, time.Time) { taken = true })(w, r)
	if !taken {
		return errors.New("rejected")
	}
	return nil
}

func FuzzSignature(f *testing.F) {
	f.Add("key", []byte("body"), int64(0))
	f.Add(exampleSecret, []byte(exampleBody), int64(-300))
	f.Add("k", []byte{}, int64(301))
	f.Fuzz(func(t *testing.T, k string, body []byte, skew int64) {
		if k == "" || skew < -1e6 || skew > 1e6 {
			t.Skip()
		}
		now := time.Unix(1_700_000_000, 0)
		h := http.Header{}
		slacktest.Sign(h, k, now.Add(time.Duration(skew)*time.Second), body)
		key := secret.New(k)
		require.Equal(t, -300 <= skew && skew <= 300, verify(key, h, body, now) == nil)
		require.Error(t, verify(key, h, append(body[:len(body):len(body)], 0), now))
		require.Error(t, verify(secret.New(k+"x"), h, body, now))
		stamp := h.Get(headerTimestamp)
		h.Set(headerTimestamp, strconv.FormatInt(now.Unix()+skew^1, 10)) // signed too
		require.Error(t, verify(key, h, body, now))
		h.Set(headerTimestamp, " "+stamp)
		require.Error(t, verify(key, h, body, now))
	})
}

func httpAdapter(t testing.TB, bot chat.Bot, log io.Writer) http.Handler {
	a, err := New(Config{BotToken: secret.New(slacktest.BotToken), SigningSecret: secret.New(slacktest.SigningSecret), APIURL: "http://127.0.0.1:1/"},
		bot, slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	return a.Handler()
}

func send(h http.Handler, method, path, body string, sign func(http.Header)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	sign(r.Header)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func signedNow(body string) func(http.Header) {
	return func(h http.Header) { slacktest.Sign(h, slacktest.SigningSecret, time.Now(), []byte(body)) }
}

func TestUnsignedRequestsLearnNothing(t *testing.T) {
	bot, log := &fakeBot{}, &adaptertest.Log{}
	h := httpAdapter(t, bot, log)
	for _, path := range []string{PathCommands, PathInteractions, PathEvents} {
		for name, body := range map[string]string{
			"SSLCheck": "ssl_check=1", "URLVerification": `{"type":"url_verification","challenge":"c"}`, "Empty": "", "Command": "command=%2Fmeet",
		} {
			w := send(h, http.MethodPost, path, body, func(h http.Header) {
				slacktest.Sign(h, "another", time.Now(), []byte(body))
			})
			assert.Equal(t, http.StatusUnauthorized, w.Code, path+name)
			assert.Empty(t, w.Body.String())
			w = send(h, http.MethodPost, path, body, func(http.Header) {})
			assert.Equal(t, http.StatusUnauthorized, w.Code, path+name)
		}
		assert.Equal(t, http.StatusMethodNotAllowed, send(h, http.MethodGet, path, "", func(http.Header) {}).Code)
		big := strings.Repeat("x", signed.MaxBody+1)
		assert.Equal(t, http.StatusRequestEntityTooLarge, send(h, http.MethodPost, path, big, signedNow(big)).Code)
	}
	assert.Empty(t, bot.jobs())
	assert.Contains(t, log.String(), "reason=wrong_signature count=1 age=")
	assert.Contains(t, log.String(), "reason=unsigned count=1")
	assert.NotContains(t, log.String(), "ssl_check", "nothing that an unsigned request says is logged")
	assert.Equal(t, 3, strings.Count(log.String(), "\n"), "one line a minute and reason")
}

func TestSignedChecksOfSlackAreAnswered(t *testing.T) {
	h := httpAdapter(t, &fakeBot{}, io.Discard)
	body := "ssl_check=1&token=x"
	assert.Equal(t, http.StatusOK, send(h, http.MethodPost, PathCommands, body, signedNow(body)).Code)
	body = `{"type":"url_verification","token":"x","challenge":"3eZbrw1a"}`
	w := send(h, http.MethodPost, PathEvents, body, signedNow(body))
	assert.Equal(t, http.StatusOK, w.Code)
	assert.JSONEq(t, `{"challenge":"3eZbrw1a"}`, w.Body.String())
	body = "not=a command"
	assert.Equal(t, http.StatusBadRequest, send(h, http.MethodPost, PathCommands, body, signedNow(body)).Code)
}

func TestUnknownCommandIsLoggedForTheOperator(t *testing.T) {
	log, bot := &adaptertest.Log{}, &fakeBot{}
	h := httpAdapter(t, bot, log)
	body := url.Values{"command": {"/conference"}, "trigger_id": {"1"}, "user_id": {"U1"}, "channel_id": {"C1"}, "text": {"canary-typed"}}.Encode()
	assert.Equal(t, http.StatusOK, send(h, http.MethodPost, PathCommands, body, signedNow(body)).Code)
	assert.Equal(t, "help", bot.jobs()[0].Text, "the person sees what there is")
	assert.Contains(t, log.String(), "/conference")
	assert.NotContains(t, log.String(), "canary-typed")
}

// FuzzEndpoints holds that whatever Slack signs is answered with one of four codes, and
// that nothing unsigned is accepted.
func FuzzEndpoints(f *testing.F) {
	f.Add(PathCommands, "command=%2Fmeet&trigger_id=1&user_id=U1&channel_id=C1&text=a")
	f.Add(PathInteractions, "payload="+url.QueryEscape(`{"type":"block_actions","user":{"id":"U1"},"trigger_id":"1","channel":{"id":"C1"},"actions":[{"type":"button","value":"v1:end:systec:1"}]}`))
	f.Add(PathInteractions, "payload="+url.QueryEscape(`{"type":"view_submission","user":{"id":"U1"},"view":{"id":"V1","callback_id":"push","private_metadata":"{\"user\":\"U1\"}","state":{"values":{"a":{"value":{"type":"plain_text_input","value":"x"}}}}}}`))
	f.Add(PathInteractions, "payload="+url.QueryEscape(`{"type":"message_action","callback_id":"meet_about","user":{"id":"U1"},"trigger_id":"1","message":{"text":"<!here>"}}`))
	f.Add(PathEvents, `{"type":"event_callback","team_id":"T","event":{"type":"app_mention","user":"U1","text":"<@U0BOT> meet","ts":"1.0","channel":"C1"}}`)
	f.Add(PathEvents, `{"type":"event_callback","event":[]}`)
	f.Fuzz(func(t *testing.T, path, body string) {
		if path != PathCommands && path != PathInteractions && path != PathEvents {
			t.Skip()
		}
		bot := &fakeBot{parse: func(r chat.Request) chat.Decision {
			assert.NotEmpty(t, r.ID)
			assert.LessOrEqual(t, len(r.ID), 200)
			assert.NotEmpty(t, r.User.ID)
			n := 0
			for _, set := range []bool{r.Command != "", r.Action != nil, r.Form != nil} {
				if set {
					n++
				}
			}
			assert.Equal(t, 1, n, "exactly one of command, action and form")
			return chat.Decision{Ask: &grammar.Ask{}, Request: r}
		}}
		h := httpAdapter(t, bot, io.Discard)
		assert.Equal(t, http.StatusUnauthorized, send(h, http.MethodPost, path, body, func(http.Header) {}).Code)
		assert.Empty(t, bot.jobs())
		assert.Contains(t, []int{200, 400}, send(h, http.MethodPost, path, body, signedNow(body)).Code)
	})
}

// unread fails the test if a body is looked at.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body of a request that cannot be Slack's is read")
	return 0, io.EOF
}

func TestWhatCannotBeSlacksIsNotRead(t *testing.T) {
	h := httpAdapter(t, &fakeBot{}, io.Discard)
	now := strconv.FormatInt(time.Now().Unix(), 10)
	mac := "v0=" + strings.Repeat("0", 64)
	for name, header := range map[string][2]string{
		"nothing": {"", ""}, "an old time": {"1", mac}, "no time": {"now", mac}, "a short signature": {now, "v0=00"}, "another version": {now, "v1=" + strings.Repeat("0", 64)},
	} {
		r := httptest.NewRequest(http.MethodPost, PathCommands, unread{t})
		r.Header.Set(headerTimestamp, header[0])
		r.Header.Set(headerSignature, header[1])
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		assert.Equal(t, http.StatusUnauthorized, w.Code, name)
		assert.Empty(t, w.Body.String(), name)
	}
}
