package zoom

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/signed"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/clienttest"
)

const meetingID = "81234567890"

var noon = time.Unix(1700000000, 0)

func clientOf(t *testing.T, base string) *Client {
	t.Helper()
	c, err := New(Config{
		AccountID: "account", ClientID: "client", ClientSecret: secret.New("canary-client-secret"), UserID: "bot",
		BaseURL: base, OAuthURL: base, Timeout: 10 * time.Second, Now: func() time.Time { return noon },
	})
	require.NoError(t, err)
	c.tokens.value, c.tokens.until = secret.New("canary-access-token"), noon.Add(time.Hour) // it has one
	return c
}

var target = meeting.PushTarget{
	URL: "rtmp://live-push.bilivideo.com/live-bvc/", Key: secret.New("?streamname=live_1_2&key=canary-stream-key&schedule=rtmp"),
	Page: "https://live.bilibili.com/1", Enabled: true,
}

// tokenless is the client before it has a token.
func tokenless(t *testing.T, c *Client) *Client { return clientOfConfig(t, c.cfg) }

func clientOfConfig(t *testing.T, cfg Config) *Client {
	t.Helper()
	c, err := New(cfg)
	require.NoError(t, err)
	return c
}

func calls() []clienttest.Call[*Client] {
	return []clienttest.Call[*Client]{
		{Name: "Create", Mutates: true, Do: func(t *testing.T, c *Client) error {
			_, err := c.Create(t.Context(), meeting.Instant{Topic: "周会", UserKey: "canary-mark", Passcode: "canary12"})
			return err
		}},
		{Name: "Get", Do: func(t *testing.T, c *Client) error { _, err := c.Get(t.Context(), "alice", meetingID); return err }},
		{Name: "List", Do: func(t *testing.T, c *Client) error { _, err := c.List(t.Context(), "", ""); return err }},
		{Name: "End", Do: func(t *testing.T, c *Client) error { return c.End(t.Context(), "", meetingID) }}, // it looks first
		{Name: "SetPush", Mutates: true, Do: func(t *testing.T, c *Client) error { return c.SetPush(t.Context(), "", meetingID, target) }},
		{Name: "Pushes", Do: func(t *testing.T, c *Client) error { _, err := c.Pushes(t.Context(), "", meetingID); return err }},
		{Name: "StartLive", Mutates: true, Do: func(t *testing.T, c *Client) error { return c.StartLive(t.Context(), "", meetingID, "t") }},
		{Name: "StopLive", Mutates: true, Do: func(t *testing.T, c *Client) error { return c.StopLive(t.Context(), "", meetingID) }},
		{Name: "StartURL", Do: func(t *testing.T, c *Client) error { _, err := c.StartURL(t.Context(), meetingID); return err }},
		{Name: "Ping", Do: func(t *testing.T, c *Client) error { _, err := c.Ping(t.Context()); return err }},
		{Name: "MissingScopes", Do: func(t *testing.T, c *Client) error { _, err := c.MissingScopes(t.Context()); return err }},
		{Name: "PingWithoutToken", Do: func(t *testing.T, c *Client) error { _, err := tokenless(t, c).Ping(t.Context()); return err }},
	}
}

func TestOutcomes(t *testing.T) {
	clienttest.Wire[*Client]{
		Open: clientOf, Calls: calls(),
		End: func(ctx context.Context, c *Client) error { return c.StopLive(ctx, "", meetingID) },
		Odd: []clienttest.Odd{
			{Name: "ATokenWithoutOne", Status: 400, Body: `{"reason":"Bad Request"}`},
			{Name: "ACodeThatRepeatsTheStatus", Status: 404, Body: `{"code":404,"message":"Not Found"}`},
			{Name: "ACodeThatNoNumberHolds", Status: 400, Body: `{"code":99999999999999999999,"message":"x"}`},
			{Name: "ACodeOfAServerInTrouble", Status: 500, Body: `{"code":300,"message":"x"}`},
		},
		Secrets: []string{"canary", "live_1_2"},
		Config:  func(c *Client) any { return c.cfg },
		Refusals: map[string]clienttest.Answered{
			"refusal": {Status: 400, Format: `{"code":300,"message":%q}`},
			"fields":  {Status: 400, Format: `{"code":300,"message":"Validation Failed.","errors":[{"field":"topic","message":%q}]}`},
			"odd":     {Status: 401, Format: `{"code":1,"message":%q,"reason":"r","error":"e"}`},
		},
	}.Run(t)
}

// Deleting a series deletes every time of it that is to come, and all that was asked for is that
// this one ends.
func TestASeriesIsEndedAndNeverDeleted(t *testing.T) {
	get, end, remove := "GET", "PUT", "DELETE"
	for name, tt := range map[string]struct {
		answer string
		want   []string
		err    error
	}{
		"InstantRuns":     {`"type":1,"status":"started"`, []string{get, end}, nil},
		"InstantWaits":    {`"type":1,"status":"waiting"`, []string{get, remove}, nil},
		"ScheduledRuns":   {`"type":2,"status":"started","start_time":"2026-01-05T09:00:00Z","duration":60`, []string{get, end, remove}, nil},
		"ScheduledWaits":  {`"type":2,"status":"waiting","start_time":"2026-01-05T09:00:00Z","duration":60`, []string{get, remove}, nil},
		"SeriesRuns":      {`"type":8,"status":"started","start_time":"2026-01-05T09:00:00Z","duration":60,"occurrences":[{"occurrence_id":"1"}]`, []string{get, end}, nil},
		"SeriesWaits":     {`"type":8,"status":"waiting","start_time":"2026-01-05T09:00:00Z","duration":60`, []string{get}, meeting.ErrInvalid},
		"UntimedRuns":     {`"type":"3","status":"started","created_at":"2026-01-05T09:00:00Z","duration":60`, []string{get, end}, nil},
		"UntimedWaits":    {`"type":3,"status":"waiting","created_at":"2026-01-05T09:00:00Z"`, []string{get}, meeting.ErrInvalid},
		"PersonalRuns":    {`"type":4,"status":"started","created_at":"2026-01-05T09:00:00Z","duration":60`, []string{get, end}, nil},
		"PersonalWaits":   {`"type":4,"status":"waiting","created_at":"2026-01-05T09:00:00Z"`, []string{get}, meeting.ErrInvalid},
		"SeriesUnsaid":    {`"type":8,"start_time":"2026-01-05T09:00:00Z","duration":60`, []string{get, end}, nil},
		"ScheduledUnsaid": {`"type":2,"start_time":"2026-01-05T09:00:00Z","duration":60`, []string{get, end, remove}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var asked []string
			server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, r.Method)
				if r.Method == get {
					_, _ = io.WriteString(rw, `{"id":`+meetingID+`,"topic":"周会",`+tt.answer+`}`)
					return
				}
				rw.WriteHeader(http.StatusNoContent)
			}))
			defer server.Close()
			err := clientOf(t, server.URL).End(t.Context(), "", meetingID)
			require.ErrorIs(t, err, tt.err)
			if e, ok := errors.AsType[*meeting.APIError](err); ok {
				assert.Equal(t, meeting.ReasonState, e.Reason)
			}
			mu.Lock()
			defer mu.Unlock()
			assert.Equal(t, tt.want, asked)
		})
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	good := Config{AccountID: "a", ClientID: "c", ClientSecret: secret.New("s"), UserID: "bot@example.com"}
	_, err := New(good)
	require.NoError(t, err)
	for name, change := range map[string]func(*Config){
		"no account":            func(c *Config) { c.AccountID = "" },
		"line in account":       func(c *Config) { c.AccountID = "a\nb" },
		"no client":             func(c *Config) { c.ClientID = "" },
		"colon in client":       func(c *Config) { c.ClientID = "a:b" },
		"no secret":             func(c *Config) { c.ClientSecret = secret.String{} },
		"no user":               func(c *Config) { c.UserID = "" },
		"nobody in particular":  func(c *Config) { c.UserID = "me" },
		"a path for a user":     func(c *Config) { c.UserID = "../x" },
		"a path for a person":   func(c *Config) { c.Users = []string{"alice", "a/b"} },
		"plain http":            func(c *Config) { c.BaseURL = "http://api.zoom.us/v2" },
		"plain http for tokens": func(c *Config) { c.OAuthURL = "http://zoom.us/oauth/token" },
		"user in URL":           func(c *Config) { c.BaseURL = "https://u:canary@api.zoom.us" },
		"negative timeout":      func(c *Config) { c.Timeout = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			change(&cfg)
			_, err := New(cfg)
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "canary")
		})
	}
}

// Zoom's refusals, as its reference has them, and what callers do differently.
func TestRefusalsAreSorted(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		want   error
		reason meeting.Reason
	}{
		{401, `{"code":124,"message":"Invalid access token."}`, meeting.ErrCredentials, ""},
		{400, `{"code":4711,"message":"Invalid access token, does not contain scopes:[meeting:read:meeting, meeting:read:meeting:admin]."}`, meeting.ErrNotPermitted, meeting.ReasonScope},
		{400, `{"code":4700,"message":"Invalid access token, does not contain scopes:[meeting:read:meeting:admin]."}`, meeting.ErrNotPermitted, meeting.ReasonScope},
		{404, `{"code":1001,"message":"User does not exist: bot."}`, meeting.ErrNotPermitted, meeting.ReasonAccount},
		{404, `{"code":3001,"message":"Meeting does not exist: 81234567890."}`, meeting.ErrNotFound, meeting.ReasonMeeting},
		{400, `{"code":3161,"message":"Meeting hosting and scheduling capabilities are not allowed for your user account."}`, meeting.ErrNotPermitted, meeting.ReasonAccountRight},
		{400, `{"code":200,"message":"Only available for paid users"}`, meeting.ErrNotPermitted, meeting.ReasonAccountRight},
		{400, `{"code":3000,"message":"Cannot access webinar info."}`, meeting.ErrInvalid, ""},
		{400, `{"code":9999,"message":"Something new."}`, meeting.ErrInvalid, meeting.ReasonUnlisted},
		{429, `{"code":429,"message":"You have reached the maximum per-second rate limit for this API. Try again later."}`, meeting.ErrRateLimited, ""},
		{429, `{"code":429,"message":"You have exceeded the daily rate limit of 30000."}`, meeting.ErrLimit, meeting.ReasonDaily},
	} {
		c := clientOf(t, clienttest.Serve(t, clienttest.Answer(tt.status, tt.body)))
		_, err := c.Get(t.Context(), "", meetingID)
		if strings.Contains(tt.body, "124") { // it is asked for another token, and there is none
			require.ErrorIs(t, err, meeting.ErrCredentials)
			continue
		}
		require.ErrorIs(t, err, tt.want, tt.body)
		clienttest.OneKind(t, err, tt.body)
		var e *meeting.APIError
		require.ErrorAs(t, err, &e)
		assert.Equal(t, tt.reason, e.Reason, tt.body)
	}
}

func TestADayThatIsUsedUpSaysWhenItEnds(t *testing.T) {
	c := clientOf(t, clienttest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-RateLimit-Type", "Daily-limit")
		w.Header().Set("Date", "Mon, 30 Nov 2026 22:00:00 GMT")
		w.Header().Set("Retry-After", "2026-12-01T00:00:00Z") // so it stands in Zoom's document
		clienttest.Answer(429, `{"code":429,"message":"limit"}`)(w, r)
	}))
	_, err := c.Get(t.Context(), "", meetingID)
	var e *meeting.APIError
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, meeting.ErrLimit)
	assert.Equal(t, 2*time.Hour, e.RetryAfter)
}

func TestLinksTellTheNumber(t *testing.T) {
	ks := meeting.Kinds{Kind}
	require.NoError(t, ks.Check())
	for link, want := range map[string]string{
		"https://us02web.zoom.us/j/81234567890?pwd=abc": meetingID, "https://zoom.us/s/81234567890?zak=x": meetingID,
		"https://example.zoom.us/wc/join/81234567890": meetingID, "https://app.zoom.us/wc/81234567890/join": meetingID,
		"zoommtg://zoom.us/join?action=join&confno=81234567890": meetingID, "us02web.zoom.us/j/81234567890": meetingID,
		"812 3456 7890": meetingID, "zoom:81234567890": meetingID, "Zoom: 812-3456-7890": meetingID,
	} {
		got, ok := ks.Read(link)
		require.True(t, ok, link)
		assert.Equal(t, meeting.Target{Provider: "zoom", Code: want}, got, link)
	}
	got, ok := ks.Read("https://zoom.us/my/alice")
	require.True(t, ok)
	assert.Equal(t, meeting.Target{Provider: "zoom", Link: "https://zoom.us/my/alice"}, got)
	u, err := url.Parse("https://notzoom.us/j/81234567890")
	require.NoError(t, err)
	got, ok = ks.Read(u.String())
	require.True(t, ok)
	assert.Equal(t, meeting.Target{Link: u.String()}, got)
}

func TestOnlyTheMarkTellsThatAMeetingIsTheLostOne(t *testing.T) {
	want := meeting.Instant{Topic: "Weekly"}
	Kind.Prepare(&want, meeting.Origin{Mark: "meetbot:" + strings.Repeat("长", 300), Account: "alice", Own: true, At: noon})
	reason, field := check(want)
	assert.Empty(t, field, reason)
	assert.Equal(t, "alice", want.Account)
	assert.True(t, want.Start.IsZero(), "an instant meeting has none")
	assert.True(t, Kind.Same(want, noon, meeting.Meeting{Topic: "renamed", UserKey: want.UserKey}))
	for _, other := range []meeting.Meeting{{Topic: "Weekly", Start: noon}, {Topic: "Weekly", UserKey: "another's", Start: noon}} {
		assert.False(t, Kind.Same(want, noon, other))
	}
	assert.False(t, Kind.Same(meeting.Instant{Topic: "Weekly"}, noon, meeting.Meeting{Topic: "Weekly"}), "without a mark nothing is certain")
}

const hookToken = "canary-secret-token"

// asZoom is an event as Zoom would send it.
func asZoom(body string, at time.Time) *http.Request {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(hookToken))
	fmt.Fprintf(mac, "v0:%s:%s", stamp, body)
	r := httptest.NewRequest(http.MethodPost, "/zoom/events", strings.NewReader(body))
	r.Header.Set("x-zm-request-timestamp", stamp)
	r.Header.Set("x-zm-signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	return r
}

func hook(t testing.TB, handle func(meeting.Event) error) http.Handler {
	h, err := NewWebhook(WebhookConfig{
		Token: secret.New(hookToken), Now: func() time.Time { return noon },
		Handle: func(_ context.Context, e meeting.Event) error { return handle(e) },
	})
	require.NoError(t, err)
	return h
}

func TestOnlyWhatZoomSignedCounts(t *testing.T) {
	const body = `{"event":"meeting.started","event_ts":1700000000000,"payload":{"object":{"id":"81234567890"}}}`
	for name, tt := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"as sent":             {func(*http.Request) {}, 200},
		"no signature":        {func(r *http.Request) { r.Header.Del("x-zm-signature") }, 401},
		"another's signature": {func(r *http.Request) { r.Header.Set("x-zm-signature", "v0="+strings.Repeat("0", 64)) }, 401},
		"half a signature":    {func(r *http.Request) { r.Header.Set("x-zm-signature", r.Header.Get("x-zm-signature")[:34]) }, 401},
		"another time":        {func(r *http.Request) { r.Header.Set("x-zm-request-timestamp", "1699999999") }, 401},
		"no time":             {func(r *http.Request) { r.Header.Del("x-zm-request-timestamp") }, 401},
		"a changed body": {func(r *http.Request) {
			r.Body = http.NoBody
		}, 401},
		"an old one":      {func(r *http.Request) { *r = *asZoom(body, noon.Add(-91*time.Minute)) }, 401},
		"the last repeat": {func(r *http.Request) { *r = *asZoom(body, noon.Add(-86*time.Minute)) }, 200},
		"one to come":     {func(r *http.Request) { *r = *asZoom(body, noon.Add(6*time.Minute)) }, 401},
		"a GET":           {func(r *http.Request) { r.Method = http.MethodGet }, 405},
		"no JSON":         {func(r *http.Request) { *r = *asZoom("nothing", noon) }, 400},
		"much too much":   {func(r *http.Request) { *r = *asZoom(strings.Repeat("x", signed.MaxBody+1), noon) }, 413},
	} {
		t.Run(name, func(t *testing.T) {
			heard := 0
			r := asZoom(body, noon)
			tt.change(r)
			w := httptest.NewRecorder()
			hook(t, func(meeting.Event) error { heard++; return nil }).ServeHTTP(w, r)
			assert.Equal(t, tt.want, w.Code)
			assert.Equal(t, tt.want == 200, heard == 1)
			assert.NotContains(t, w.Body.String(), "canary")
		})
	}
}

// unread fails the test if a body is looked at.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body of a request that cannot be Zoom's is read")
	return 0, io.EOF
}

func TestWhatCannotBeZoomsIsNotReadAndLeavesATrace(t *testing.T) {
	var log strings.Builder
	counted := map[signed.Reason]int{}
	h, err := NewWebhook(WebhookConfig{
		Token: secret.New(hookToken), Now: func() time.Time { return noon }, Handle: func(context.Context, meeting.Event) error { return nil },
		Refused: func(r signed.Reason) { counted[r]++ }, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.NoError(t, err)
	for _, header := range []http.Header{{}, asZoom("", noon.Add(-2*time.Hour)).Header, {"X-Zm-Request-Timestamp": {strconv.FormatInt(noon.Unix(), 10)}, "X-Zm-Signature": {"v0=canary"}}} {
		r := httptest.NewRequest(http.MethodPost, "/zoom/events", unread{t})
		r.Header = header
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		assert.Equal(t, 401, w.Code)
		assert.Empty(t, w.Body.String())
	}
	assert.Equal(t, map[signed.Reason]int{signed.Unsigned: 2, signed.Stale: 1}, counted)
	assert.Contains(t, log.String(), "reason=stale count=1 age=2h0m0s")
	assert.NotContains(t, log.String(), "canary")
}

func TestTheAddressIsProved(t *testing.T) {
	w := httptest.NewRecorder()
	hook(t, nil2).ServeHTTP(w, asZoom(`{"event":"endpoint.url_validation","event_ts":1,"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}`, noon))
	require.Equal(t, 200, w.Code)
	mac := hmac.New(sha256.New, []byte(hookToken))
	mac.Write([]byte("qgg8vlvZRS6UYooatFL8Aw"))
	assert.JSONEq(t, fmt.Sprintf(`{"plainToken":"qgg8vlvZRS6UYooatFL8Aw","encryptedToken":%q}`, hex.EncodeToString(mac.Sum(nil))), w.Body.String())
	w = httptest.NewRecorder()
	hook(t, nil2).ServeHTTP(w, asZoom(`{"event":"endpoint.url_validation","payload":{"plainToken":"`+strings.Repeat("x", maxPlain+1)+`"}}`, noon))
	assert.Equal(t, 400, w.Code, "nobody is given a signature over what they like")
	_, err := NewWebhook(WebhookConfig{})
	require.Error(t, err)
}

func nil2(meeting.Event) error { return nil }

// The events in the shapes of Zoom's reference: numbers and strings, and a summary's own names.
func TestEventsInNeutralWords(t *testing.T) {
	ref := meeting.Ref{Provider: "zoom", ID: meetingID}
	at := time.UnixMilli(1700000000123)
	for _, tt := range []struct {
		event, object string
		want          meeting.Event
		ok            bool
	}{
		{"meeting.started", `{"id":"81234567890","uuid":"u==","type":1}`, meeting.Event{State: meeting.StateRunning}, true},
		{"meeting.ended", `{"id":"81234567890","uuid":"u==","type":1}`, meeting.Event{State: meeting.StateEnded}, true},
		{"meeting.ended", `{"id":81234567890,"uuid":"u==","type":2}`, meeting.Event{State: meeting.StateEmpty}, true},
		{"meeting.deleted", `{"id":81234567890}`, meeting.Event{State: meeting.StateCancelled}, true},
		{"meeting.participant_joined", `{"id":"81234567890","participant":{"user_id":"16778240"}}`, meeting.Event{State: meeting.StateRunning}, true},
		{"meeting.participant_left", `{"id":"81234567890","participant":{"user_id":"16778240"}}`, meeting.Event{}, false},
		{"meeting.live_streaming_started", `{"id":81234567890,"live_streaming":{"custom_live_streaming_settings":{"stream_key":"canary"}}}`, meeting.Event{Live: meeting.LiveOn}, true},
		{"meeting.live_streaming_stopped", `{"id":81234567890}`, meeting.Event{Live: meeting.LiveOff}, true},
		{"recording.completed", `{"id":81234567890,"uuid":"u==","start_time":"2026-11-30T15:00:00Z","share_url":"https://us02web.zoom.us/rec/share/x","password":"canary","recording_files":[{"download_url":"https://zoom.us/canary","play_url":"https://zoom.us/canary"}]}`,
			meeting.Event{Made: meeting.MadeRecording, Files: []string{"u=="}, Page: "https://us02web.zoom.us/rec/share/x", Began: time.Date(2026, 11, 30, 15, 0, 0, 0, time.UTC)}, true},
		{"recording.completed", `{"id":81234567890,"uuid":"u==","share_url":"https://zoom.us/rec/share/x?pwd=canary&a=b"}`, meeting.Event{Made: meeting.MadeRecording, Files: []string{"u=="}, Page: "https://zoom.us/rec/share/x?a=b"}, true},
		{"recording.completed", `{"id":81234567890,"share_url":"https://zoom.us.evil.example/canary"}`, meeting.Event{Made: meeting.MadeRecording}, true},
		{"recording.transcript_completed", `{"id":81234567890,"uuid":"u==","share_url":"https://zoom.us/rec/share/x"}`, meeting.Event{Made: meeting.MadeTranscript, Files: []string{"u=="}, Page: "https://zoom.us/rec/share/x"}, true},
		{"meeting.summary_completed", `{"meeting_id":81234567890,"meeting_uuid":"u==","summary_doc_url":"https://docs.zoom.us/doc/d"}`, meeting.Event{Made: meeting.MadeSummary, Files: []string{"u=="}, Page: "https://docs.zoom.us/doc/d"}, true},
		{"meeting.started", `{"id":"7"}`, meeting.Event{}, false},
		{"meeting.started", `[]`, meeting.Event{}, false},
		{"user.created", `{"id":"81234567890"}`, meeting.Event{}, false},
	} {
		var e wireEvent
		require.NoError(t, json.Unmarshal(fmt.Appendf(nil, `{"event":%q,"event_ts":1700000000123,"payload":{"object":%s}}`, tt.event, tt.object), &e))
		got, ok := e.neutral(noon, "https://api.zoom.us/v2")
		require.Equal(t, tt.ok, ok, tt.event)
		if !ok {
			continue
		}
		assert.NotContains(t, fmt.Sprintf("%+v", got), "canary")
		assert.Equal(t, at, got.At)
		assert.Equal(t, ref, got.Ref)
		got.ID, got.At, got.Ref = "", time.Time{}, meeting.Ref{}
		assert.Equal(t, tt.want, got, tt.event)
	}
}

// Of a series one time alone can be deleted: the others stay, and the number with them.
func TestOneDeletedTimeOfASeriesIsNoCancelledMeeting(t *testing.T) {
	for operation, cancelled := range map[string]bool{
		``: true, `"operation":"all",`: true, `"operation":null,`: true, `"operation":"single",`: false, `"operation":"Single",`: false,
	} {
		var e wireEvent
		require.NoError(t, json.Unmarshal([]byte(`{"event":"meeting.deleted","event_ts":1700000000123,"payload":{"operator":"ann@example.com",`+operation+
			`"object":{"id":`+meetingID+`,"uuid":"u==","type":8,"occurrences":[{"occurrence_id":"1572804000000","start_time":"2026-11-30T15:00:00Z"}]}}}`), &e))
		got, ok := e.neutral(noon, "https://api.zoom.us/v2")
		assert.Equal(t, cancelled, ok, operation)
		if ok {
			assert.Equal(t, meeting.StateCancelled, got.State, operation)
		}
	}
}

// FuzzWebhook signs whatever it is given.
func FuzzWebhook(f *testing.F) {
	f.Add(`{"event":"meeting.started","event_ts":1,"payload":{"object":{"id":"81234567890"}}}`)
	f.Add(`{"event":"endpoint.url_validation","payload":{"plainToken":"x"}}`)
	f.Add(`{"event":1,"payload":{"object":{"participant":[]}}}`)
	f.Fuzz(func(t *testing.T, body string) {
		w := httptest.NewRecorder()
		hook(t, func(e meeting.Event) error {
			assert.True(t, isNumber(e.Ref.ID))
			assert.NotEmpty(t, e.ID)
			assert.False(t, e.At.IsZero())
			return nil
		}).ServeHTTP(w, asZoom(body, noon))
		assert.Contains(t, []int{200, 400, 413}, w.Code)
		assert.NotContains(t, w.Body.String(), hookToken)
	})
}

// FuzzAnswers gives every call whatever answer.
func FuzzAnswers(f *testing.F) {
	f.Add(200, `{"id":81234567890,"status":"started","join_url":"https://zoom.us/j/81234567890","settings":[]}`)
	f.Add(400, `{"code":4711,"message":"scopes:[a]"}`)
	f.Add(204, ``)
	f.Add(200, `{"meetings":[{"id":"x"}],"next_page_token":"p"}`)
	f.Add(200, `{"access_token":"t","expires_in":-5,"scope":[]}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		hc := clienttest.Answering(status, body)
		c, err := New(Config{
			AccountID: "a", ClientID: "c", ClientSecret: secret.New("s"), UserID: "bot", BaseURL: "http://127.0.0.1:1", OAuthURL: "http://127.0.0.1:1",
			HTTPClient: hc, Now: func() time.Time { return noon },
		})
		require.NoError(t, err)
		c.tokens.value, c.tokens.until = secret.New("token"), noon.Add(time.Hour)
		for _, call := range calls() {
			if err := call.Do(t, c); err != nil {
				clienttest.OneKind(t, err, call.Name)
			}
		}
		if m, err := c.Get(t.Context(), "", meetingID); err == nil {
			assert.True(t, isNumber(m.Ref.ID))
			if m.JoinURL != "" {
				assert.Regexp(t, `^(?i)https?://`, m.JoinURL)
			}
		}
	})
}
