package tencent

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/clienttest"
)

const (
	secretKey = "canary-secret-key"
	meetingID = "13339451618278424869"
)

var noon = time.Unix(1700000000, 0)

func newTestClient(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	return clientOf(t, clienttest.Serve(t, handler))
}

func clientOf(t *testing.T, base string) *Client {
	t.Helper()
	c, err := New(Config{
		AppID: "200000001", SDKID: "sdk1", SecretID: "AKID", SecretKey: secret.New(secretKey),
		UserID: "bot", BaseURL: base, Timeout: 10 * time.Second, Now: func() time.Time { return noon },
	})
	require.NoError(t, err)
	return c
}

func refusal(code int) string {
	return fmt.Sprintf(`{"error_info":{"error_code":%d,"new_error_code":%d,"message":"no"}}`, code, 200000000+code)
}

var target = meeting.PushTarget{
	Name: "B站", Platform: meeting.PushThirdParty, URL: "rtmp://live-push.bilivideo.com/live-bvc/",
	Key: secret.New("?streamname=live_1_2&key=canary-stream-key&schedule=rtmp&pflag=1"), Enabled: true,
}

func calls() []clienttest.Call[*Client] {
	return []clienttest.Call[*Client]{
		{Name: "Create", Mutates: true, Do: func(t *testing.T, c *Client) error {
			_, err := c.Create(t.Context(), meeting.Instant{Topic: "周会", HostKey: secret.New("918273")})
			return err
		}},
		{Name: "Get", Do: func(t *testing.T, c *Client) error { _, err := c.Get(t.Context(), "", meetingID); return err }},
		{Name: "ByCode", Do: func(t *testing.T, c *Client) error { _, err := c.ByCode(t.Context(), "", "806146667"); return err }},
		{Name: "List", Do: func(t *testing.T, c *Client) error { _, err := c.List(t.Context(), ""); return err }},
		{Name: "Dismiss", Mutates: true, Do: func(t *testing.T, c *Client) error { return c.Dismiss(t.Context(), "", meetingID) }},
		{Name: "Cancel", Mutates: true, Do: func(t *testing.T, c *Client) error { return c.Cancel(t.Context(), "", meetingID) }},
		{Name: "SetPush", Mutates: true, Do: func(t *testing.T, c *Client) error { return c.SetPush(t.Context(), "", meetingID, target) }},
		{Name: "Pushes", Do: func(t *testing.T, c *Client) error { _, err := c.Pushes(t.Context(), "", meetingID); return err }},
		{Name: "Viewers", Do: func(t *testing.T, c *Client) error { _, err := c.Viewers(t.Context(), "", meetingID); return err }},
		{Name: "Ping", Do: func(t *testing.T, c *Client) error { _, err := c.Ping(t.Context()); return err }},
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	good := Config{AppID: "a", SecretID: "i", SecretKey: secret.New("k"), UserID: "u"}
	_, err := New(good)
	require.NoError(t, err)
	for id := range instanceIDs {
		cfg := good
		cfg.InstanceID, cfg.Users = id, []string{"alice", "11"}
		_, err := New(cfg)
		require.NoError(t, err)
	}
	for name, change := range map[string]func(*Config){
		"no app id":         func(c *Config) { c.AppID = "" },
		"line in app id":    func(c *Config) { c.AppID = "a\r\nX: y" },
		"line in SDK id":    func(c *Config) { c.SDKID = "a\nb" },
		"no secret id":      func(c *Config) { c.SecretID = "" },
		"no secret key":     func(c *Config) { c.SecretKey = secret.String{} },
		"no user":           func(c *Config) { c.UserID = " " },
		"negative terminal": func(c *Config) { c.InstanceID = -1 },
		"unknown terminal":  func(c *Config) { c.InstanceID = 99999 },
		"a gap's terminal":  func(c *Config) { c.InstanceID = 11 },
		"user 1":            func(c *Config) { c.UserID = "1" },
		"a mapped user 1":   func(c *Config) { c.Users = []string{"alice", "1"} },
		"user with a blank": func(c *Config) { c.UserID = "alice " },
		"plain http":        func(c *Config) { c.BaseURL = "http://api.meeting.qq.com" },
		"user in URL":       func(c *Config) { c.BaseURL = "https://u:canary@api.meeting.qq.com" },
		"query in URL":      func(c *Config) { c.BaseURL = "https://api.meeting.qq.com?x=canary" },
		"no URL":            func(c *Config) { c.BaseURL = "api.meeting.qq.com" },
		"unparsable URL":    func(c *Config) { c.BaseURL = "https://canary:%zz" },
		"negative timeout":  func(c *Config) { c.Timeout = -1 },
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

func TestRequestsOnTheWire(t *testing.T) {
	yes, no := true, false
	start := time.Unix(1700000060, 0)
	tests := []struct {
		name, method, path, query, body string
		do                              func(*Client) error
	}{
		{
			name: "CreateSendsTheLeast", method: "POST", path: "/v1/meetings",
			body: `{"userid":"bot","instanceid":1,"subject":"周会","type":1,"start_time":"1700000000","end_time":"1700003600"}`,
			do: func(c *Client) error {
				_, err := c.Create(t.Context(), meeting.Instant{Topic: "周会"})
				return err
			},
		},
		{
			name: "CreateSendsEveryField", method: "POST", path: "/v1/meetings",
			body: `{"userid":"alice","instanceid":1,"subject":"A & B","type":1,"start_time":"1700000060","end_time":"1700005460",
				"settings":{"mute_enable_join":true,"mute_enable_type_join":1,"allow_in_before_host":false,"auto_in_waiting_room":true,"auto_record_type":"cloud"},
				"enable_live":true,"enable_host_key":true,"host_key":"918273","hosts":[{"userid":"alice"},{"userid":"carol"}]}`,
			do: func(c *Client) error {
				_, err := c.Create(t.Context(), meeting.Instant{
					Topic: "A & B", Account: "alice", Start: start, Duration: 90 * time.Minute, Mute: &yes, JoinBeforeHost: &no,
					WaitingRoom: &yes, Live: &yes, Recording: meeting.RecordingCloud, HostKey: secret.New("918273"),
					Hosts: []string{"alice", "carol"},
				})
				return err
			},
		},
		{
			name: "Viewers", method: "GET", path: "/v1/meetings/" + meetingID + "/live_play/live-view-info", query: "userid=alice&instanceid=1",
			do: func(c *Client) error { _, err := c.Viewers(t.Context(), "alice", meetingID); return err },
		},
		{
			name: "Get", method: "GET", path: "/v1/meetings/" + meetingID, query: "operator_id=alice&operator_id_type=1&instanceid=1",
			do: func(c *Client) error { _, err := c.Get(t.Context(), "alice", meetingID); return err },
		},
		{
			name: "ByCode", method: "GET", path: "/v1/meetings", query: "meeting_code=806146667&userid=bot&instanceid=1",
			do: func(c *Client) error { _, err := c.ByCode(t.Context(), "", "806146667"); return err },
		},
		{
			name: "ListFromADayAgo", method: "GET", path: "/v1/meetings", query: "userid=bot&instanceid=1&pos=1699913600",
			do: func(c *Client) error { _, err := c.List(t.Context(), ""); return err },
		},
		{
			name: "Dismiss", method: "POST", path: "/v1/meetings/" + meetingID + "/dismiss",
			body: `{"operator_id":"alice","operator_id_type":1,"instanceid":1,"reason_code":1}`,
			do:   func(c *Client) error { return c.Dismiss(t.Context(), "alice", meetingID) },
		},
		{
			name: "Cancel", method: "POST", path: "/v1/meetings/" + meetingID + "/cancel",
			body: `{"userid":"bot","instanceid":1,"reason_code":1}`,
			do:   func(c *Client) error { return c.Cancel(t.Context(), "", meetingID) },
		},
		{
			name: "SetPushSendsOneEntryWithABase64Name", method: "POST", path: "/v1/meetings/" + meetingID + "/live_play/live-stream-address",
			body: `{"userid":"bot","instanceid":1,"push_stream_info":[{"platform_type":2,"platform_name":"QuermQ==","enable_push_addres":true,
				"push_address":"rtmp://live-push.bilivideo.com/live-bvc/","push_password":"?streamname=live_1_2&key=canary-stream-key&schedule=rtmp&pflag=1"}]}`,
			do: func(c *Client) error { return c.SetPush(t.Context(), "", meetingID, target) },
		},
		{
			name: "Pushes", method: "GET", path: "/v1/meetings/" + meetingID + "/live-play/push-stream-info", query: "operator_id=bot&operator_id_type=1&instanceid=1",
			do: func(c *Client) error { _, err := c.Pushes(t.Context(), "", meetingID); return err },
		},
		{
			name: "Ping", method: "GET", path: "/v1/meetings", query: "userid=bot&instanceid=1",
			do: func(c *Client) error { _, err := c.Ping(t.Context()); return err },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := 0
			c := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
				asked++
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				assert.Equal(t, tt.method, r.Method)
				assert.Equal(t, "/prefix"+tt.path, r.URL.EscapedPath())
				want, err := url.ParseQuery(tt.query)
				assert.NoError(t, err)
				assert.Equal(t, want, r.URL.Query())
				if tt.body == "" {
					assert.Empty(t, body)
				} else {
					assert.JSONEq(t, tt.body, string(body))
					assert.NotContains(t, string(body), `\u0026`)
				}
				for name, value := range map[string]string{
					"Content-Type": "application/json", "AppId": "200000001", "SdkId": "sdk1", "X-TC-Key": "AKID",
					"X-TC-Registered": "1", "X-TC-Timestamp": "1700000000",
					"X-TC-Signature": signature("AKID", secretKey, r.Method, r.RequestURI, r.Header.Get("X-TC-Nonce"), "1700000000", body),
				} {
					assert.Equal(t, value, r.Header.Get(name), name)
				}
				_, _ = io.WriteString(w, `{"meeting_number":0}`)
			})
			_ = tt.do(c) // what it makes of the answer is not the point here
			assert.Equal(t, 1, asked)
		})
	}
}

func TestSDKIDIsLeftOutWhenThereIsNone(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, present := r.Header[http.CanonicalHeaderKey("SdkId")]
		assert.False(t, present)
	}))
	defer srv.Close()
	c, err := New(Config{AppID: "a", SecretID: "i", SecretKey: secret.New("k"), UserID: "u", BaseURL: srv.URL})
	require.NoError(t, err)
	require.NoError(t, c.Dismiss(t.Context(), "", meetingID))
}

func TestEveryTryHasItsOwnNonce(t *testing.T) {
	seen := map[string]bool{}
	c := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		n := r.Header.Get("X-TC-Nonce")
		v, err := strconv.ParseUint(n, 10, 64)
		assert.NoError(t, err)
		assert.Positive(t, v)
		assert.False(t, seen[n])
		seen[n] = true
	})
	for range 5 {
		require.NoError(t, c.Dismiss(t.Context(), "", meetingID))
	}
}

func TestInputIsRefusedBeforeAnythingIsSent(t *testing.T) {
	yes := true
	c := newTestClient(t, func(http.ResponseWriter, *http.Request) { t.Error("sent") })
	long := make([]byte, 513)
	for i := range long {
		long[i] = 'a'
	}
	create := func(in meeting.Instant) func() error {
		return func() error { _, err := c.Create(t.Context(), in); return err }
	}
	push := func(change func(*meeting.PushTarget)) func() error {
		p := target
		change(&p)
		return func() error { return c.SetPush(t.Context(), "", meetingID, p) }
	}
	for _, tt := range []struct {
		name   string
		do     func() error
		reason meeting.Reason
		field  string
	}{
		{"NoTopic", create(meeting.Instant{}), meeting.ReasonField, "topic"},
		{"BlankTopic", create(meeting.Instant{Topic: " 　"}), meeting.ReasonField, "topic"},
		{"TopicOf513Bytes", create(meeting.Instant{Topic: string(long)}), meeting.ReasonField, "topic"},
		{"TopicNotUTF8", create(meeting.Instant{Topic: "\xff"}), meeting.ReasonField, "topic"},
		{"HalfMinute", create(meeting.Instant{Topic: "t", Duration: 90 * time.Second}), meeting.ReasonField, "duration"},
		{"NegativeDuration", create(meeting.Instant{Topic: "t", Duration: -time.Minute}), meeting.ReasonField, "duration"},
		{"FractionOfASecond", create(meeting.Instant{Topic: "t", Start: noon.Add(1)}), meeting.ReasonField, "start"},
		{"Recording", create(meeting.Instant{Topic: "t", Recording: "local"}), meeting.ReasonField, "recording"},
		{"HostKeyOfFive", create(meeting.Instant{Topic: "t", HostKey: secret.New("12345")}), meeting.ReasonField, "host_key"},
		{"HostKeyNotDigits", create(meeting.Instant{Topic: "t", HostKey: secret.New("12345a")}), meeting.ReasonField, "host_key"},
		{"Capacity", create(meeting.Instant{Topic: "t", Capacity: 25}), meeting.ReasonUnsupported, "capacity"},
		{"HostVideo", create(meeting.Instant{Topic: "t", HostVideo: &yes}), meeting.ReasonUnsupported, "host_video"},
		{"ParticipantsVideo", create(meeting.Instant{Topic: "t", ParticipantsVideo: &yes}), meeting.ReasonUnsupported, "participants_video"},
		{"PMI", create(meeting.Instant{Topic: "t", PMI: &yes}), meeting.ReasonUnsupported, "pmi"},
		{"HostName", create(meeting.Instant{Topic: "t", HostName: "x"}), meeting.ReasonUnsupported, "host_name"},
		{"UserKey", create(meeting.Instant{Topic: "t", UserKey: "x"}), meeting.ReasonUnsupported, "user_key"},

		{"PushNameEmpty", push(func(p *meeting.PushTarget) { p.Name = "" }), meeting.ReasonField, "name"},
		{"PushNameBlank", push(func(p *meeting.PushTarget) { p.Name = "  " }), meeting.ReasonField, "name"},
		{"PushNameOfEleven", push(func(p *meeting.PushTarget) { p.Name = "一二三四五六七八九十一" }), meeting.ReasonField, "name"},
		{"PushNameWithALine", push(func(p *meeting.PushTarget) { p.Name = "a\nb" }), meeting.ReasonField, "name"},
		{"PushNameWithALineSeparator", push(func(p *meeting.PushTarget) { p.Name = "a\u2028b" }), meeting.ReasonField, "name"},
		{"PushPlatform", push(func(p *meeting.PushTarget) { p.Platform = 3 }), meeting.ReasonField, "platform"},
		{"PushURL", push(func(p *meeting.PushTarget) { p.URL = "" }), meeting.ReasonField, "url"},
		{"PushURLOfAnotherScheme", push(func(p *meeting.PushTarget) { p.URL = "http://h/app" }), meeting.ReasonField, "url"},
		{"PushKey", push(func(p *meeting.PushTarget) { p.Key = secret.String{} }), meeting.ReasonField, "key"},

		{"GetID", func() error { _, err := c.Get(t.Context(), "", "1/2"); return err }, meeting.ReasonField, "id"},
		{"GetIDEmpty", func() error { _, err := c.Get(t.Context(), "", ""); return err }, meeting.ReasonField, "id"},
		{"DismissID", func() error { return c.Dismiss(t.Context(), "", "../1") }, meeting.ReasonField, "id"},
		{"CancelID", func() error { return c.Cancel(t.Context(), "", "1?x") }, meeting.ReasonField, "id"},
		{"SetPushID", func() error { return c.SetPush(t.Context(), "", "1 ", target) }, meeting.ReasonField, "id"},
		{"PushesID", func() error { _, err := c.Pushes(t.Context(), "", "-1"); return err }, meeting.ReasonField, "id"},
		{"Code", func() error { _, err := c.ByCode(t.Context(), "", "806-146-667"); return err }, meeting.ReasonField, "code"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got *meeting.APIError
			require.ErrorAs(t, tt.do(), &got)
			assert.Equal(t, &meeting.APIError{Provider: "tencent", Op: got.Op, Err: meeting.ErrInvalid, Reason: tt.reason, Field: tt.field}, got)
		})
	}
}

func TestBoundariesThatAreAllowed(t *testing.T) {
	c := newTestClient(t, clienttest.Answer(200, `{"meeting_info_list":[{"meeting_id":"1"}]}`))
	topic := make([]byte, 512)
	for i := range topic {
		topic[i] = 'a'
	}
	_, err := c.Create(t.Context(), meeting.Instant{Topic: string(topic), Duration: time.Minute})
	require.NoError(t, err)
	p := target
	p.Name, p.Enabled = "一二三四五六七八九十", false
	require.NoError(t, c.SetPush(t.Context(), "", meetingID, p))
}

func TestCreateReadsTheAnswer(t *testing.T) {
	c := newTestClient(t, clienttest.Answer(200, `{"meeting_number":1,"meeting_info_list":[{"subject":"周会","meeting_id":"13339451618278424869",
		"meeting_code":"806146667","password":"1111","hosts":[{"userid":"alice"},"bob",7,{"x":1}],"participants":["x"],"start_time":"1572085800",
		"end_time":"1572089400","join_url":"https://meeting.tencent.com/dm/a3YW","enable_live":true,"host_key":"918273","settings":{}}]}`))
	got, err := c.Create(t.Context(), meeting.Instant{Topic: "周会", Account: "alice"})
	require.NoError(t, err)
	assert.Equal(t, meeting.Meeting{
		Ref: meeting.Ref{Provider: "tencent", ID: meetingID}, Code: "806146667", Topic: "周会", State: meeting.StateReady,
		JoinURL: "https://meeting.tencent.com/dm/a3YW", Passcode: "1111", HostKey: secret.New("918273"), Live: true,
		Start: time.Unix(1572085800, 0), End: time.Unix(1572089400, 0), Creator: "alice", Hosts: []string{"alice", "bob"},
	}, got)
}

func TestCreateFillsInWhatWasSent(t *testing.T) {
	yes := true
	c := newTestClient(t, clienttest.Answer(200, `{"meeting_info_list":[{"meeting_id":7567173273889276131,"meeting_code":806146667}]}`))
	got, err := c.Create(t.Context(), meeting.Instant{Topic: "t", Live: &yes, HostKey: secret.New("111111")})
	require.NoError(t, err)
	assert.Equal(t, meeting.Meeting{
		Ref: meeting.Ref{Provider: "tencent", ID: "7567173273889276131"}, Code: "806146667", Topic: "t", State: meeting.StateReady,
		HostKey: secret.New("111111"), Live: true, Start: noon, End: noon.Add(time.Hour), Creator: "bot",
	}, got)
}

func TestGetReadsStateAndLinks(t *testing.T) {
	for status, want := range map[string]meeting.State{
		"MEETING_STATE_INIT": meeting.StateReady, "MEETING_STATE_STARTED": meeting.StateRunning, "MEETING_STATE_ENDED": meeting.StateEnded,
		"MEETING_STATE_CANCELLED": meeting.StateCancelled, "MEETING_STATE_RECYCLED": meeting.StateRecycled,
		"MEETING_STATE_NULL": meeting.StateExpired, "MEETING_STATE_INVALID": meeting.StateUnknown, "new": meeting.StateUnknown, "": meeting.StateUnknown,
	} {
		c := newTestClient(t, clienttest.Answer(200, fmt.Sprintf(`{"meeting_info_list":[{"meeting_id":%q,"status":%q,
			"join_url":"javascript:alert(1)","live_config":{"live_addr":"https://meeting.tencent.com/l/xy"}}]}`, meetingID, status)))
		got, err := c.Get(t.Context(), "", meetingID)
		require.NoError(t, err)
		assert.Equal(t, meeting.Meeting{
			Ref: meeting.Ref{Provider: "tencent", ID: meetingID}, State: want, WatchURL: "https://meeting.tencent.com/l/xy",
		}, got)
	}
}

func TestFindTakesOnlyTheMeetingAskedFor(t *testing.T) {
	other := `{"meeting_info_list":[{"meeting_id":"1","meeting_code":"111111111"}]}`
	none := `{"meeting_number":0,"meeting_info_list":[]}`
	for _, tt := range []struct {
		body string
		want error
	}{{other, meeting.ErrUnavailable}, {none, meeting.ErrNotFound}, {"{}", meeting.ErrNotFound}} {
		c := newTestClient(t, clienttest.Answer(200, tt.body))
		_, err := c.Get(t.Context(), "", meetingID)
		require.ErrorIs(t, err, tt.want)
		_, err = c.ByCode(t.Context(), "", "806146667")
		require.ErrorIs(t, err, tt.want)
	}
}

func TestListFollowsTheCursor(t *testing.T) {
	var queries []string
	c := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		queries = append(queries, q.Get("pos")+"/"+q.Get("cursory"))
		switch q.Get("cursory") {
		case "":
			_, _ = io.WriteString(w, `{"remaining":1,"next_pos":1700000100,"next_cursory":1700000100123,"meeting_info_list":[{"meeting_id":"1"},{"meeting_id":"2"}]}`)
		default:
			_, _ = io.WriteString(w, `{"remaining":0,"meeting_info_list":[{"meeting_id":"2"},{"meeting_id":"3"}]}`)
		}
	})
	got, err := c.List(t.Context(), "")
	require.NoError(t, err)
	var ids []string
	for _, m := range got {
		ids = append(ids, m.Ref.ID)
	}
	assert.Equal(t, []string{"1", "2", "3"}, ids)
	assert.Equal(t, []string{"1699913600/", "1700000100/1700000100123"}, queries)
}

func TestListIsBoundedAndSaysWhatItDidNotSee(t *testing.T) {
	n := 0
	c := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		_, _ = fmt.Fprintf(w, `{"remaining":1,"next_pos":%d,"meeting_info_list":[{"meeting_id":"%d"}]}`, 1700000000+n, n)
	})
	got, err := c.List(t.Context(), "")
	require.ErrorIs(t, err, meeting.ErrLimit)
	assert.Len(t, got, maxPages)
	assert.Equal(t, maxPages, n)

	for name, body := range map[string]string{
		"no way to the next page":    `{"remaining":1,"meeting_info_list":[{"meeting_id":"1"}]}`,
		"the next page is this page": `{"remaining":1,"next_pos":1699913600,"meeting_info_list":[{"meeting_id":"1"}]}`,
		"a meeting without id":       `{"meeting_info_list":[{"subject":"lost"}]}`,
	} {
		got, err := newTestClient(t, clienttest.Answer(200, body)).List(t.Context(), "")
		require.ErrorIs(t, err, meeting.ErrUnavailable, name)
		assert.Empty(t, got, name)
	}
}

func TestPushesAreDecoded(t *testing.T) {
	c := newTestClient(t, clienttest.Answer(200, `{"push_stream_info":[
		{"platform_name":"dGVzdDEyMw==","platform_type":1,"push_password":"123","enable_push_addres":true,"push_address":"rtmp://h/trtc_1/"},
		{"platform_name":"QuermQ","platform_type":"2","push_password":"k","push_address":"rtmp://h/a"},
		{"platform_name":"B站","platform_type":2,"enable_push_addres":"false"}]}`))
	got, err := c.Pushes(t.Context(), "", meetingID)
	require.NoError(t, err)
	assert.Equal(t, []meeting.PushTarget{
		{Name: "test123", Platform: meeting.PushWeChat, URL: "rtmp://h/trtc_1/", Key: secret.New("123"), Enabled: true},
		{Name: "B站", Platform: meeting.PushThirdParty, URL: "rtmp://h/a", Key: secret.New("k")},
		{Name: "B站", Platform: meeting.PushThirdParty},
	}, got)

	got, err = newTestClient(t, clienttest.Answer(200, "{}")).Pushes(t.Context(), "", meetingID)
	require.NoError(t, err)
	assert.Empty(t, got)
}

func TestPingTellsTheProvidersClock(t *testing.T) {
	date := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	for body, want := range map[string]error{"{}": nil, refusal(190300): meeting.ErrCredentials} {
		c := newTestClient(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", date.Format(http.TimeFormat))
			_, _ = io.WriteString(w, body)
		})
		got, err := c.Ping(t.Context())
		require.ErrorIs(t, err, want)
		assert.Equal(t, date, got)
	}
}

func TestDocumentedErrors(t *testing.T) {
	for _, tt := range []struct {
		codes  []int
		err    error
		reason meeting.Reason
	}{
		{[]int{400001}, meeting.ErrLimit, meeting.ReasonPushLimit},
		{[]int{400004}, meeting.ErrInvalid, meeting.ReasonPushAddress},
		{[]int{400005, 9002, 9003}, meeting.ErrNotFound, meeting.ReasonMeeting},
		{[]int{400006, 190315}, meeting.ErrNotPermitted, meeting.ReasonNotCreator},
		{[]int{400007}, meeting.ErrNotPermitted, meeting.ReasonNotHost},
		{[]int{190001, 20001, 20003, 190308}, meeting.ErrNotPermitted, meeting.ReasonAccount},
		{[]int{500014, 9042, 9099, 9100, 9101, 9102, 10005, 190441}, meeting.ErrNotPermitted, meeting.ReasonAccountRight},
		{[]int{190004, 200001, 200005, 200006}, meeting.ErrInvalid, meeting.ReasonNone},
		{[]int{200004}, meeting.ErrNotPermitted, meeting.ReasonAPI},
		{[]int{202801}, meeting.ErrNotPermitted, meeting.ReasonApplication},
		{[]int{50000, 50001}, meeting.ErrCredentials, meeting.ReasonEnterprise},
		{[]int{190316, 190317}, meeting.ErrInvalid, meeting.ReasonNoLive},
		{[]int{190318}, meeting.ErrInvalid, meeting.ReasonNotRetrieved},
		{[]int{190319}, meeting.ErrInvalid, meeting.ReasonNotChanged},
		{[]int{9098}, meeting.ErrLimit, meeting.ReasonConcurrent},
		{[]int{9008, 500029, 500168}, meeting.ErrLimit, meeting.ReasonQuota},
		{[]int{190311, 190312}, meeting.ErrLimit, meeting.ReasonDaily},
		{[]int{9061, 190310, 190313}, meeting.ErrRateLimited, meeting.ReasonNone},
		{[]int{9093}, meeting.ErrInvalid, meeting.ReasonSensitive},
		{[]int{9007, 9103, 9104, 13602, 13603}, meeting.ErrInvalid, meeting.ReasonState},
		{[]int{500125, 123456, 4051, -1}, meeting.ErrInvalid, meeting.ReasonUnlisted}, // the list is incomplete
		{[]int{190300}, meeting.ErrCredentials, meeting.ReasonClock},
		{[]int{190303}, meeting.ErrCredentials, meeting.ReasonUnknownSecretID},
		{[]int{200003}, meeting.ErrCredentials, meeting.ReasonSignature},
	} {
		for _, code := range tt.codes {
			for _, status := range []int{200, 400, 403, 500} { // the code decides, not the status
				t.Run(fmt.Sprintf("%d/HTTP%d", code, status), func(t *testing.T) {
					c := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("X-TC-Trace", "trace-1")
						clienttest.Answer(status, refusal(code))(w, r)
					})
					err := c.SetPush(t.Context(), "", meetingID, target)
					var got *meeting.APIError
					require.ErrorAs(t, err, &got)
					assert.Equal(t, &meeting.APIError{
						Provider: "tencent", Op: opSetPush, Status: status, Code: code, TraceID: "trace-1",
						Message: got.Message, Reason: tt.reason, Field: got.Field, Err: tt.err,
					}, got)
				})
			}
		}
	}
}

func TestARefusalCarriesTheProvidersWords(t *testing.T) {
	for said, want := range map[string]string{
		"请检查推流地址是否正确":                                                   "请检查推流地址是否正确",
		"duplicate " + target.URL + " of " + target.Name:                "duplicate … of …",
		"password " + target.Key.Reveal() + " of testuser":              "password … of …",
		"meeting " + meetingID + ": " + pushToWire(target).PlatformName: "meeting …: …",
	} {
		body, err := json.Marshal(map[string]any{"error_info": map[string]any{"error_code": 400004, "message": said}})
		require.NoError(t, err)
		err = newTestClient(t, clienttest.Answer(500, string(body))).SetPush(t.Context(), "testuser", meetingID, target)
		var got *meeting.APIError
		require.ErrorAs(t, err, &got)
		assert.Equal(t, want, got.Message)
		assert.Contains(t, err.Error(), want, "the log has it")
	}
}

func TestCodesThatDoNotSayThatNothingWasDone(t *testing.T) {
	for _, body := range []string{
		refusal(41), refusal(5108), refusal(960000), refusal(190301), refusal(200002),
		`{"error_info":{}}`, `{"error_info":{"error_code":0}}`, `{"error_info":{"error_code":"x"}}`, `{"code":9003}`, `null`,
	} {
		c := newTestClient(t, clienttest.Answer(500, body))
		require.ErrorIs(t, c.SetPush(t.Context(), "", meetingID, target), meeting.ErrOutcomeUnknown, body)
		_, err := c.Get(t.Context(), "", meetingID)
		require.ErrorIs(t, err, meeting.ErrUnavailable, body)
	}
}

func TestErrorEnvelopeVariants(t *testing.T) {
	for body, code := range map[string]int{
		`{"error_info":{"error_code":"9003","message":"x"}}`: 9003,
		`{"error_info":{"new_error_code":200009003}}`:        9003,
		`{"error_info":{"new_error_code":"500400005"}}`:      400005,
		`{"error_info":{"error_code":" 9003 "}}`:             9003,
		`{"error_code":9003,"new_error_code":101009003}`:     9003,
		`{"error_code":"9003","message":"x"}`:                9003,
		`{"new_error_code":200009003}`:                       9003,
		`{"error_info":null,"error_code":9003}`:              9003,
		"\ufeff" + `{"error_info":{"error_code":9003}}`:      9003,
	} {
		for _, status := range []int{200, 400, 403, 500, 502} {
			err := newTestClient(t, clienttest.Answer(status, body)).Dismiss(t.Context(), "", meetingID)
			var got *meeting.APIError
			require.ErrorAs(t, err, &got, "%d %s", status, body)
			assert.Equal(t, code, got.Code)
			require.ErrorIs(t, err, meeting.ErrNotFound)
		}
	}
}

func TestEmptySuccess(t *testing.T) {
	for _, body := range []string{"", " \n", "{}", `{"error_info":null}`, `{"later":"field"}`} {
		c := newTestClient(t, clienttest.Answer(200, body))
		require.NoError(t, c.SetPush(t.Context(), "", meetingID, target), body)
		require.NoError(t, c.Dismiss(t.Context(), "", meetingID), body)
		require.NoError(t, c.Cancel(t.Context(), "", meetingID), body)
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(200, `{"meeting_info_list":[{"meeting_id":"1","hosts":[{"userid":"a"},"b"],"live_config":{"live_addr":"https://h/l"}}],"remaining":1}`)
	f.Add(500, refusal(400004))
	f.Add(200, `{"push_stream_info":[{"platform_name":"QuermQ=="}]}`)
	f.Add(502, `<html>bad gateway</html>`)
	f.Add(200, `{"error_info":[]}`)
	f.Add(200, `[]`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		c, err := New(Config{
			AppID: "a", SecretID: "i", SecretKey: secret.New("k"), UserID: "u",
			HTTPClient: clienttest.Answering(status, body),
		})
		require.NoError(t, err)
		for _, op := range calls() {
			err := op.Do(t, c)
			if err == nil {
				require.Equal(t, 200, status, op.Name)
				require.NotContains(t, errorInfo(body), "error_code", op.Name)
				continue
			}
			clienttest.OneKind(t, err, op.Name)
		}
	})
}

// errorInfo returns the error_info of body as text, empty if there is none.
func errorInfo(body string) string {
	var w map[string]json.RawMessage
	if json.Unmarshal([]byte(body), &w) != nil {
		return ""
	}
	return string(w["error_info"])
}
