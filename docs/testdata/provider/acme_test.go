package acme_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/commands"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/acme"
)

func TestKindIsComplete(t *testing.T) { assert.NoError(t, meeting.Kinds{acme.Kind}.Check()) }

func TestEveryFailureIsOneOfMeetings(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   error
	}{
		{"Made", 200, `{"id":100007,"topic":"周会","join_url":"https://acme.example/m/100007"}`, nil},
		{"Refused", 401, `{}`, meeting.ErrCredentials},
		{"HTMLFromAProxy", 200, `<html>`, meeting.ErrOutcomeUnknown},
		{"ServerError", 503, ``, meeting.ErrOutcomeUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "Bearer canary", r.Header.Get("Authorization"))
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			}))
			defer s.Close()
			c, err := acme.New(s.URL, secret.New("canary"), nil)
			require.NoError(t, err)
			m, err := c.Create(t.Context(), meeting.Instant{Topic: "周会"})
			require.ErrorIs(t, err, tt.want)
			if err == nil {
				assert.Equal(t, meeting.Ref{Provider: "acme", ID: "100007"}, m.Ref)
			} else {
				assert.NotContains(t, err.Error(), "canary")
			}
		})
	}
}

// service is Acme, without a network.
type service struct {
	mu       sync.Mutex
	meetings []map[string]string
	lose     int // answers of creations that get lost
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out any
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.Method == http.MethodPost && len(path) == 1:
		var in map[string]string
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			return nil, err
		}
		id := fmt.Sprint(100000 + len(s.meetings))
		in["id"], in["state"], in["join_url"] = id, "waiting", "https://acme.example/m/"+id
		s.meetings = append(s.meetings, in)
		if s.lose > 0 {
			s.lose--
			return nil, errors.New("connection reset")
		}
		out = with(in, "host_url", "https://acme.example/h/canary-first")
	case len(path) == 1:
		var all []map[string]string
		for _, m := range s.meetings {
			if m["state"] != "over" {
				all = append(all, m)
			}
		}
		out = map[string]any{"meetings": all}
	default:
		m := s.meeting(path[1])
		switch {
		case m == nil:
			return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody}, nil
		case len(path) == 2:
		case path[2] == "end":
			m["state"] = "over"
		case path[2] == "host":
			m = with(m, "host_url", "https://acme.example/h/canary-fresh")
		}
		out = m
	}
	w := httptest.NewRecorder()
	err := json.NewEncoder(w).Encode(out)
	return w.Result(), err
}

func with(m map[string]string, key, value string) map[string]string {
	all := map[string]string{key: value}
	for k, v := range m {
		all[k] = v
	}
	return all
}

func (s *service) meeting(id string) map[string]string {
	for _, m := range s.meetings {
		if m["id"] == id {
			return m
		}
	}
	return nil
}

func (s *service) set(id, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meeting(id)["state"] = state
}

// room is a chat that people look at.
type room struct {
	mu    sync.Mutex
	posts []chat.Post
	n     int
}

func (r *room) Post(_ context.Context, p chat.Post) (chat.Receipt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	r.posts = append(r.posts, p)
	return chat.Receipt{Place: p.Place, Message: fmt.Sprint("m", r.n)}, nil
}

// shown is what was posted since it was looked at last.
func (r *room) shown() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, p := range r.posts {
		fmt.Fprintf(&b, "%s in %s: %+v", p.Slot, p.Place.Channel, p.Reply)
		for _, s := range p.Reply.Secrets {
			b.WriteString(" " + s.Value.Reveal())
		}
		b.WriteString("\n")
	}
	r.posts = nil
	return b.String()
}

func (r *room) button(t *testing.T, verb grammar.Verb) *chat.Action {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.posts {
		for _, b := range p.Reply.Buttons {
			if b.Action.Name == string(verb) {
				return &b.Action
			}
		}
	}
	require.Fail(t, "no such button", verb)
	return nil
}

// TestTheBotMakesAcmesMeetings has a bot use it, inside a bubble whose time is not real.
func TestTheBotMakesAcmesMeetings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service, people := &service{}, &room{}
		client, err := acme.New("https://acme.example/api", secret.New("canary"), &http.Client{Transport: trim{service}})
		require.NoError(t, err)
		store, err := jobs.OpenMemory(jobs.Config{})
		require.NoError(t, err)
		bot := commands.New(commands.Config{
			Platforms: chattest.Kinds(),
			Parser:    grammar.Config{Locale: "en", Kinds: meeting.Kinds{acme.Kind}, Providers: []meeting.Provider{acme.Kind.ID}, Default: acme.Kind.ID},
			Providers: map[meeting.Provider]commands.Provider{acme.Kind.ID: client},
		}, store)
		bot.Attach(chattest.Slack, people)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- store.Run(ctx, bot) }()
		defer func() {
			cancel()
			assert.NoError(t, <-done)
			assert.NoError(t, store.Close())
		}()

		n := 0
		ask := func(channel string, r chat.Request) {
			n++
			r.ID, r.At = fmt.Sprintf("slack:test:%d", n), time.Now()
			r.User = chat.User{ID: "U1", Name: "Ada", Rights: chat.RightsKnown | chat.RightMeet}
			r.Place = chat.Place{Platform: chattest.Slack, Team: "T1", Channel: channel}
			d := bot.Parse(r)
			require.NotNil(t, d.Ask, "%+v", d.Reply)
			require.Zero(t, bot.Accept(t.Context(), d))
			time.Sleep(5 * time.Second)
			synctest.Wait()
		}

		// Made, with its links; how to start it is for the one who asked.
		ask("C1", chat.Request{Command: "meet", Text: "周会"})
		start := people.button(t, grammar.VerbStartLink)
		said := people.shown()
		assert.Contains(t, said, "https://acme.example/m/100000")
		assert.Contains(t, said, "canary-first")
		// Listed, by its topic and number.
		ask("C1", chat.Request{Command: "meet", Text: "list"})
		assert.Contains(t, people.shown(), "100000")
		// Shared elsewhere, as its link was copied.
		ask("C2", chat.Request{Command: "meet", Text: "share https://acme.example/m/100000"})
		assert.Contains(t, people.shown(), "root in C2")
		// Watched by timers: both cards say what Acme says.
		service.set("100000", "on")
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, 2, strings.Count(people.shown(), "Running since"))
		// Started anew, when the first link is worn out.
		time.Sleep(time.Hour)
		ask("C1", chat.Request{Action: start})
		assert.Contains(t, people.shown(), "canary-fresh")
		// Ended.
		ask("C1", chat.Request{Command: "meet", Text: "end 100000"})
		ask("C1", chat.Request{Action: people.button(t, grammar.VerbEndYes)})
		assert.Equal(t, 2, strings.Count(people.shown(), "Ended at"))
		assert.Equal(t, "over", service.meeting("100000")["state"])

		// Found again after a lost answer, and not made twice.
		service.lose = 1
		ask("C1", chat.Request{Command: "meet", Text: "Board"})
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Contains(t, people.shown(), "https://acme.example/m/100001")
		assert.Len(t, service.meetings, 2)
	})
}

// trim takes the API's own path off.
type trim struct{ *service }

func (s trim) RoundTrip(r *http.Request) (*http.Response, error) {
	r.URL.Path = strings.TrimPrefix(r.URL.Path, "/api")
	return s.service.RoundTrip(r)
}
