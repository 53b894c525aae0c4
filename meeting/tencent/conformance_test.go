package tencent_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/clienttest"
	"meetbot/meeting/sandbox"
	"meetbot/meeting/tencent"
)

// client acts as the configured account.
type client struct{ *tencent.Client }

func (c client) Get(ctx context.Context, id string) (meeting.Meeting, error) {
	return c.Client.Get(ctx, "", id)
}
func (c client) List(ctx context.Context) ([]meeting.Meeting, error) { return c.Client.List(ctx, "") }
func (c client) End(ctx context.Context, id string) error            { return c.Dismiss(ctx, "", id) }

func config(s *sandbox.Server, hc *http.Client) tencent.Config {
	cfg := s.Config()
	return tencent.Config{
		AppID: cfg.TencentAppID, SDKID: cfg.TencentSDKID, SecretID: cfg.TencentSecretID, SecretKey: cfg.TencentSecretKey,
		UserID: sandbox.DefaultUser, BaseURL: s.TencentURL(), HTTPClient: hc,
	}
}

func newClient(t *testing.T, cfg tencent.Config) client {
	t.Helper()
	c, err := tencent.New(cfg)
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
	clienttest.Run(t, clienttest.Provider{
		Kind: tencent.Kind,
		Open: func(t *testing.T, s *sandbox.Server, hc *http.Client, rightKey bool) clienttest.Client {
			cfg := config(s, hc)
			if !rightKey {
				cfg.SecretKey = secret.New("wrong")
			}
			return newClient(t, cfg)
		},
		Create: sandbox.TencentCreate, Get: sandbox.TencentGet, List: sandbox.TencentList, End: sandbox.TencentDismiss,
		Quirks: map[string]sandbox.Quirks{
			"SuccessIsAnEmptyObject": {TencentEmptyObject: true},
			"ErrorsInside200":        {TencentErrorStatus: 200},
			"ErrorsAre500":           {TencentErrorStatus: 500, NoNewErrorCode: true},
			"PeopleAreStrings":       {PeopleAsStrings: true},
			"EndedStaysVisible":      {EndedStaysVisible: true},
			"QuickKeepsStart":        {QuickKeepsStart: true},
		},
		WatchURLAtOnce: true, EndUnentered: meeting.ErrNotFound, EndedError: meeting.ErrNotFound,
	})
}

func TestAMeetingIsFoundByItsCodeAsLongAsItHasIt(t *testing.T) {
	s := start(t, sandbox.Config{})
	c := newClient(t, config(s, nil))
	made, err := c.Create(t.Context(), meeting.Instant{Topic: "周会"})
	require.NoError(t, err)
	got, err := c.ByCode(t.Context(), "", made.Code)
	require.NoError(t, err)
	assert.Equal(t, made.Ref, got.Ref)
	require.NoError(t, c.Cancel(t.Context(), "", made.Ref.ID))
	_, err = c.ByCode(t.Context(), "", made.Code)
	require.ErrorIs(t, err, meeting.ErrNotFound)
}

func TestManyMeetingsAreListedPageByPage(t *testing.T) {
	s := start(t, sandbox.Config{})
	c := newClient(t, config(s, nil))
	now := time.Unix(time.Now().Unix(), 0)
	want := map[string]bool{}
	for i := range 45 {
		m, err := c.Create(t.Context(), meeting.Instant{Topic: "t", Start: now.Add(time.Duration(i/30) * time.Second)})
		require.NoError(t, err)
		want[m.Ref.ID] = true
	}
	list, err := c.List(t.Context())
	require.NoError(t, err)
	got := map[string]bool{}
	for _, m := range list {
		got[m.Ref.ID] = true
	}
	assert.Equal(t, want, got)
}

// The list begins at midnight in Beijing unless it is asked for earlier meetings.
func TestAMeetingFromBeforeMidnightIsListed(t *testing.T) {
	midnight := time.Date(2026, 8, 1, 0, 0, 0, 0, time.FixedZone("CST", 8*60*60))
	var offset atomic.Int64
	now := func() time.Time { return midnight.Add(time.Duration(offset.Load())) }
	offset.Store(int64(-time.Minute))
	s := start(t, sandbox.Config{Now: now})
	cfg := config(s, nil)
	cfg.Now = now
	c := newClient(t, cfg)
	_, err := c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.NoError(t, err)
	offset.Store(int64(time.Minute))
	list, err := c.List(t.Context())
	require.NoError(t, err)
	assert.Len(t, list, 1)
}

func TestCredentialsAndClock(t *testing.T) {
	s := start(t, sandbox.Config{})
	for name, tt := range map[string]struct {
		change func(*tencent.Config)
		reason meeting.Reason
	}{
		"wrong key":       {func(c *tencent.Config) { c.SecretKey = secret.New("wrong") }, meeting.ReasonSignature},
		"unknown id":      {func(c *tencent.Config) { c.SecretID = "unknown" }, meeting.ReasonUnknownSecretID},
		"stray SDK id":    {func(c *tencent.Config) { c.SDKID = "stray" }, meeting.ReasonUnknownSecretID},
		"clock is behind": {func(c *tencent.Config) { c.Now = func() time.Time { return time.Now().Add(-6 * time.Minute) } }, meeting.ReasonClock},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(s, nil)
			tt.change(&cfg)
			clock, err := newClient(t, cfg).Ping(t.Context())
			require.ErrorIs(t, err, meeting.ErrCredentials)
			var apiErr *meeting.APIError
			require.ErrorAs(t, err, &apiErr)
			assert.Equal(t, tt.reason, apiErr.Reason)
			assert.WithinDuration(t, time.Now(), clock, time.Minute)
		})
	}
}

func TestARepeatedNonceLeavesTheOutcomeOpen(t *testing.T) {
	s := start(t, sandbox.Config{})
	cfg := config(s, nil)
	now := time.Now()
	cfg.Nonce, cfg.Now = func() uint64 { return 7 }, func() time.Time { return now }
	c := newClient(t, cfg)
	made, err := c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.NoError(t, err)
	_, err = c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.ErrorIs(t, err, meeting.ErrOutcomeUnknown)
	_, err = c.Get(t.Context(), made.Ref.ID)
	require.ErrorIs(t, err, meeting.ErrUnavailable)
}

func push(name, url, key string) meeting.PushTarget {
	return meeting.PushTarget{Name: name, Platform: meeting.PushThirdParty, URL: url, Key: secret.New(key), Enabled: true}
}

func TestPushAddresses(t *testing.T) {
	for name, q := range map[string]sandbox.Quirks{"Likeliest": {}, "EmptyObject": {TencentEmptyObject: true}, "ErrorsInside200": {TencentErrorStatus: 200}} {
		t.Run(name, func(t *testing.T) {
			s := start(t, sandbox.Config{Quirks: q})
			c := newClient(t, config(s, nil))
			m, err := c.Create(t.Context(), meeting.Instant{Topic: "直播"})
			require.NoError(t, err)
			id := m.Ref.ID
			reason := func(err error) meeting.Reason {
				var apiErr *meeting.APIError
				require.ErrorAs(t, err, &apiErr)
				return apiErr.Reason
			}

			got, err := c.Pushes(t.Context(), "", id)
			require.NoError(t, err)
			assert.Empty(t, got)

			want := []meeting.PushTarget{
				push("B站", "rtmp://live-push.bilivideo.com/live-bvc/", "?streamname=live_1_2&key=<k>&schedule=rtmp&pflag=1"),
				{Name: "视频号", Platform: meeting.PushWeChat, URL: "rtmp://111.livepush.myqcloud.com/trtc_1/", Key: secret.New("live_2?txSecret=s&txTime=66C35660"), Enabled: true},
				{Name: "一二三四五六七八九十", Platform: meeting.PushThirdParty, URL: "rtmps://a.rtmps.youtube.com:443/live2", Key: secret.New("abcd"), Enabled: false},
			}
			for _, p := range want {
				require.NoError(t, c.SetPush(t.Context(), "", id, p))
			}
			got, err = c.Pushes(t.Context(), "", id)
			require.NoError(t, err)
			assert.ElementsMatch(t, want, got)

			err = c.SetPush(t.Context(), "", id, want[0])
			require.ErrorIs(t, err, meeting.ErrInvalid)
			assert.Equal(t, meeting.ReasonPushAddress, reason(err))
			second := want[1]
			second.URL = "rtmp://222.livepush.myqcloud.com/trtc_2/"
			err = c.SetPush(t.Context(), "", id, second)
			require.Error(t, err, "a second WeChat address")

			for i := range 8 {
				require.NoError(t, c.SetPush(t.Context(), "", id, push(fmt.Sprint("p", i), fmt.Sprintf("rtmp://h%d.example/app", i), "k")))
			}
			err = c.SetPush(t.Context(), "", id, push("eleventh", "rtmp://eleven.example/app", "k"))
			require.ErrorIs(t, err, meeting.ErrLimit)
			assert.Equal(t, meeting.ReasonPushLimit, reason(err))

			err = c.SetPush(t.Context(), "alice", id, push("x", "rtmp://x.example/app", "k"))
			require.ErrorIs(t, err, meeting.ErrNotPermitted)
			err = c.SetPush(t.Context(), "nobody", id, push("x", "rtmp://x.example/app", "k"))
			require.ErrorIs(t, err, meeting.ErrNotPermitted)
			assert.Equal(t, meeting.ReasonAccount, reason(err))
			err = c.SetPush(t.Context(), "", "1234567890", push("x", "rtmp://x.example/app", "k"))
			require.ErrorIs(t, err, meeting.ErrNotFound)
		})
	}
}

// Tencent takes hosts at creation, who may then push during the meeting.
func TestAHostNamedAtCreationMayPush(t *testing.T) {
	s := start(t, sandbox.Config{})
	c := newClient(t, config(s, nil))
	m, err := c.Create(t.Context(), meeting.Instant{Topic: "直播", Hosts: []string{"alice"}})
	require.NoError(t, err)
	assert.Equal(t, []string{"alice"}, m.Hosts)
	require.NoError(t, s.Join(m.Ref.ID, "alice"))
	p := push("B站", "rtmp://h.example/app/", "k")
	require.ErrorIs(t, c.SetPush(t.Context(), "", m.Ref.ID, p), meeting.ErrNotPermitted, "the creator is no host any more")
	require.NoError(t, c.SetPush(t.Context(), "alice", m.Ref.ID, p))
}

func TestViewersAreCounted(t *testing.T) {
	s := start(t, sandbox.Config{})
	c := newClient(t, config(s, nil))
	yes := true
	m, err := c.Create(t.Context(), meeting.Instant{Topic: "直播", Live: &yes})
	require.NoError(t, err)
	without := func() {
		_, err := c.Viewers(t.Context(), "", m.Ref.ID)
		var apiErr *meeting.APIError
		require.ErrorAs(t, err, &apiErr)
		assert.Equal(t, meeting.ReasonNoLive, apiErr.Reason)
	}
	without()
	require.NoError(t, s.Join(m.Ref.ID, sandbox.DefaultUser))
	require.NoError(t, s.StartLive(m.Ref.ID))
	require.NoError(t, s.Watch(m.Ref.ID, 412))
	n, err := c.Viewers(t.Context(), "", m.Ref.ID)
	require.NoError(t, err)
	assert.Equal(t, 412, n)
	_, err = c.Viewers(t.Context(), "bob", m.Ref.ID)
	require.ErrorIs(t, err, meeting.ErrNotPermitted)
	require.NoError(t, s.End(m.Ref.ID))
	n, err = c.Viewers(t.Context(), "", m.Ref.ID)
	require.NoError(t, err)
	assert.Equal(t, 412, n, "all who watched")
}

func TestWhatWasPushedIsReadAfterTheShow(t *testing.T) {
	s := start(t, sandbox.Config{})
	c := newClient(t, config(s, nil))
	m, err := c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.NoError(t, err)
	p := push("B站", "rtmp://h.example/app/", "k")
	require.NoError(t, c.SetPush(t.Context(), "", m.Ref.ID, p))
	require.NoError(t, s.Join(m.Ref.ID, sandbox.DefaultUser))
	require.NoError(t, s.End(m.Ref.ID))
	got, err := c.Pushes(t.Context(), "", m.Ref.ID)
	require.NoError(t, err)
	assert.Equal(t, []meeting.PushTarget{p}, got)
	require.Error(t, c.SetPush(t.Context(), "", m.Ref.ID, p))
	_, err = c.Pushes(t.Context(), "alice", m.Ref.ID)
	require.Error(t, err)
}

func TestALostPushIsReadBack(t *testing.T) {
	s := start(t, sandbox.Config{})
	c := newClient(t, config(s, nil))
	m, err := c.Create(t.Context(), meeting.Instant{Topic: "t"})
	require.NoError(t, err)
	s.Fault(sandbox.Fault{Endpoint: sandbox.TencentSetPush, Kind: sandbox.Reset, After: true})
	p := push("B站", "rtmp://h.example/app/", "k")
	require.ErrorIs(t, c.SetPush(t.Context(), "", m.Ref.ID, p), meeting.ErrOutcomeUnknown)
	got, err := c.Pushes(t.Context(), "", m.Ref.ID)
	require.NoError(t, err)
	assert.Equal(t, []meeting.PushTarget{p}, got)
}

func TestEventsArriveFromTheSandbox(t *testing.T) {
	token := secret.New("bVPU6F8Htxl5XkAbp3jGV2xWp")
	key := secret.New("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")
	for name, tt := range map[string]struct {
		key secret.String
		q   sandbox.Quirks
	}{
		"Encrypted":   {key, sandbox.Quirks{}},
		"Plain":       {secret.String{}, sandbox.Quirks{}},
		"PlainPadded": {secret.String{}, sandbox.Quirks{WebhookPadded: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var events []tencent.Event
			handler, err := tencent.NewWebhook(tencent.WebhookConfig{Token: token, AESKey: tt.key, Handle: func(_ context.Context, e tencent.Event) error {
				mu.Lock()
				defer mu.Unlock()
				events = append(events, e)
				return nil
			}})
			require.NoError(t, err)
			srv := httptest.NewServer(handler)
			t.Cleanup(srv.Close)
			s := start(t, sandbox.Config{Quirks: tt.q, Webhook: sandbox.Webhook{URL: srv.URL, Token: token, AESKey: tt.key}})
			require.NoError(t, s.VerifyWebhook(t.Context()))

			c := newClient(t, config(s, nil))
			yes := true
			m, err := c.Create(t.Context(), meeting.Instant{Topic: "直播", Live: &yes})
			require.NoError(t, err)
			require.NoError(t, s.Join(m.Ref.ID, sandbox.DefaultUser))
			require.NoError(t, s.StartLive(m.Ref.ID))
			require.NoError(t, s.StopLive(m.Ref.ID))
			require.NoError(t, c.End(t.Context(), m.Ref.ID))
			require.NoError(t, s.WaitWebhooks(t.Context()))

			mu.Lock()
			defer mu.Unlock()
			seen := map[tencent.EventKind]tencent.Event{}
			for _, e := range events {
				assert.Equal(t, m.Ref, e.Ref)
				assert.Equal(t, m.Code, e.Code)
				assert.Equal(t, "直播", e.Topic)
				assert.NotEmpty(t, e.TraceID)
				assert.WithinDuration(t, time.Now(), e.At, time.Minute)
				seen[e.Kind] = e
			}
			for _, kind := range []tencent.EventKind{
				tencent.EventCreated, tencent.EventStarted, tencent.EventJoined, tencent.EventLiveStart, tencent.EventLiveEnd, tencent.EventEnded,
			} {
				assert.Contains(t, seen, kind)
			}
			assert.Equal(t, tencent.EndByHost, seen[tencent.EventEnded].EndType)
		})
	}
}
