package acme_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/acme"
	"meetbot/bot/chat"
	"meetbot/bot/commands"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/systec"
)

var _ chat.Poster = (*acme.Adapter)(nil)

// oneMeeting is a provider that makes the same meeting always.
type oneMeeting struct{ commands.Provider }

func (oneMeeting) Create(_ context.Context, want meeting.Instant) (meeting.Meeting, error) {
	return meeting.Meeting{
		Ref: meeting.Ref{Provider: "systec", ID: "7"}, Code: "7", Topic: want.Topic, JoinURL: "https://join.example/7",
		StartURL: secret.New("https://start.example/canary"),
	}, nil
}

func (oneMeeting) Get(context.Context, string, string) (meeting.Meeting, error) {
	return meeting.Meeting{}, &meeting.APIError{Err: meeting.ErrNotFound}
}

func TestACommandIsAcknowledgedAndHeardOf(t *testing.T) {
	posted := make(chan string, 10)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posted <- string(body)
		fmt.Fprint(w, `{"id":"m1"}`)
	}))
	defer api.Close()
	store, err := jobs.OpenMemory(jobs.Config{})
	require.NoError(t, err)
	defer store.Close() //nolint:errcheck // in memory
	bot := commands.New(commands.Config{
		Platforms: chat.Kinds{acme.Kind()},
		Parser:    grammar.Config{Locale: "en", Kinds: meeting.Kinds{systec.Kind}, Providers: []meeting.Provider{"systec"}, Default: "systec"},
		Providers: map[meeting.Provider]commands.Provider{"systec": oneMeeting{}},
	}, store)
	key := secret.New("key")
	a, err := acme.New(acme.Config{Secret: key, APIURL: api.URL, HTTPClient: api.Client()}, bot, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	path, handler := a.Endpoint()
	bot.Attach(acme.Platform, a)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- store.Run(ctx, bot) }()
	defer func() { cancel(); assert.NoError(t, <-done) }()

	send := func(signature string) *httptest.ResponseRecorder {
		body := fmt.Sprintf(`{"id":"e1","time":%d,"channel":"R1","user":{"id":"A1","name":"Ada"},"command":"meet","text":"周会"}`, time.Now().Unix())
		if signature == "" {
			mac := hmac.New(sha256.New, []byte(key.Reveal()))
			mac.Write([]byte(body))
			signature = hex.EncodeToString(mac.Sum(nil))
		}
		r := httptest.NewRequest(http.MethodPost, path+"events", strings.NewReader(body))
		r.Header.Set("X-Acme-Signature", signature)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	assert.Equal(t, http.StatusUnauthorized, send("00").Code)
	assert.JSONEq(t, "{}", send("").Body.String(), "acknowledged without a word")

	var all string
	for range 3 { // the card, its links, the requester's own
		select {
		case p := <-posted:
			all += p
			if strings.Contains(p, `"channel"`) {
				assert.NotContains(t, p, "canary", "the start link is not for everybody")
			}
		case <-time.After(20 * time.Second):
			require.Fail(t, "nothing more was posted", all)
		}
	}
	assert.Contains(t, all, "https://join.example/7")
	assert.Contains(t, all, "canary")
}
