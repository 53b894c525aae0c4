package systec

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/clienttest"
)

const (
	apiKey    = "canary-api-key"
	apiSecret = "canary-api-secret"
	number    = "1591620888"
)

func newTestClient(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	return clientOf(t, clienttest.Serve(t, handler))
}

func clientOf(t *testing.T, base string) *Client {
	t.Helper()
	c, err := New(Config{
		Key: secret.New(apiKey), Secret: secret.New(apiSecret), BaseURL: base, Capacity: 25, Timeout: 10 * time.Second,
	})
	require.NoError(t, err)
	return c
}

func ok(data string) http.HandlerFunc {
	return clienttest.Answer(200, `{"status":200,"message":"OK","data":`+data+`}`)
}

func calls() []clienttest.Call[*Client] {
	return []clienttest.Call[*Client]{
		{Name: "Create", Mutates: true, Do: func(t *testing.T, c *Client) error {
			_, err := c.Create(t.Context(), meeting.Instant{Topic: "周会"})
			return err
		}},
		{Name: "Get", Meeting: true, Do: func(t *testing.T, c *Client) error { _, err := c.Get(t.Context(), number); return err }},
		{Name: "List", Do: func(t *testing.T, c *Client) error { _, err := c.List(t.Context(), ListOptions{}); return err }},
		{Name: "History", Do: func(t *testing.T, c *Client) error {
			_, err := c.List(t.Context(), ListOptions{Over: true})
			return err
		}},
		{Name: "End", Mutates: true, Meeting: true, Do: func(t *testing.T, c *Client) error { return c.End(t.Context(), number) }},
		{Name: "StartURL", Meeting: true, Do: func(t *testing.T, c *Client) error { _, err := c.StartURL(t.Context(), number); return err }},
		{Name: "Licence", Do: func(t *testing.T, c *Client) error { _, err := c.Licence(t.Context()); return err }},
		{Name: "CanCreate", Do: func(t *testing.T, c *Client) error {
			return c.CanCreate(t.Context(), meeting.Instant{Topic: "周会"}, time.Unix(1_700_000_000, 0))
		}},
		{Name: "Ping", Do: func(t *testing.T, c *Client) error { _, err := c.Ping(t.Context()); return err }},
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	good := Config{Key: secret.New("k"), Secret: secret.New("s"), Capacity: 1}
	_, err := New(good)
	require.NoError(t, err)
	for name, change := range map[string]func(*Config){
		"no key":           func(c *Config) { c.Key = secret.String{} },
		"no secret":        func(c *Config) { c.Secret = secret.String{} },
		"no capacity":      func(c *Config) { c.Capacity = 0 },
		"plain http":       func(c *Config) { c.BaseURL = "http://api.systeccloud.com/umeeting" },
		"user in URL":      func(c *Config) { c.BaseURL = "https://u:canary@h/" },
		"fragment in URL":  func(c *Config) { c.BaseURL = "https://h/#canary" },
		"no host":          func(c *Config) { c.BaseURL = "https:///umeeting" },
		"another scheme":   func(c *Config) { c.BaseURL = "ftp://127.0.0.1/" },
		"negative timeout": func(c *Config) { c.Timeout = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			change(&cfg)
			_, err := New(cfg)
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "canary")
		})
	}
	for _, base := range []string{"http://127.0.0.1:1", "http://localhost/x", "http://[::1]:1/", "https://h:8443/umeeting/"} {
		cfg := good
		cfg.BaseURL = base
		_, err := New(cfg)
		require.NoError(t, err, base)
	}
}

func TestRequestsOnTheWire(t *testing.T) {
	yes, no := true, false
	tests := []struct {
		name, path, form string
		do               func(*Client) error
	}{
		{
			name: "CreateSendsTheLeast", path: "/share/instant", form: "topic=%E5%91%A8%E4%BC%9A&meeting_capacity=25",
			do: func(c *Client) error {
				_, err := c.Create(t.Context(), meeting.Instant{Topic: "周会"})
				return err
			},
		},
		{
			name: "CreateSendsEveryField", path: "/share/instant",
			form: "topic=A+%26+B%3D%2B&meeting_capacity=100&duration=31&option_jbh=true&mute_upon_entry=false&use_pmi=true&option_host_video=false" +
				"&option_participants_video=true&recording=cloud&allow_live_streaming=true&waiting_room=false&host_name=Ann&user_key=job-1",
			do: func(c *Client) error {
				_, err := c.Create(t.Context(), meeting.Instant{
					Topic: "A & B=+", Capacity: 100, Duration: 31 * time.Minute, JoinBeforeHost: &yes, Mute: &no, PMI: &yes, HostVideo: &no,
					ParticipantsVideo: &yes, Recording: meeting.RecordingCloud, Live: &yes, WaitingRoom: &no, HostName: "Ann", UserKey: "job-1",
				})
				return err
			},
		},
		{name: "Get", path: "/share/get", form: "meeting_id=" + number, do: func(c *Client) error { _, err := c.Get(t.Context(), number); return err }},
		{name: "List", path: "/share/list", form: "page_size=30&page_number=1&user_key=job-1", do: func(c *Client) error {
			_, err := c.List(t.Context(), ListOptions{UserKey: "job-1"})
			return err
		}},
		{name: "History", path: "/share/history", form: "page_size=30&page_number=1", do: func(c *Client) error {
			_, err := c.List(t.Context(), ListOptions{Over: true})
			return err
		}},
		{name: "End", path: "/share/end", form: "id=" + number, do: func(c *Client) error { return c.End(t.Context(), number) }},
		{name: "StartURL", path: "/share/getStartUrl", form: "id=" + number, do: func(c *Client) error { _, err := c.StartURL(t.Context(), number); return err }},
		{name: "Ping", path: "/licensing", do: func(c *Client) error { _, err := c.Ping(t.Context()); return err }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := 0
			c := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
				asked++
				assert.Equal(t, http.MethodPost, r.Method)
				assert.Equal(t, "/prefix"+tt.path, r.RequestURI, "and no query")
				assert.Equal(t, "application/x-www-form-urlencoded", r.Header.Get("Content-Type"))
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				got, err := url.ParseQuery(string(body))
				assert.NoError(t, err)
				want, err := url.ParseQuery(tt.form)
				assert.NoError(t, err)
				want.Set("api_key", apiKey)
				want.Set("api_secret", apiSecret)
				assert.Equal(t, want, got)
				_, _ = io.WriteString(w, `{"status":200}`)
			})
			_ = tt.do(c) // what it makes of the answer is not the point here
			assert.Equal(t, 1, asked)
		})
	}
}

func TestInputIsRefusedBeforeAnythingIsSent(t *testing.T) {
	c := newTestClient(t, func(http.ResponseWriter, *http.Request) { t.Error("sent") })
	create := func(in meeting.Instant) func() error {
		return func() error { _, err := c.Create(t.Context(), in); return err }
	}
	for _, tt := range []struct {
		name   string
		do     func() error
		reason meeting.Reason
		field  string
	}{
		{"NoTopic", create(meeting.Instant{}), meeting.ReasonField, "topic"},
		{"BlankTopic", create(meeting.Instant{Topic: "\u3000 "}), meeting.ReasonField, "topic"},
		{"TopicNotUTF8", create(meeting.Instant{Topic: "\xff"}), meeting.ReasonField, "topic"},
		{"NegativeCapacity", create(meeting.Instant{Topic: "t", Capacity: -1}), meeting.ReasonField, "capacity"},
		{"ThirtyMinutes", create(meeting.Instant{Topic: "t", Duration: 30 * time.Minute}), meeting.ReasonField, "duration"},
		{"OneMinute", create(meeting.Instant{Topic: "t", Duration: time.Minute}), meeting.ReasonField, "duration"},
		{"NegativeDuration", create(meeting.Instant{Topic: "t", Duration: -time.Hour}), meeting.ReasonField, "duration"},
		{"ThirtyMinutesAndASecond", create(meeting.Instant{Topic: "t", Duration: 30*time.Minute + time.Second}), meeting.ReasonField, "duration"},
		{"Recording", create(meeting.Instant{Topic: "t", Recording: "local"}), meeting.ReasonField, "recording"},
		{"UserKeyOf201Bytes", create(meeting.Instant{Topic: "t", UserKey: strings.Repeat("键", 67)}), meeting.ReasonField, "user_key"},
		{"HostNameNotUTF8", create(meeting.Instant{Topic: "t", HostName: "\xff"}), meeting.ReasonField, "host_name"},
		{"Start", create(meeting.Instant{Topic: "t", Start: time.Unix(1, 0)}), meeting.ReasonUnsupported, "start"},
		{"Account", create(meeting.Instant{Topic: "t", Account: "alice"}), meeting.ReasonUnsupported, "account"},
		{"HostKey", create(meeting.Instant{Topic: "t", HostKey: secret.New("123456")}), meeting.ReasonUnsupported, "host_key"},
		{"GetID", func() error { _, err := c.Get(t.Context(), "1/2"); return err }, meeting.ReasonField, "id"},
		{"EndID", func() error { return c.End(t.Context(), "") }, meeting.ReasonField, "id"},
		{"StartURLID", func() error { _, err := c.StartURL(t.Context(), "1&x=2"); return err }, meeting.ReasonField, "id"},
		{"ListUserKey", func() error {
			_, err := c.List(t.Context(), ListOptions{UserKey: strings.Repeat("x", 201)})
			return err
		}, meeting.ReasonField, "user_key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got *meeting.APIError
			require.ErrorAs(t, tt.do(), &got)
			assert.Equal(t, &meeting.APIError{Provider: "systec", Op: got.Op, Err: meeting.ErrInvalid, Reason: tt.reason, Field: tt.field}, got)
		})
	}
}

func TestBoundariesThatAreAllowed(t *testing.T) {
	c := newTestClient(t, ok(`{"meeting_id":"1591620888"}`))
	for _, in := range []meeting.Instant{
		{Topic: "t", Duration: 31 * time.Minute},
		{Topic: "t", UserKey: strings.Repeat("键", 66) + "ab"}, // 200 bytes
		{Topic: "t", Capacity: 1, Recording: meeting.RecordingNone},
	} {
		_, err := c.Create(t.Context(), in)
		require.NoError(t, err)
	}
}

func TestCreateReadsTheAnswer(t *testing.T) {
	yes := true
	in := meeting.Instant{Topic: "周会", Duration: time.Hour, Live: &yes, UserKey: "job-1"}
	asked := meeting.Meeting{State: meeting.StateReady, Topic: "周会", Capacity: 25, UserKey: "job-1", Live: true}
	tests := []struct {
		name, data string
		want       func(meeting.Meeting) meeting.Meeting
	}{
		{
			name: "CurrentExample",
			data: `{"host_key":"765418","join_url":"https://umeet.example/j/1591620888","meeting_id":"1591620888","start_time":"","host_id":"mueyYP0sQp-",
				"token":"canary","start_url":"https://u.systeccloud.com/s/1890181373?zak=eyJ6","play_addr":"http://p2.weizan.cn/79555295/132312377802785197/live.m3u8",
				"watch_url":"https://wx.vzan.com/live/tvchat-1590377657?ver=637223897808876626"}`,
			want: func(m meeting.Meeting) meeting.Meeting {
				m.Ref, m.Code = meeting.Ref{Provider: "systec", ID: number}, number
				m.HostKey, m.StartURL = secret.New("765418"), secret.New("https://u.systeccloud.com/s/1890181373?zak=eyJ6")
				m.JoinURL, m.PlayURL = "https://umeet.example/j/1591620888", "http://p2.weizan.cn/79555295/132312377802785197/live.m3u8"
				m.WatchURL = "https://wx.vzan.com/live/tvchat-1590377657?ver=637223897808876626"
				return m
			},
		},
		{
			name: "OldestExampleHasNoURL", data: `{"host_key":"873380","meeting_id":"15464648254","host_id":"","token":""}`,
			want: func(m meeting.Meeting) meeting.Meeting {
				m.Ref, m.Code = meeting.Ref{Provider: "systec", ID: "15464648254"}, "15464648254"
				m.HostKey = secret.New("873380")
				return m
			},
		},
		{
			name: "NumbersForStringsAndBack", data: `{"host_key":765418,"meeting_id":1591620888,"start_time":"2026-08-01 20:00:00"}`,
			want: func(m meeting.Meeting) meeting.Meeting {
				m.Ref, m.Code = meeting.Ref{Provider: "systec", ID: number}, number
				m.HostKey = secret.New("765418")
				m.Start = time.Date(2026, 8, 1, 20, 0, 0, 0, beijing)
				m.End = m.Start.Add(time.Hour)
				return m
			},
		},
		{
			name: "LinksThatAreNoneAreDropped",
			data: `{"meeting_id":"1591620888","join_url":"javascript:alert(1)","start_url":"https://a b","play_addr":"rtmp://h/a","watch_url":"//h/x"}`,
			want: func(m meeting.Meeting) meeting.Meeting {
				m.Ref, m.Code = meeting.Ref{Provider: "systec", ID: number}, number
				return m
			},
		},
		{
			name: "FieldsOfOtherTypesAreDropped", data: `{"meeting_id":"1591620888","join_url":{"a":1},"host_key":[1],"start_time":null,"watch_url":true}`,
			want: func(m meeting.Meeting) meeting.Meeting {
				m.Ref, m.Code = meeting.Ref{Provider: "systec", ID: number}, number
				return m
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := newTestClient(t, ok(tt.data)).Create(t.Context(), in)
			require.NoError(t, err)
			assert.Equal(t, tt.want(asked), got)
		})
	}
}

func TestCreateWithoutAMeetingInTheAnswerIsUnknown(t *testing.T) {
	for _, data := range []string{"null", "{}", "[]", `"x"`, `{"meeting_id":""}`, `{"meeting_id":"a/b"}`, `{"meeting_id":{}}`, `{"meeting_id":"123456789012345678901"}`} {
		_, err := newTestClient(t, ok(data)).Create(t.Context(), meeting.Instant{Topic: "t"})
		require.ErrorIs(t, err, meeting.ErrOutcomeUnknown, data)
	}
}

func TestGetReadsTheMeeting(t *testing.T) {
	c := newTestClient(t, ok(`{"duration":"60","start_time":"2026-08-01T12:00:00Z","del_flag":"0","password":"1234","join_url":"https://h/j/1","topic":"周会",
		"user_Key":"job-1","meeting_capacity":"25","id":1591620888,"status":1,"allow_live_streaming":"true","play_addr":"http://h/l.m3u8","watch_url":"https://h/w"}`))
	got, err := c.Get(t.Context(), number)
	require.NoError(t, err)
	start := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	assert.Equal(t, meeting.Meeting{
		Ref: meeting.Ref{Provider: "systec", ID: number}, Code: number, Topic: "周会", State: meeting.StateRunning, JoinURL: "https://h/j/1",
		WatchURL: "https://h/w", PlayURL: "http://h/l.m3u8", Passcode: "1234", Live: true, Start: start, End: start.Add(time.Hour), Capacity: 25, UserKey: "job-1",
	}, got)
}

func TestGetReadsTheState(t *testing.T) {
	for fields, want := range map[string]meeting.State{
		`"status":0`: meeting.StateReady, `"status":"1"`: meeting.StateRunning, `"status":2`: meeting.StateCancelled, `"status":"3"`: meeting.StateEnded,
		`"status":0,"del_flag":1`: meeting.StateDeleted, `"status":1,"del_flag":"0"`: meeting.StateRunning, `"status":9`: meeting.StateUnknown, `"topic":"t"`: meeting.StateUnknown,
	} {
		got, err := newTestClient(t, ok(`{"id":"1",`+fields+`}`)).Get(t.Context(), "1")
		require.NoError(t, err)
		assert.Equal(t, want, got.State, fields)
	}
}

func TestGetOfNothing(t *testing.T) {
	for _, body := range []string{`{"status":200,"data":null}`, `{"status":200}`, `{"status":200,"data":{}}`} {
		_, err := newTestClient(t, clienttest.Answer(200, body)).Get(t.Context(), number)
		require.ErrorIs(t, err, meeting.ErrNotFound)
	}
}

func TestListReadsAllPages(t *testing.T) {
	var pages []string
	c := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		assert.NoError(t, r.ParseForm())
		page := r.PostForm.Get("page_number")
		pages = append(pages, page)
		n, _ := strconv.Atoi(page)
		_, _ = fmt.Fprintf(w, `{"status":"200","data":{"total_page":"3","meetings":[{"id":"%d","status":"0","topic":"t"},{"id":1}]}}`, n)
	})
	got, err := c.List(t.Context(), ListOptions{UserKey: "job-1"})
	require.NoError(t, err)
	assert.Equal(t, []string{"1", "2", "3"}, pages)
	require.Len(t, got, 3)
	assert.Equal(t, meeting.Meeting{
		Ref: meeting.Ref{Provider: "systec", ID: "2"}, Code: "2", Topic: "t", State: meeting.StateReady,
	}, got[1])
}

func TestListIsBoundedAndSaysWhatItDidNotSee(t *testing.T) {
	n := 0
	c := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		_, _ = fmt.Fprintf(w, `{"status":200,"data":{"total_page":11,"meetings":[{"id":%d}]}}`, n)
	})
	got, err := c.List(t.Context(), ListOptions{})
	require.ErrorIs(t, err, meeting.ErrLimit)
	assert.Len(t, got, maxPages)
	assert.Equal(t, maxPages, n)

	for _, data := range []string{"null", "{}", `{"meetings":[]}`, `{"meetings":null,"total_page":5}`} {
		got, err := newTestClient(t, ok(data)).List(t.Context(), ListOptions{})
		require.NoError(t, err, data)
		assert.Empty(t, got)
	}
	for _, data := range []string{`{"meetings":[{"topic":"lost"}]}`, `{"meetings":{}}`, `[1]`} {
		_, err := newTestClient(t, ok(data)).List(t.Context(), ListOptions{})
		require.ErrorIs(t, err, meeting.ErrUnavailable, data)
	}
}

func TestStartURL(t *testing.T) {
	got, err := newTestClient(t, ok(`{"start_url":"https://u.systeccloud.com/s/1?zak=z"}`)).StartURL(t.Context(), number)
	require.NoError(t, err)
	assert.Equal(t, "https://u.systeccloud.com/s/1?zak=z", got.Reveal())
	for _, data := range []string{"null", "{}", `{"start_url":""}`, `{"start_url":"javascript:1"}`} {
		_, err := newTestClient(t, ok(data)).StartURL(t.Context(), number)
		require.ErrorIs(t, err, meeting.ErrUnavailable, data)
	}
}

func TestEndSucceedsWithoutData(t *testing.T) {
	for _, body := range []string{`{"status":200,"message":"OK"}`, `{"status":"200"}`, `{"status":200,"data":null}`} {
		require.NoError(t, newTestClient(t, clienttest.Answer(200, body)).End(t.Context(), number))
	}
	require.NoError(t, newTestClient(t, clienttest.Answer(500, `{"status":200,"message":"OK"}`)).End(t.Context(), number), "the body decides")
}

func TestPingTellsTheProvidersClock(t *testing.T) {
	date := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	for body, want := range map[string]error{
		`{"status":200,"data":{"payType":"1"}}`: nil,
		`{"status":500,"message":"no"}`:         meeting.ErrCredentials, // nothing else can be refused
	} {
		c := newTestClient(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", date.Format(http.TimeFormat))
			_, _ = io.WriteString(w, body)
		})
		got, err := c.Ping(t.Context())
		require.ErrorIs(t, err, want)
		assert.Equal(t, date, got)
	}
}

// What a refusal means, to a call that only reads and to one that changes something. Of the
// latter only what is certainly SYSTEC's own word is a refusal.
func TestRefusals(t *testing.T) {
	open := meeting.ErrOutcomeUnknown
	for _, tt := range []struct {
		name   string
		status int
		body   string
		code   int
		get    error
		end    error
		create error
	}{
		{name: "In200", status: 200, body: `{"status":50012,"message":"预约方数超过购买方数上限(25)","data":null}`, code: 50012, get: meeting.ErrInvalid, end: meeting.ErrInvalid, create: meeting.ErrInvalid},
		{name: "In200WithoutAWord", status: 200, body: `{"status":1001}`, code: 1001, get: meeting.ErrInvalid, end: meeting.ErrInvalid, create: meeting.ErrInvalid},
		{name: "Text", status: 200, body: `{"status":"1001","message":"no"}`, code: 1001, get: meeting.ErrInvalid, end: meeting.ErrInvalid, create: meeting.ErrInvalid},
		{name: "Negative", status: 200, body: `{"status":-1,"message":"no"}`, code: -1, get: meeting.ErrInvalid, end: meeting.ErrInvalid, create: meeting.ErrInvalid},
		{name: "In400", status: 400, body: `{"status":400,"message":"参数错误"}`, code: 400, get: meeting.ErrInvalid, end: meeting.ErrInvalid, create: meeting.ErrInvalid},
		{name: "In400AsAGatewaySays", status: 400, body: `{"status":400,"message":"Bad Request"}`, code: 400, get: meeting.ErrUnavailable, end: open, create: open},
		{name: "In400WithoutAWord", status: 400, body: `{"status":400}`, code: 400, get: meeting.ErrUnavailable, end: open, create: open},
		{name: "In408", status: 408, body: `{"status":400,"message":"参数错误"}`, code: 400, get: meeting.ErrInvalid, end: open, create: open},
		{name: "In500", status: 500, body: `{"status":"1001","message":"会议方数错误"}`, code: 1001, get: meeting.ErrInvalid, end: open, create: open},
		{name: "In504", status: 504, body: `{"status":504,"message":"Gateway Timeout"}`, code: 504, get: meeting.ErrUnavailable, end: open, create: open},
		{name: "500In200", status: 200, body: `{"status":500,"message":"系统异常"}`, code: 500, get: meeting.ErrInvalid, end: open, create: open},
		{name: "503In400", status: 400, body: `{"status":503,"message":"系统繁忙"}`, code: 503, get: meeting.ErrInvalid, end: open, create: open},
		{name: "408In200", status: 200, body: `{"status":408,"message":"Request Timeout"}`, code: 408, get: meeting.ErrUnavailable, end: open, create: open},
		{name: "HTTP401", status: 401, body: `{"status":1001,"message":"未授权"}`, code: 1001, get: meeting.ErrCredentials, end: meeting.ErrCredentials, create: meeting.ErrCredentials},
		{name: "HTTP401AsAGatewaySays", status: 401, body: `{"status":401,"message":"unauthorized"}`, code: 401, get: meeting.ErrCredentials, end: open, create: open},
		{name: "HTTP403", status: 403, body: `{"status":403,"message":"未授权"}`, code: 403, get: meeting.ErrNotPermitted, end: meeting.ErrNotPermitted, create: meeting.ErrNotPermitted},
		{name: "NoFreeRoom", status: 200, body: `{"status":403,"message":"没有空闲的会议室"}`, code: 403, get: meeting.ErrNotPermitted, end: meeting.ErrNotPermitted, create: meeting.ErrLimit},
		{name: "Body401", status: 200, body: `{"status":401,"message":"no"}`, code: 401, get: meeting.ErrCredentials, end: meeting.ErrCredentials, create: meeting.ErrCredentials},
		{name: "MessageNamesTheKey", status: 200, body: `{"status":1002,"message":"API_KEY错误"}`, code: 1002, get: meeting.ErrCredentials, end: meeting.ErrCredentials, create: meeting.ErrCredentials},
		{name: "HTTP429", status: 429, body: `{"status":429,"message":"请求过于频繁"}`, code: 429, get: meeting.ErrRateLimited, end: meeting.ErrRateLimited, create: meeting.ErrRateLimited},
		{name: "HTTP404", status: 404, body: `{"status":404,"message":"no"}`, code: 404, get: meeting.ErrNotFound, end: meeting.ErrNotFound, create: meeting.ErrInvalid},
		{name: "Body404", status: 200, body: `{"status":404,"message":"no"}`, code: 404, get: meeting.ErrNotFound, end: meeting.ErrNotFound, create: meeting.ErrInvalid},
		{name: "MessageSaysNotThere", status: 200, body: `{"status":1003,"message":"会议不存在"}`, code: 1003, get: meeting.ErrNotFound, end: meeting.ErrNotFound, create: meeting.ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", "7")
				clienttest.Answer(tt.status, tt.body)(w, r)
			})
			for op, want := range map[string]error{"Get": tt.get, "End": tt.end, "Create": tt.create} {
				var got *meeting.APIError
				require.ErrorAs(t, callNamed(t, op).Do(t, c), &got)
				assert.Equal(t, &meeting.APIError{
					Provider: "systec", Op: got.Op, Status: tt.status, Code: tt.code, RetryAfter: 7 * time.Second, Message: got.Message, Reason: got.Reason, Err: want,
				}, got, op)
			}
		})
	}
}

// Nobody publishes SYSTEC's codes: its sentence is the only explanation there is.
func TestARefusalCarriesTheProvidersWords(t *testing.T) {
	for said, want := range map[string]string{
		"预约方数超过购买方数上限(25)":     "预约方数超过购买方数上限(25)",
		"主题 周会 不合法":            "主题 … 不合法",
		"unknown " + apiSecret: "unknown …",
		"user meetbot:job1 ?":  "user … ?",
	} {
		c := newTestClient(t, clienttest.Answer(200, `{"status":50012,"message":`+strconv.Quote(said)+`}`))
		_, err := c.Create(t.Context(), meeting.Instant{Topic: "周会", UserKey: "meetbot:job1"})
		var got *meeting.APIError
		require.ErrorAs(t, err, &got)
		assert.Equal(t, want, got.Message)
		assert.Contains(t, err.Error(), want, "the log has it")
	}
}

func callNamed(t *testing.T, name string) clienttest.Call[*Client] {
	t.Helper()
	for _, c := range calls() {
		if c.Name == name {
			return c
		}
	}
	require.FailNow(t, "no such call", name)
	return clienttest.Call[*Client]{}
}

func FuzzAnswers(f *testing.F) {
	f.Add(200, `{"status":200,"data":{"meeting_id":"1591620888","join_url":"https://h/j","start_url":"https://h/s"}}`)
	f.Add(200, `{"status":"200","data":{"total_page":1,"meetings":[{"id":1,"status":"0","duration":60,"start_time":"2017-08-19 00:00:00"}]}}`)
	f.Add(500, `{"status":500,"message":"x","timestamp":1}`)
	f.Add(502, `<html>`)
	f.Add(200, `{"status":null}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		c, err := New(Config{
			Key: secret.New("k"), Secret: secret.New("s"), Capacity: 1,
			HTTPClient: clienttest.Answering(status, body),
		})
		require.NoError(t, err)
		m, err := c.Create(t.Context(), meeting.Instant{Topic: "t"})
		if err == nil {
			require.NotEmpty(t, m.Ref.ID)
			for _, link := range []string{m.JoinURL, m.WatchURL, m.PlayURL, m.StartURL.Reveal()} {
				require.True(t, link == "" || strings.HasPrefix(strings.ToLower(link), "http"), link)
			}
		}
		for _, op := range calls() {
			err := op.Do(t, c)
			if err == nil {
				var w struct{ Status any }
				require.NoError(t, json.Unmarshal([]byte(body), &w))
				require.Contains(t, []string{"200", "2e+02"}, strings.TrimSpace(fmt.Sprint(w.Status)), op.Name)
				continue
			}
			clienttest.OneKind(t, err, op.Name)
		}
	})
}
