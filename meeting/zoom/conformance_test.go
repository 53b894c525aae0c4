package zoom_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/clienttest"
	"meetbot/meeting/sandbox"
	"meetbot/meeting/zoom"
)

// client acts as the application.
type client struct{ *zoom.Client }

func (c client) Get(ctx context.Context, id string) (meeting.Meeting, error) {
	return c.Client.Get(ctx, "", id)
}
func (c client) List(ctx context.Context) ([]meeting.Meeting, error) {
	return c.Client.List(ctx, "", "")
}
func (c client) End(ctx context.Context, id string) error { return c.Client.End(ctx, "", id) }

func config(s *sandbox.Server, hc *http.Client) zoom.Config {
	cfg := s.Config()
	return zoom.Config{
		AccountID: cfg.ZoomAccountID, ClientID: cfg.ZoomClientID, ClientSecret: cfg.ZoomClientSecret,
		UserID: sandbox.DefaultUser, BaseURL: s.ZoomURL(), OAuthURL: s.ZoomOAuthURL(), HTTPClient: hc,
	}
}

func newClient(t *testing.T, cfg zoom.Config) client {
	t.Helper()
	c, err := zoom.New(cfg)
	require.NoError(t, err)
	return client{c}
}

func start(t *testing.T, cfg sandbox.Config) *sandbox.Server {
	t.Helper()
	s, err := sandbox.Start(t.Context(), "127.0.0.1:0", cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestConformance(t *testing.T) {
	p := clienttest.Provider{
		Kind: zoom.Kind,
		Open: func(t *testing.T, s *sandbox.Server, hc *http.Client, rightKey bool) clienttest.Client {
			cfg := config(s, hc)
			if !rightKey {
				cfg.ClientSecret = secret.New("wrong")
			}
			c := newClient(t, cfg)
			if rightKey { // with a token, as it mostly is
				_, err := c.Ping(t.Context())
				require.NoError(t, err)
			}
			return c
		},
		Create: sandbox.ZoomCreate, Get: sandbox.ZoomGet, List: sandbox.ZoomList, End: sandbox.ZoomEnd,
		Quirks:   map[string]sandbox.Quirks{"IgnoreUnknown": {IgnoreUnknown: true}},
		CodeIsID: true, Unlisted: true, EndLooks: true, EndedError: meeting.ErrNotFound,
	}
	t.Run("InstantsAreNotListed", func(t *testing.T) { clienttest.Run(t, p) })
	p.Unlisted, p.Base = false, sandbox.Quirks{ZoomListsInstants: true}
	p.Quirks = map[string]sandbox.Quirks{"ListsInstants": p.Base}
	t.Run("InstantsAreListed", func(t *testing.T) { clienttest.Run(t, p) })
}

func reason(t *testing.T, err error) meeting.Reason {
	t.Helper()
	var e *meeting.APIError
	require.ErrorAs(t, err, &e)
	return e.Reason
}

func TestEveryOptionArrivesAsItsParameter(t *testing.T) {
	s := start(t, sandbox.Config{})
	c := newClient(t, config(s, nil))
	yes, no := true, false
	made, err := c.Create(t.Context(), meeting.Instant{
		Topic: "Launch", Mute: &yes, HostVideo: &yes, ParticipantsVideo: &no, WaitingRoom: &yes, PMI: &yes,
		Recording: meeting.RecordingCloud, Passcode: "Ab1@-_*", Account: "alice", Hosts: []string{"bob"}, UserKey: "meetbot:1",
	})
	require.NoError(t, err)
	truth, ok := s.Meeting(made.Ref.ID)
	require.True(t, ok)
	assert.JSONEq(t, `{"host_video":true,"participant_video":false,"join_before_host":null,"jbh_time":null,"mute_upon_entry":true,
		"use_pmi":true,"waiting_room":true,"auto_recording":"cloud","alternative_hosts":"bob"}`, string(truth.Settings))
	assert.Equal(t, "Ab1@-_*", truth.Passcode)
	assert.Equal(t, []string{"alice", "bob"}, truth.Hosts)
	assert.Equal(t, "meetbot:1", truth.UserKey)
	assert.Equal(t, truth.Code, made.Code, "the personal number is what people type")
	assert.NotEqual(t, made.Ref.ID, made.Code)
	assert.Equal(t, "alice", made.Creator)
	assert.Equal(t, "Ab1@-_*", made.Passcode)

	for field, in := range map[string]meeting.Instant{
		"live": {Topic: "t", Live: &yes}, "capacity": {Topic: "t", Capacity: 3}, "host_name": {Topic: "t", HostName: "n"},
		"host_key": {Topic: "t", HostKey: secret.New("918273")},
	} {
		_, err := c.Create(t.Context(), in)
		var e *meeting.APIError
		require.ErrorAs(t, err, &e, field)
		assert.Equal(t, meeting.ReasonUnsupported, e.Reason, field)
		assert.Equal(t, field, e.Field)
	}
	for field, in := range map[string]meeting.Instant{
		"topic": {Topic: strings.Repeat("字", 201)}, "passcode": {Topic: "t", Passcode: "12345678901"}, "duration": {Topic: "t", Duration: time.Second},
		"join_before_host": {Topic: "t", JoinBeforeHost: &yes, WaitingRoom: &yes}, "account": {Topic: "t", Account: "../users"},
		"hosts": {Topic: "t", Hosts: []string{"a;b"}}, "user_key": {Topic: "t", UserKey: strings.Repeat("x", 251)}, "recording": {Topic: "t", Recording: "tape"},
	} {
		_, err := c.Create(t.Context(), in)
		var e *meeting.APIError
		require.ErrorAs(t, err, &e, field)
		assert.Equal(t, meeting.ReasonField, e.Reason, field)
		assert.Equal(t, field, e.Field)
	}
	_, err = c.Create(t.Context(), meeting.Instant{Topic: "t", Passcode: "blank here"})
	require.ErrorIs(t, err, meeting.ErrInvalid)
	_, err = c.Create(t.Context(), meeting.Instant{Topic: "t", Account: "nobody"})
	require.ErrorIs(t, err, meeting.ErrNotPermitted)
	assert.Equal(t, meeting.ReasonAccount, reason(t, err))
	assert.Len(t, s.Meetings(), 1)
}

// A length, and joining before the host, are documented of scheduled meetings alone.
func TestAScheduledMeetingThatBeginsNow(t *testing.T) {
	for name, in := range map[string]meeting.Instant{
		"length": {Topic: "t", Duration: 45 * time.Minute}, "join before host": {Topic: "t", JoinBeforeHost: new(true)},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, sandbox.Config{})
			c := newClient(t, config(s, nil))
			zoom.Kind.Prepare(&in, meeting.Origin{Mark: "meetbot:job", At: time.Now()})
			made, err := c.Create(t.Context(), in)
			require.NoError(t, err)
			assert.WithinDuration(t, time.Now(), made.Start, 2*time.Second)
			assert.False(t, made.End.IsZero())
			list, err := c.List(t.Context())
			require.NoError(t, err)
			require.Len(t, list, 1, "such a one is listed, and so found after a lost answer")
			assert.True(t, zoom.Kind.Same(in, time.Now(), list[0]))

			require.NoError(t, s.Join(made.Ref.ID, "somebody"))
			require.NoError(t, s.Leave(made.Ref.ID, "somebody"))
			got, err := c.Get(t.Context(), made.Ref.ID)
			require.NoError(t, err)
			assert.Equal(t, meeting.StateReady, got.State, "it can be entered again")
			require.NoError(t, s.Join(made.Ref.ID, "somebody"))
			require.NoError(t, c.End(t.Context(), made.Ref.ID))
			_, err = c.Get(t.Context(), made.Ref.ID)
			require.ErrorIs(t, err, meeting.ErrNotFound, "and not after it was ended")
		})
	}
}

// The application may act on every meeting of the account; who asks may not.
func TestAnAccountActsOnItsOwnMeetingsAlone(t *testing.T) {
	s := start(t, sandbox.Config{})
	c := newClient(t, config(s, nil))
	m, err := c.Create(t.Context(), meeting.Instant{Topic: "t", Account: "alice", Hosts: []string{"bob"}})
	require.NoError(t, err)
	require.NoError(t, s.Join(m.Ref.ID, "alice"))
	id := m.Ref.ID
	target := push("rtmp://live.example/app", "canary")
	for name, call := range map[string]func(account string) error{
		"Get":       func(a string) error { _, err := c.Client.Get(t.Context(), a, id); return err },
		"ByCode":    func(a string) error { _, err := c.ByCode(t.Context(), a, id); return err },
		"SetPush":   func(a string) error { return c.SetPush(t.Context(), a, id, target) },
		"Pushes":    func(a string) error { _, err := c.Pushes(t.Context(), a, id); return err },
		"StopLive":  func(a string) error { return c.StopLive(t.Context(), a, id) },
		"StartLive": func(a string) error { return c.StartLive(t.Context(), a, id, "t") },
		"End":       func(a string) error { return c.Client.End(t.Context(), a, id) },
	} {
		err := call(sandbox.DefaultUser)
		require.ErrorIs(t, err, meeting.ErrNotPermitted, name)
		assert.Equal(t, meeting.ReasonNotHost, reason(t, err), name)
	}
	assert.Empty(t, s.Pushes(id))
	for _, a := range []string{"alice", "BOB", "alice@sandbox.example", ""} { // hosts, by ID or address, and the bot for an admin
		require.NoError(t, c.SetPush(t.Context(), a, id, target), a)
	}
	require.NoError(t, c.Client.End(t.Context(), "bob", id))
}

func push(url, key string) meeting.PushTarget {
	return meeting.PushTarget{Platform: meeting.PushThirdParty, URL: url, Key: secret.New(key), Enabled: true}
}

func TestTheOneAddressIsReplacedAndReadBack(t *testing.T) {
	s := start(t, sandbox.Config{})
	c := newClient(t, config(s, nil))
	m, err := c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.NoError(t, err)
	got, err := c.Pushes(t.Context(), "", m.Ref.ID)
	require.NoError(t, err)
	assert.Empty(t, got)

	first, second := push("rtmp://a.rtmp.youtube.com/live2", "abcd&<1>"), push("rtmps://live.example:443/app/", "ef gh")
	second.Page = "https://example.com/watch?v=1"
	require.NoError(t, c.SetPush(t.Context(), "", m.Ref.ID, first))
	got, err = c.Pushes(t.Context(), "", m.Ref.ID)
	require.NoError(t, err)
	want := first
	want.Page = m.JoinURL // Zoom asks for a page: without one it is where people join
	assert.Equal(t, []meeting.PushTarget{want}, got)
	require.NoError(t, c.SetPush(t.Context(), "", m.Ref.ID, second))
	got, err = c.Pushes(t.Context(), "", m.Ref.ID)
	require.NoError(t, err)
	assert.Equal(t, []meeting.PushTarget{second}, got)

	off := second
	off.Enabled = false
	err = c.SetPush(t.Context(), "", m.Ref.ID, off)
	assert.Equal(t, meeting.ReasonUnsupported, reason(t, err))
	for field, p := range map[string]meeting.PushTarget{
		"url": push("https://live.example/app", "k"), "key": push("rtmp://h/app", strings.Repeat("k", 513)),
		"page": {URL: "rtmp://h/app", Key: secret.New("k"), Enabled: true, Page: "javascript:alert(1)"},
	} {
		var e *meeting.APIError
		require.ErrorAs(t, c.SetPush(t.Context(), "", m.Ref.ID, p), &e)
		assert.Equal(t, field, e.Field)
	}
	s.Fault(sandbox.Fault{Endpoint: sandbox.ZoomSetPush, Kind: sandbox.Drop, After: true})
	require.ErrorIs(t, c.SetPush(t.Context(), "", m.Ref.ID, first), meeting.ErrOutcomeUnknown)
	got, err = c.Pushes(t.Context(), "", m.Ref.ID)
	require.NoError(t, err)
	assert.Equal(t, []meeting.PushTarget{want}, got, "a lost answer is told by reading back")

	s.SetQuirks(sandbox.Quirks{ZoomNoLiveCode: 3000})
	other, err := c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.NoError(t, err)
	_, err = c.Pushes(t.Context(), "", other.Ref.ID)
	require.ErrorIs(t, err, meeting.ErrInvalid)
}

func TestTheLiveIsStartedAndStopped(t *testing.T) {
	s := start(t, sandbox.Config{})
	c := newClient(t, config(s, nil))
	m, err := c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.NoError(t, err)
	id := m.Ref.ID
	require.ErrorIs(t, c.StartLive(t.Context(), "", id, "t"), meeting.ErrInvalid, "nobody is in")
	require.NoError(t, s.Join(id, "somebody"))
	require.ErrorIs(t, c.StartLive(t.Context(), "", id, "t"), meeting.ErrInvalid, "no address is set")
	require.NoError(t, c.SetPush(t.Context(), "", id, push("rtmp://live.example/app", "k")))
	require.NoError(t, c.StartLive(t.Context(), "", id, strings.Repeat("长", 60)))
	truth, _ := s.Meeting(id)
	assert.True(t, truth.Live)

	err = c.StartLive(t.Context(), "", id, "t")
	require.ErrorIs(t, err, meeting.ErrRateLimited)
	var e *meeting.APIError
	require.ErrorAs(t, err, &e)
	assert.Equal(t, meeting.ReasonStarting, e.Reason)
	assert.Equal(t, 30*time.Second, e.RetryAfter, "as Zoom's sentence says; it sends no header")
	for _, endpoint := range []sandbox.Endpoint{sandbox.ZoomGet, sandbox.ZoomLiveStatus} {
		s.Fault(sandbox.Fault{Endpoint: endpoint, Times: 1, Kind: sandbox.Refusal, Status: 429, Code: 429, Message: "You have reached the maximum per-second rate limit for this API. Try again later."})
		err = c.StartLive(t.Context(), sandbox.DefaultUser, id, "t")
		require.ErrorIs(t, err, meeting.ErrRateLimited)
		assert.Equal(t, meeting.ReasonNone, reason(t, err), "nobody asked to start it: %s", endpoint)
	}
	assert.Equal(t, 1, s.LiveStarts(id))

	require.NoError(t, c.StopLive(t.Context(), "", id))
	truth, _ = s.Meeting(id)
	assert.False(t, truth.Live)
	assert.Len(t, truth.Pushes, 1, "the address stays")
	s.Fault(sandbox.Fault{Endpoint: sandbox.ZoomLiveStatus, Kind: sandbox.ProxyHTML})
	require.ErrorIs(t, c.StopLive(t.Context(), "", id), meeting.ErrOutcomeUnknown)
}

func TestAMissingScopeIsNamed(t *testing.T) {
	s := start(t, sandbox.Config{ZoomScopes: []string{"meeting:read:list_meetings:admin", "meeting:read:meeting:admin"}})
	c := newClient(t, config(s, nil))
	_, err := c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.ErrorIs(t, err, meeting.ErrNotPermitted)
	var e *meeting.APIError
	require.ErrorAs(t, err, &e)
	assert.Equal(t, meeting.ReasonScope, e.Reason)
	assert.Equal(t, "meeting:write:meeting:admin", e.Field)
	missing, err := c.MissingScopes(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{
		"meeting:write:meeting:admin", "meeting:update:status:admin", "meeting:delete:meeting:admin", "meeting:read:livestream:admin",
		"meeting:update:livestream:admin", "meeting:update:livestream_status:admin",
	}, missing)

	s = start(t, sandbox.Config{ZoomScopes: []string{"meeting:write:admin", "meeting:read:admin"}}) // the older, classic ones
	c = newClient(t, config(s, nil))
	missing, err = c.MissingScopes(t.Context())
	require.NoError(t, err)
	assert.Empty(t, missing)
	_, err = c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.NoError(t, err)

	s = start(t, sandbox.Config{})
	missing, err = newClient(t, config(s, nil)).MissingScopes(t.Context())
	require.NoError(t, err)
	assert.Empty(t, missing, "the sandbox knows the same")
}

func TestATokenIsKeptAndRenewedOnceForAll(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	s := start(t, sandbox.Config{Now: clock})
	cfg := config(s, nil)
	cfg.Now = clock
	c := newClient(t, cfg)
	everybody := func() {
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() { _, err := c.Ping(t.Context()); assert.NoError(t, err) })
		}
		group.Wait()
	}
	everybody()
	everybody()
	assert.Equal(t, 1, s.Calls(sandbox.ZoomToken))
	mu.Lock()
	now = now.Add(59 * time.Minute) // two minutes before it would have ended it is renewed
	mu.Unlock()
	everybody()
	assert.Equal(t, 2, s.Calls(sandbox.ZoomToken))

	s.RevokeZoomTokens() // as when somebody resets the secret, or Zoom thinks better of it
	_, err := c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.NoError(t, err, "what was refused for its token did nothing, and is sent with a new one")
	assert.Equal(t, 3, s.Calls(sandbox.ZoomToken))
	assert.Len(t, s.Meetings(), 1)

	s.RevokeZoomTokens()
	everybody()
	assert.LessOrEqual(t, s.Calls(sandbox.ZoomToken), 6, "and that not by everybody for themselves")
}

// A token that cannot be had is no reason to think that anything was done.
func TestWithoutATokenNothingIsSent(t *testing.T) {
	s := start(t, sandbox.Config{})
	c := newClient(t, config(s, nil))
	s.Fault(sandbox.Fault{Endpoint: sandbox.ZoomToken, Kind: sandbox.ProxyHTML, Times: 1})
	_, err := c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.ErrorIs(t, err, meeting.ErrUnavailable)
	require.NotErrorIs(t, err, meeting.ErrOutcomeUnknown)
	assert.Zero(t, s.Calls(sandbox.ZoomCreate))
	_, err = c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c = newClient(t, config(s, nil))
	_, err = c.Client.Get(ctx, "", "81234567890")
	require.Error(t, err)
}

func TestLimitsAreToldApart(t *testing.T) {
	s := start(t, sandbox.Config{Quirks: sandbox.Quirks{ZoomCreatesPerDay: 1}})
	c := newClient(t, config(s, nil))
	_, err := c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.NoError(t, err)
	_, err = c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.ErrorIs(t, err, meeting.ErrLimit, "the day's meetings are made: waiting a minute does not help")
	assert.Equal(t, meeting.ReasonQuota, reason(t, err))
	s.Fault(sandbox.Fault{Endpoint: sandbox.ZoomGet, Kind: sandbox.Refusal, Status: 429, Code: 429, Message: "You have reached the maximum per-second rate limit for this API. Try again later."})
	_, err = c.Get(t.Context(), "81234567890")
	require.ErrorIs(t, err, meeting.ErrRateLimited)
	s.Fault(sandbox.Fault{Endpoint: sandbox.ZoomCreate, Kind: sandbox.Refusal, Status: 300, Code: 300, Message: "A maximum of 100 meetings can be created/updated for a single user in one day."})
	s.SetQuirks(sandbox.Quirks{})
	_, err = c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.ErrorIs(t, err, meeting.ErrLimit)
}

func TestManyMeetingsAreListedPageByPage(t *testing.T) {
	s := start(t, sandbox.Config{Quirks: sandbox.Quirks{ZoomCreatesPerDay: -1}})
	c := newClient(t, config(s, nil))
	for range 310 {
		_, err := c.Create(t.Context(), meeting.Instant{Topic: "t", Duration: time.Hour})
		require.NoError(t, err)
	}
	list, err := c.List(t.Context())
	require.NoError(t, err)
	assert.Len(t, list, 310)
}

func TestEventsArriveFromTheSandbox(t *testing.T) {
	token := secret.New("canary-secret-token")
	var mu sync.Mutex
	var events []meeting.Event
	failing := 0
	handler, err := zoom.NewWebhook(zoom.WebhookConfig{Token: token, Handle: func(_ context.Context, e meeting.Event) error {
		mu.Lock()
		defer mu.Unlock()
		if failing > 0 {
			failing--
			return errors.New("busy")
		}
		events = append(events, e)
		return nil
	}})
	require.NoError(t, err)
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	s := start(t, sandbox.Config{Webhook: sandbox.Webhook{Provider: sandbox.Zoom, URL: srv.URL, Token: token, RepeatAfter: []time.Duration{time.Millisecond}}})
	require.NoError(t, s.VerifyWebhook(t.Context()))
	c := newClient(t, config(s, nil))
	m, err := c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.NoError(t, err)
	id := m.Ref.ID
	mu.Lock()
	failing = 1
	mu.Unlock()
	require.NoError(t, s.Join(id, "alice"))
	require.NoError(t, c.SetPush(t.Context(), "", id, push("rtmp://live.example/app", "canary-key")))
	require.NoError(t, c.StartLive(t.Context(), "", id, "t"))
	require.NoError(t, c.StopLive(t.Context(), "", id))
	require.NoError(t, c.End(t.Context(), id))
	require.NoError(t, s.FinishRecording(id))
	require.NoError(t, s.FinishSummary(id))
	want := []meeting.Event{
		{State: meeting.StateRunning}, {State: meeting.StateRunning}, {Live: meeting.LiveOn}, {Live: meeting.LiveOff}, {State: meeting.StateEnded},
		{Made: meeting.MadeRecording}, {Made: meeting.MadeSummary},
	}
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(events) == len(want)
	}, 10*time.Second, 5*time.Millisecond)
	mu.Lock()
	defer mu.Unlock()
	ids := map[string]bool{}
	for i, e := range events {
		assert.WithinDuration(t, time.Now(), e.At, time.Minute)
		assert.Equal(t, m.Ref, e.Ref)
		assert.NotContains(t, e.ID, "canary")
		ids[e.ID] = true
		events[i] = meeting.Event{State: e.State, Live: e.Live, Made: e.Made}
	}
	assert.Len(t, ids, len(want), "no two events are taken for one")
	assert.ElementsMatch(t, want, events)
	seen := slices.IndexFunc(s.Deliveries(), func(d sandbox.Delivery) bool { return d.Attempt == 1 })
	assert.GreaterOrEqual(t, seen, 0, "what was not taken comes again")
}
