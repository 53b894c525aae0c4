package sandbox_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/meeting/sandbox"
)

// zoomToken asks for a token as Zoom's document has it.
func (p peer) zoomToken() string {
	p.t.Helper()
	cfg := p.s.Config()
	status, answer := p.zoomGrant(cfg.ZoomClientID, cfg.ZoomClientSecret.Reveal(), url.Values{"grant_type": {"account_credentials"}, "account_id": {cfg.ZoomAccountID}})
	require.Equal(p.t, http.StatusOK, status, "%v", answer)
	return answer["access_token"].(string)
}

func (p peer) zoomGrant(id, pass string, form url.Values) (int, object) {
	p.t.Helper()
	req := p.request(http.MethodPost, p.s.ZoomOAuthURL(), "application/x-www-form-urlencoded", []byte(form.Encode()))
	req.SetBasicAuth(id, pass)
	return p.zoomSend(req)
}

func (p peer) zoomSend(req *http.Request) (int, object) {
	p.t.Helper()
	resp, body, err := p.do(req)
	require.NoError(p.t, err)
	assert.NotEmpty(p.t, resp.Header.Get("x-zm-trackingid"))
	if len(body) == 0 {
		return resp.StatusCode, nil
	}
	var answer object
	require.NoError(p.t, json.Unmarshal(body, &answer), "%s", body)
	return resp.StatusCode, answer
}

// zoom calls with a token of its own.
func (p peer) zoom(method, path string, body any) (int, object) {
	p.t.Helper()
	var raw []byte
	label := ""
	if body != nil {
		var err error
		raw, err = json.Marshal(body)
		require.NoError(p.t, err)
		label = "application/json"
	}
	req := p.request(method, p.s.ZoomURL()+path, label, raw)
	req.Header.Set("Authorization", "Bearer "+p.zoomToken())
	return p.zoomSend(req)
}

// zoomMeeting makes a meeting and returns its number.
func (p peer) zoomMeeting(changes object) string {
	p.t.Helper()
	body := object{"topic": "Launch", "type": 1}
	for k, v := range changes {
		body[k] = v
	}
	status, answer := p.zoom(http.MethodPost, "/users/"+sandbox.DefaultUser+"/meetings", body)
	require.Equal(p.t, http.StatusCreated, status, "%v", answer)
	return fmt.Sprintf("%.0f", answer["id"])
}

var zoomPush = object{"stream_url": "rtmp://live.example.com/app", "stream_key": "canary", "page_url": "https://example.com/watch"}

func TestZoomGivesTokensToItsApplicationAlone(t *testing.T) {
	p := start(t, sandbox.Config{})
	cfg := p.s.Config()
	form := url.Values{"grant_type": {"account_credentials"}, "account_id": {cfg.ZoomAccountID}}
	for name, tt := range map[string]struct {
		id, pass string
		form     url.Values
		code     string
	}{
		"secret":  {cfg.ZoomClientID, "wrong", form, "invalid_client"},
		"client":  {"wrong", cfg.ZoomClientSecret.Reveal(), form, "invalid_client"},
		"grant":   {cfg.ZoomClientID, cfg.ZoomClientSecret.Reveal(), url.Values{"grant_type": {"client_credentials"}, "account_id": {cfg.ZoomAccountID}}, "unsupported_grant_type"},
		"account": {cfg.ZoomClientID, cfg.ZoomClientSecret.Reveal(), url.Values{"grant_type": {"account_credentials"}, "account_id": {"other"}}, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := p.zoomGrant(tt.id, tt.pass, tt.form)
			assert.Equal(t, http.StatusBadRequest, status)
			assert.Equal(t, tt.code, answer["error"])
		})
	}
	token := p.zoomToken()
	get := func(token string) (int, object) {
		req := p.request(http.MethodGet, p.s.ZoomURL()+"/users/"+sandbox.DefaultUser+"/meetings", "", nil)
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		return p.zoomSend(req)
	}
	status, _ := get(token)
	assert.Equal(t, http.StatusOK, status)
	refused := func(token string) {
		t.Helper()
		status, answer := get(token)
		assert.Equal(t, http.StatusUnauthorized, status)
		assert.EqualValues(t, 124, answer["code"])
	}
	refused("")
	refused("made-up")
	p.clock.Advance(time.Hour)
	refused(token)
	token = p.zoomToken()
	p.s.RevokeZoomTokens()
	refused(token)
}

// Each endpoint asks for a scope of its own, and names it.
func TestZoomNamesTheScopeThatIsMissing(t *testing.T) {
	p := start(t, sandbox.Config{ZoomScopes: []string{"meeting:write:meeting:admin"}})
	id := p.zoomMeeting(nil)
	for call, scope := range map[string]string{
		"GET /users/operator/meetings":                 "meeting:read:list_meetings:admin",
		"GET /meetings/" + id:                          "meeting:read:meeting:admin",
		"DELETE /meetings/" + id:                       "meeting:delete:meeting:admin",
		"PUT /meetings/" + id + "/status":              "meeting:update:status:admin",
		"PATCH /meetings/" + id + "/livestream":        "meeting:update:livestream:admin",
		"GET /meetings/" + id + "/livestream":          "meeting:read:livestream:admin",
		"PATCH /meetings/" + id + "/livestream/status": "meeting:update:livestream_status:admin",
	} {
		method, path, _ := strings.Cut(call, " ")
		status, answer := p.zoom(method, path, nil)
		assert.Equal(t, http.StatusBadRequest, status, call)
		assert.EqualValues(t, 4711, answer["code"], call)
		assert.Contains(t, answer["message"], scope, call)
	}
	status, answer := p.zoom(http.MethodGet, "/users/me/webinars", nil)
	assert.Equal(t, http.StatusNotFound, status)
	assert.EqualValues(t, 2300, answer["code"])
}

func TestZoomChecksEveryParameterOfAMeeting(t *testing.T) {
	p := start(t, sandbox.Config{})
	for name, body := range map[string]object{
		"no topic":                         {"type": 1},
		"long topic":                       {"topic": strings.Repeat("长", 201), "type": 1},
		"a kind that is none":              {"topic": "x", "type": 7},
		"passcode of too many characters":  {"topic": "x", "type": 1, "password": "12345678901"},
		"passcode of other characters":     {"topic": "x", "type": 1, "password": "a b"},
		"an unknown parameter":             {"topic": "x", "type": 1, "capacity": 5},
		"an unknown setting":               {"topic": "x", "type": 1, "settings": object{"live": true}},
		"a wrong type":                     {"topic": "x", "type": "1"},
		"recording":                        {"topic": "x", "type": 1, "settings": object{"auto_recording": "tape"}},
		"an instant meeting has no length": {"topic": "x", "type": 1, "duration": 60},
		"nor a start":                      {"topic": "x", "type": 1, "start_time": "2026-03-02T04:00:00Z"},
		"nor may people come before":       {"topic": "x", "type": 1, "settings": object{"join_before_host": true}},
		"a length of nothing":              {"topic": "x", "type": 2, "duration": 0},
		"a start in a form that is none":   {"topic": "x", "type": 2, "start_time": "today"},
		"an agenda of too many characters": {"topic": "x", "type": 1, "agenda": strings.Repeat("x", 2001)},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := p.zoom(http.MethodPost, "/users/operator/meetings", body)
			assert.Equal(t, http.StatusBadRequest, status)
			assert.EqualValues(t, 300, answer["code"])
		})
	}
	status, answer := p.zoom(http.MethodPost, "/users/nobody/meetings", object{"topic": "x", "type": 1})
	assert.Equal(t, http.StatusNotFound, status)
	assert.EqualValues(t, 1001, answer["code"])
	status, answer = p.zoom(http.MethodPost, "/users/operator/meetings", object{"topic": "x", "type": 1, "settings": object{"alternative_hosts": "stranger@example.com"}})
	assert.Equal(t, http.StatusBadRequest, status)
	assert.EqualValues(t, 1114, answer["code"])
	assert.Empty(t, p.s.Meetings())

	_, made := p.zoom(http.MethodPost, "/users/operator/meetings", object{"topic": "Launch", "type": 1, "password": "abc@1", "agenda": "mark"})
	assert.Equal(t, "abc@1", made["password"])
	assert.Equal(t, "waiting", made["status"])
	assert.NotEmpty(t, made["start_url"])
	assert.NotContains(t, made, "start_time", "an instant meeting has none")
}

func TestZoomLetsAUserMakeSoManyMeetingsADay(t *testing.T) {
	p := start(t, sandbox.Config{Quirks: sandbox.Quirks{ZoomCreatesPerDay: 2}})
	p.zoomMeeting(nil)
	p.zoomMeeting(nil)
	status, answer := p.zoom(http.MethodPost, "/users/operator/meetings", object{"topic": "x", "type": 1})
	assert.Equal(t, http.StatusTooManyRequests, status)
	assert.Contains(t, answer["message"], "daily rate limit (2)")
	p.clock.Advance(20 * time.Hour) // midnight in Greenwich
	p.zoomMeeting(nil)
}

func TestZoomListsNoInstantMeetings(t *testing.T) {
	p := start(t, sandbox.Config{})
	p.zoomMeeting(nil)
	var planned []string
	for range 3 {
		planned = append(planned, p.zoomMeeting(object{"type": 2, "duration": 30}))
	}
	require.NoError(t, p.s.Join(planned[0], "somebody"))
	list := func(query string) (ids []string, next string) {
		t.Helper()
		status, answer := p.zoom(http.MethodGet, "/users/operator/meetings"+query, nil)
		require.Equal(t, http.StatusOK, status, "%v", answer)
		for _, m := range answer["meetings"].([]any) {
			ids = append(ids, fmt.Sprintf("%.0f", m.(object)["id"]))
			assert.NotContains(t, m, "start_url", "a list has no start links")
		}
		return ids, answer["next_page_token"].(string)
	}
	all, _ := list("")
	assert.ElementsMatch(t, planned, all)
	first, next := list("?page_size=2")
	assert.Len(t, first, 2)
	rest, last := list("?page_size=2&next_page_token=" + next)
	assert.Empty(t, last)
	assert.ElementsMatch(t, planned, append(first, rest...))
	live, _ := list("?type=live")
	assert.Equal(t, planned[:1], live)
	for _, bad := range []string{"?type=none", "?page_size=301", "?page_size=0", "?next_page_token=x", "?userid=1"} {
		status, _ := p.zoom(http.MethodGet, "/users/operator/meetings"+bad, nil)
		assert.Equal(t, http.StatusBadRequest, status, bad)
	}
}

func TestAMeetingOfZoomsHasALife(t *testing.T) {
	p := start(t, sandbox.Config{})
	id := p.zoomMeeting(nil)
	refused := func(method, path string, body any, code int) {
		t.Helper()
		status, answer := p.zoom(method, "/meetings/"+id+path, body)
		assert.GreaterOrEqual(t, status, 400)
		assert.EqualValues(t, code, answer["code"])
	}
	refused(http.MethodPut, "/status", object{"action": "end"}, 3000)
	require.NoError(t, p.s.Join(id, "somebody"))
	_, got := p.zoom(http.MethodGet, "/meetings/"+id, nil)
	assert.Equal(t, "started", got["status"])
	refused(http.MethodDelete, "", nil, 3002)
	refused(http.MethodPut, "/status", object{"action": "stop"}, 300)
	status, _ := p.zoom(http.MethodPut, "/meetings/"+id+"/status", object{"action": "end"})
	assert.Equal(t, http.StatusNoContent, status)
	refused(http.MethodGet, "", nil, 3001)

	id = p.zoomMeeting(object{"type": 2})
	status, _ = p.zoom(http.MethodDelete, "/meetings/"+id, nil)
	assert.Equal(t, http.StatusNoContent, status)
	refused(http.MethodDelete, "", nil, 3001)
}

// Another address takes the place of the first, and is read back.
func TestZoomKeepsOneAddressAMeeting(t *testing.T) {
	p := start(t, sandbox.Config{})
	path := "/meetings/" + p.zoomMeeting(nil) + "/livestream"
	for name, change := range map[string]object{
		"no page":                {"page_url": nil},
		"a page that is no page": {"page_url": "rtmp://example.com"},
		"no key":                 {"stream_key": ""},
		"no stream":              {"stream_url": "https://example.com"},
		"an unknown field":       {"name": "mine"},
		"a long key":             {"stream_key": strings.Repeat("k", 513)},
	} {
		body := object{}
		for k, v := range zoomPush {
			body[k] = v
		}
		for k, v := range change {
			if body[k] = v; v == nil {
				delete(body, k)
			}
		}
		status, answer := p.zoom(http.MethodPatch, path, body)
		assert.Equal(t, http.StatusBadRequest, status, name)
		assert.EqualValues(t, 300, answer["code"], name)
	}
	for _, key := range []string{"first", "second"} {
		status, _ := p.zoom(http.MethodPatch, path, object{"stream_url": "rtmp://live.example.com/app", "stream_key": key, "page_url": "https://example.com/watch"})
		require.Equal(t, http.StatusNoContent, status)
		_, has := p.zoom(http.MethodGet, path, nil)
		assert.Equal(t, key, has["stream_key"])
		assert.Equal(t, "https://example.com/watch", has["page_url"])
	}
	assert.Len(t, p.s.Pushes(p.s.Meetings()[0].ID), 1)

	p = start(t, sandbox.Config{Users: []sandbox.User{{ID: sandbox.DefaultUser, NoLive: true}}})
	status, answer := p.zoom(http.MethodPatch, "/meetings/"+p.zoomMeeting(nil)+"/livestream", zoomPush)
	assert.Equal(t, http.StatusBadRequest, status)
	assert.EqualValues(t, 200, answer["code"])
}

func TestZoomStartsALiveOnce(t *testing.T) {
	p := start(t, sandbox.Config{Quirks: sandbox.Quirks{ZoomNeverLive: true}})
	id := p.zoomMeeting(nil)
	ask := func(body object) (int, any) {
		t.Helper()
		status, answer := p.zoom(http.MethodPatch, "/meetings/"+id+"/livestream/status", body)
		return status, answer["code"]
	}
	first := object{"action": "start", "settings": object{"display_name": "Launch", "active_speaker_name": true}}
	status, _ := ask(first)
	assert.Equal(t, http.StatusBadRequest, status, "nobody is in")
	require.NoError(t, p.s.Join(id, "somebody"))
	status, _ = ask(first)
	assert.Equal(t, http.StatusBadRequest, status, "no address is set")
	_, _ = p.zoom(http.MethodPatch, "/meetings/"+id+"/livestream", zoomPush)
	for _, bad := range []object{{}, {"action": "pause"}, {"action": "start", "settings": object{"display_name": strings.Repeat("x", 51)}}, {"action": "start", "settings": object{"name": "x"}}} {
		status, _ = ask(bad)
		assert.Equal(t, http.StatusBadRequest, status, "%v", bad)
	}
	status, _ = ask(first)
	assert.Equal(t, http.StatusNoContent, status)
	status, code := ask(first)
	assert.Equal(t, http.StatusTooManyRequests, status)
	assert.EqualValues(t, 429, code)
	assert.Equal(t, 1, p.s.LiveStarts(id))
	p.clock.Advance(30 * time.Second)
	p.s.SetQuirks(sandbox.Quirks{})
	status, _ = ask(first)
	assert.Equal(t, http.StatusNoContent, status)
	m, _ := p.s.Meeting(id)
	assert.True(t, m.Live)
	p.clock.Advance(time.Hour)
	status, _ = ask(first)
	assert.Equal(t, http.StatusTooManyRequests, status, "it is on")
	for range 2 { // it does no harm
		status, _ = ask(object{"action": "stop"})
		assert.Equal(t, http.StatusNoContent, status)
	}
	m, _ = p.s.Meeting(id)
	assert.False(t, m.Live)
	assert.Equal(t, 2, p.s.LiveStarts(id))
}

func FuzzZoom(f *testing.F) {
	f.Add("POST", "/zoom/v2/users/operator/meetings", `{"topic":"t","type":1,"settings":{"auto_recording":"cloud"}}`)
	f.Add("PATCH", "/zoom/v2/meetings/80000000001/livestream", `{"stream_url":"rtmp://a/b","stream_key":"k","page_url":"https://a"}`)
	f.Add("PATCH", "/zoom/v2/meetings/80000000001/livestream/status", `{"action":"start","settings":null}`)
	f.Add("GET", "/zoom/v2/users/operator/meetings?page_size=300&next_page_token=page-18446744073709551616", "")
	f.Add("PUT", "/zoom/v2/meetings/80000000001/status", `null`)
	f.Add("POST", "/zoom/oauth/token?grant_type=account_credentials&account_id=%zz", "grant_type=a;b")
	s := sandbox.New(sandbox.Config{Quirks: sandbox.Quirks{CallsPerMinute: -1, CallsPerDay: -1, ZoomCreatesPerDay: -1}})
	cfg := s.Config()
	status, raw := serve(f, s, http.MethodPost, "/zoom/oauth/token", url.Values{"grant_type": {"account_credentials"}, "account_id": {cfg.ZoomAccountID}}.Encode(),
		"application/x-www-form-urlencoded", http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(cfg.ZoomClientID+":"+cfg.ZoomClientSecret.Reveal()))}})
	require.Equal(f, http.StatusOK, status)
	var grant struct {
		Token string `json:"access_token"`
	}
	require.NoError(f, json.Unmarshal(raw, &grant))
	f.Fuzz(func(t *testing.T, method, target, body string) {
		switch method {
		case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		default:
			return
		}
		status, answer := serve(t, s, method, target, body, "application/json", http.Header{"Authorization": {"Bearer " + grant.Token}})
		if !strings.HasPrefix(target, "/zoom/v2/") || len(answer) == 0 || answer[0] != '{' {
			return
		}
		var said struct {
			Code int `json:"code"`
		}
		require.NoError(t, json.Unmarshal(answer, &said))
		require.Equal(t, status < 300, said.Code == 0, "a refusal has a code: %d %s", status, answer)
		require.NotEqual(t, http.StatusInternalServerError, status)
	})
}
