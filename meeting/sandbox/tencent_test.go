package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
	"meetbot/meeting/sandbox"
)

func decode(t *testing.T, body []byte) object {
	t.Helper()
	var v object
	require.NoError(t, json.Unmarshal(body, &v), "%s", body)
	return v
}

// serve handles a request without a network. A target that is no URL is skipped.
func serve(t testing.TB, s *sandbox.Server, method, target, body, contentType string, header http.Header) (int, []byte) {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil || u.Host != "" {
		t.Skip("not a request target")
	}
	r := httptest.NewRequest(method, "/", strings.NewReader(body))
	r.URL, r.RequestURI = u, target
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

type vector struct {
	Name, Method, URI, Body, Nonce, Timestamp, Signature string
	SecretID                                             string `json:"secret_id"`
	SecretKey                                            string `json:"secret_key"`
}

func vectors(t *testing.T) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/tencent-signature.json")
	require.NoError(t, err)
	var file struct{ Vectors []vector }
	require.NoError(t, json.Unmarshal(b, &file))
	require.NotEmpty(t, file.Vectors)
	return file.Vectors
}

// The vectors come from four other implementations of the signature.
func TestPublishedSignaturesAreAccepted(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			seconds, err := strconv.ParseInt(v.Timestamp, 10, 64)
			require.NoError(t, err)
			s := sandbox.New(sandbox.Config{
				TencentSecretID: v.SecretID, TencentSecretKey: secret.New(v.SecretKey), TencentAppID: "1",
				Now: func() time.Time { return time.Unix(seconds, 0) },
			})
			send := func(v vector) int {
				_, body := serve(t, s, v.Method, v.URI, v.Body, "application/json; charset=utf-8", http.Header{
					"X-Tc-Key": {v.SecretID}, "X-Tc-Nonce": {v.Nonce}, "X-Tc-Timestamp": {v.Timestamp},
					"X-Tc-Signature": {v.Signature}, "X-Tc-Registered": {"1"}, "Appid": {"1"},
				})
				return code(decode(t, body))
			}
			wrong := v
			wrong.URI += "x"
			assert.Equal(t, 200003, send(wrong), "another URI")
			wrong = v
			wrong.Body += " "
			assert.Equal(t, 200003, send(wrong), "another body")
			wrong = v
			wrong.Nonce = "88081"
			assert.Equal(t, 200003, send(wrong), "another nonce")
			wrong = v
			wrong.Signature = strings.ToLower(v.Signature)
			assert.Equal(t, 200003, send(wrong), "another signature")

			got := send(v) // unknown users and meetings: it came past the signature
			assert.Contains(t, []int{190001, 9003, 400005}, got)
			assert.Equal(t, 190301, send(v), "replay")
		})
	}
}

func TestAuthenticationErrors(t *testing.T) {
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) {
			for _, n := range []string{name, http.CanonicalHeaderKey(name)} {
				delete(r.Header, n)
			}
			if value != "" {
				r.Header[name] = []string{value}
			}
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		code   int
	}{
		{"NoKey", header("X-TC-Key", ""), 200001},
		{"NoNonce", header("X-TC-Nonce", ""), 200001},
		{"NoTimestamp", header("X-TC-Timestamp", ""), 200001},
		{"NoSignature", header("X-TC-Signature", ""), 200001},
		{"NoAppID", header("AppId", ""), 200001},
		{"NoRegistered", header("X-TC-Registered", ""), 200001},
		{"NoContentType", header("Content-Type", ""), 200001},
		{"RegisteredZero", header("X-TC-Registered", "0"), 200006},
		{"FormContentType", header("Content-Type", "application/x-www-form-urlencoded"), 200006},
		{"OtherCharset", header("Content-Type", "application/json; charset=gbk"), 200006},
		{"NonceZero", header("X-TC-Nonce", "0"), 200006},
		{"NonceNegative", header("X-TC-Nonce", "-1"), 200006},
		{"NonceText", header("X-TC-Nonce", "abc"), 200006},
		{"TimestampInMilliseconds", header("X-TC-Timestamp", "1772424000000"), 200006},
		{"OtherNonce", header("X-TC-Nonce", "987654321"), 200003},
		{"TooOld", header("X-TC-Timestamp", strconv.FormatInt(epoch.Add(-301*time.Second).Unix(), 10)), 190300},
		{"TooNew", header("X-TC-Timestamp", strconv.FormatInt(epoch.Add(301*time.Second).Unix(), 10)), 190300},
		{"NearlyTooOldButUnsigned", header("X-TC-Timestamp", strconv.FormatInt(epoch.Add(-300*time.Second).Unix(), 10)), 200003},
		{"RepeatedNonce", func(r *http.Request) { r.Header["X-TC-Nonce"] = append(r.Header["X-TC-Nonce"], "1") }, 200006},
		{"UnknownKey", header("X-TC-Key", "AKIDOTHER"), 190303},
		{"OtherAppID", header("AppId", "2"), 190303},
		{"StraySdkID", header("SdkId", "7"), 190303},
		{"EmptySdkID", func(r *http.Request) { r.Header["SdkId"] = []string{""} }, 190303},
		{"Good", func(*http.Request) {}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, sandbox.Config{})
			req := p.tencentRequest(http.MethodGet, "/v1/meetings?userid=operator&instanceid=1", nil)
			tt.change(req)
			status, answer := p.send(req)
			assert.Equal(t, tt.code, code(answer), "%v", answer)
			if tt.code != 0 {
				assert.Equal(t, http.StatusBadRequest, status)
				assert.EqualValues(t, 200_000_000+tt.code, answer["error_info"].(object)["new_error_code"])
			}
		})
	}
}

func TestAssignedSdkIDIsRequired(t *testing.T) {
	p := start(t, sandbox.Config{TencentSDKID: "77"})
	list := func() *http.Request {
		return p.tencentRequest(http.MethodGet, "/v1/meetings?userid=operator&instanceid=1", nil)
	}
	_, answer := p.send(list())
	assert.Zero(t, code(answer))
	for _, sdk := range [][]string{nil, {"78"}, {"77", "77"}} {
		req := list()
		delete(req.Header, "SdkId")
		if sdk != nil {
			req.Header["SdkId"] = sdk
		}
		_, answer := p.send(req)
		assert.Equal(t, 190303, code(answer), "%v", sdk)
	}
}

func TestReplayIsRefusedForFiveMinutes(t *testing.T) {
	p := start(t, sandbox.Config{})
	req := p.tencentRequest(http.MethodGet, "/v1/meetings?userid=operator&instanceid=1", nil)
	_, answer := p.send(req.Clone(t.Context()))
	require.Zero(t, code(answer))
	for _, wait := range []time.Duration{0, 4 * time.Minute, time.Minute} {
		p.clock.Advance(wait)
		_, answer = p.send(req.Clone(t.Context()))
		assert.Equal(t, 190301, code(answer))
	}
	p.clock.Advance(time.Second)
	_, answer = p.send(req.Clone(t.Context()))
	assert.Equal(t, 190300, code(answer), "then its timestamp is too old")
}

func TestUnknownAPIs(t *testing.T) {
	p := start(t, sandbox.Config{})
	for _, tt := range [][2]string{
		{"GET", "/v1/nothing"}, {"DELETE", "/v1/meetings"}, {"PUT", "/v1/meetings/1"}, {"GET", "/v1/meetings/1/dismiss"},
		{"POST", "/v1/meetings/1/live-play/live-stream-address"}, {"GET", "/v1/meetings/1/live_play/push-stream-info"},
	} {
		_, answer := p.tencent(tt[0], tt[1], nil)
		assert.Equal(t, 200004, code(answer), tt)
	}
}

func TestCreateAnswersAsDocumented(t *testing.T) {
	p := start(t, sandbox.Config{})
	info := p.create(object{
		"enable_live": true, "live_config": object{"live_subject": "直播", "enable_live_im": true}, "enable_host_key": true, "host_key": "123456",
		"password": "1111", "settings": object{"mute_enable_join": true, "auto_record_type": "cloud"},
		"hosts": []object{{"userid": "alice"}}, "invitees": []object{{"userid": "nobody"}},
	})
	id := info["meeting_id"].(string)
	assert.Regexp(t, `^\d{19,20}$`, id)
	assert.Regexp(t, `^\d{9}$`, info["meeting_code"])
	assert.Equal(t, strconv.FormatInt(epoch.Unix(), 10), info["start_time"], "a string of seconds")
	assert.Equal(t, []any{object{"userid": "alice"}}, info["hosts"])
	assert.Equal(t, []any{"nobody"}, info["user_non_registered"])
	assert.Equal(t, "123456", info["host_key"])
	assert.Equal(t, "1111", info["password"])
	assert.Contains(t, info["live_config"], "live_addr")

	get := func(user string) object {
		_, answer := p.tencent(http.MethodGet, "/v1/meetings/"+id+"?operator_id="+user+"&operator_id_type=1&instanceid=1", nil)
		require.Zero(t, code(answer), "%v", answer)
		return answer["meeting_info_list"].([]any)[0].(object)
	}
	mine := get(sandbox.DefaultUser)
	assert.Equal(t, "MEETING_STATE_INIT", mine["status"])
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+/l/[\w-]{22}$`, mine["live_config"].(object)["live_addr"])
	theirs := get("bob")
	for _, private := range []string{"password", "host_key", "live_config"} {
		assert.NotContains(t, theirs, private, "the creator's alone")
	}

	m, ok := p.s.Meeting(id)
	require.True(t, ok)
	assert.Equal(t, sandbox.DefaultUser, m.Creator)
	assert.JSONEq(t, `{"mute_enable_join":true,"auto_record_type":"cloud"}`, string(m.Settings))
	assert.Equal(t, 1, p.s.Created("作战室"))
}

func TestSomeMeetingIDsExceedInt64(t *testing.T) {
	p := start(t, sandbox.Config{})
	exceeds := 0
	for range 4 {
		if _, err := strconv.ParseInt(p.create(nil)["meeting_id"].(string), 10, 64); err != nil {
			exceeds++
		}
	}
	assert.Equal(t, 2, exceeds)
}

func TestCreateChecksEveryParameter(t *testing.T) {
	p := start(t, sandbox.Config{
		Users:  []sandbox.User{{ID: sandbox.DefaultUser}, {ID: "intern", NoSchedule: true}},
		Quirks: sandbox.Quirks{SensitiveWord: "机密"},
	})
	invitees := make([]object, 301)
	for i := range invitees {
		invitees[i] = object{"userid": "u"}
	}
	for _, tt := range []struct {
		name  string
		field string
		value any // nil: left out
		code  int
	}{
		{"Good", "time_zone", "Asia/Shanghai", 0},
		{"Scheduled", "type", 0, 0},
		{"NoUser", "userid", nil, 190004},
		{"UnknownUser", "userid", "stranger", 190001},
		{"UserMayNotSchedule", "userid", "intern", 9100},
		{"NoInstance", "instanceid", nil, 190004},
		{"UnknownInstance", "instanceid", 11, 190004},
		{"InstanceAsString", "instanceid", "1", 190004},
		{"LatestInstance", "instanceid", 86, 0},
		{"NoSubject", "subject", nil, 190004},
		{"BlankSubject", "subject", " ", 190004},
		{"Subject512Bytes", "subject", strings.Repeat("s", 512), 0},
		{"Subject513Bytes", "subject", strings.Repeat("会", 171), 190004},
		{"SensitiveSubject", "subject", "机密会议", 9093},
		{"NoType", "type", nil, 190004},
		{"UnknownType", "type", 2, 190004},
		{"StartAsNumber", "start_time", epoch.Unix(), 190004},
		{"NoStart", "start_time", nil, 190004},
		{"EndBeforeStart", "end_time", "1000000000", 190004},
		{"EndInMilliseconds", "end_time", "1772424000000", 190004},
		{"Password3", "password", "123", 190004},
		{"Password6", "password", "123456", 0},
		{"PasswordLetters", "password", "abcd", 190004},
		{"HostKey5", "host_key", "12345", 190004},
		{"HostsAsStrings", "hosts", []string{"alice"}, 190004},
		{"HostWithoutUserID", "hosts", []object{{}}, 190004},
		{"TooManyInvitees", "invitees", invitees, 190004},
		{"Recurring", "meeting_type", 1, 190004},
		{"RecordType", "settings", object{"auto_record_type": "disk"}, 190004},
		{"UnknownSetting", "settings", object{"mute": true}, 190004},
		{"UnknownField", "topic", "x", 190004},
		{"OtherCase", "Subject", "x", 190004},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := p
			p.t = t
			body := createBody(p)
			body[tt.field] = tt.value
			if tt.value == nil {
				delete(body, tt.field)
			}
			before := len(p.s.Meetings())
			_, answer := p.tencent(http.MethodPost, "/v1/meetings", body)
			assert.Equal(t, tt.code, code(answer), "%v", answer)
			assert.Equal(t, tt.code == 0, len(p.s.Meetings()) == before+1)
		})
	}
	_, answer := p.send(p.tencentRequest(http.MethodPost, "/v1/meetings", []byte(`{"userid":`)))
	assert.Equal(t, 200005, code(answer))
	_, answer = p.send(p.tencentRequest(http.MethodPost, "/v1/meetings", []byte(`[]`)))
	assert.Equal(t, 190004, code(answer))
}

func TestGetByCode(t *testing.T) {
	p := start(t, sandbox.Config{})
	info := p.create(nil)
	uri := "/v1/meetings?meeting_code=" + info["meeting_code"].(string) + "&instanceid=1"
	_, answer := p.tencent(http.MethodGet, uri+"&userid=operator", nil)
	require.Zero(t, code(answer), "%v", answer)
	assert.Equal(t, info["meeting_id"], answer["meeting_info_list"].([]any)[0].(object)["meeting_id"])

	_, answer = p.tencent(http.MethodGet, uri+"&userid=stranger&operator_id=operator&operator_id_type=1", nil)
	assert.Zero(t, code(answer), "of both, operator_id counts")
	for uri, want := range map[string]int{
		uri:                           190004,
		uri + "&operator_id=operator": 190004,
		uri + "&userid=stranger":      190001,
		"/v1/meetings?meeting_code=12345678&userid=operator&instanceid=1":      190004,
		"/v1/meetings?meeting_code=100000000000&userid=operator&instanceid=1":  190004,
		"/v1/meetings?meeting_code=9999999999&userid=operator&instanceid=1":    9003,
		"/v1/meetings?meeting_code=999999999&userid=operator":                  190004,
		"/v1/meetings?meeting_code=999999999&userid=operator&instanceid=1&x=1": 190004,
	} {
		_, answer := p.tencent(http.MethodGet, uri, nil)
		assert.Equal(t, want, code(answer), uri)
	}

	require.NoError(t, p.s.End(info["meeting_id"].(string)))
	_, answer = p.tencent(http.MethodGet, uri+"&userid=operator", nil)
	assert.Equal(t, 9003, code(answer), "a quick meeting's code is taken back")
}

func TestMeetingsAreListedInPages(t *testing.T) {
	p := start(t, sandbox.Config{})
	want := map[string]bool{}
	for range 45 { // all with one start time: the cursor has to tell them apart
		want[p.create(nil)["meeting_id"].(string)] = true
	}
	p.create(object{"userid": "alice"})
	uri := "/v1/meetings?userid=operator&instanceid=1"
	got := map[string]bool{}
	for page, remaining := range []float64{25, 5, 0} {
		_, answer := p.tencent(http.MethodGet, uri, nil)
		require.Zero(t, code(answer), "%v", answer)
		assert.Equal(t, remaining, answer["remaining"], "page %d", page)
		for _, m := range answer["meeting_info_list"].([]any) {
			got[m.(object)["meeting_id"].(string)] = true
		}
		uri = fmt.Sprintf("/v1/meetings?userid=operator&instanceid=1&pos=%.0f&cursory=%.0f", answer["next_pos"], answer["next_cursory"])
	}
	assert.Equal(t, want, got)

	_, answer := p.tencent(http.MethodGet, fmt.Sprintf("/v1/meetings?userid=operator&instanceid=1&pos=%d", epoch.Unix()+1), nil)
	assert.EqualValues(t, 0, answer["meeting_number"], "pos is a start time")
	_, answer = p.tencent(http.MethodGet, "/v1/meetings?userid=operator&instanceid=1&pos=-1", nil)
	assert.Equal(t, 190004, code(answer))
}

func TestListBeginsAtBeijingsMidnight(t *testing.T) {
	p := start(t, sandbox.Config{})
	yesterday := strconv.FormatInt(epoch.Add(-13*time.Hour).Unix(), 10)
	id := p.create(object{"type": 0, "start_time": yesterday})["meeting_id"]
	_, answer := p.tencent(http.MethodGet, "/v1/meetings?userid=operator&instanceid=1", nil)
	assert.EqualValues(t, 0, answer["meeting_number"])
	_, answer = p.tencent(http.MethodGet, "/v1/meetings?userid=operator&instanceid=1&pos="+yesterday, nil)
	require.EqualValues(t, 1, answer["meeting_number"])
	assert.Equal(t, id, answer["meeting_info_list"].([]any)[0].(object)["meeting_id"])
}

func TestTencentMeetingsStopBeingReturned(t *testing.T) {
	p := start(t, sandbox.Config{})
	id := p.create(nil)["meeting_id"].(string)
	get := func() (string, int) {
		_, answer := p.tencent(http.MethodGet, "/v1/meetings/"+id+"?userid=operator&instanceid=1", nil)
		if c := code(answer); c != 0 {
			return "", c
		}
		return answer["meeting_info_list"].([]any)[0].(object)["status"].(string), 0
	}
	status, _ := get()
	assert.Equal(t, "MEETING_STATE_INIT", status)
	p.clock.Advance(time.Hour + time.Second)
	status, _ = get()
	assert.Equal(t, "MEETING_STATE_NULL", status, "past its planned end, nobody in")
	p.clock.Advance(time.Hour)
	_, c := get()
	assert.Equal(t, 9003, c, "an hour past its planned end")

	id = p.create(object{"end_time": strconv.FormatInt(p.clock.Now().Unix()+60, 10)})["meeting_id"].(string)
	require.NoError(t, p.s.Join(id, "operator"))
	p.clock.Advance(5 * time.Hour)
	status, _ = get()
	assert.Equal(t, "MEETING_STATE_STARTED", status, "as long as people are in")
	require.NoError(t, p.s.Leave(id, "operator"))
	_, c = get()
	assert.Equal(t, 9003, c, "over once the last has left")

	id = p.create(nil)["meeting_id"].(string)
	require.NoError(t, p.s.Join(id, "operator"))
	require.NoError(t, p.s.Leave(id, "operator"))
	status, _ = get()
	assert.Equal(t, "MEETING_STATE_INIT", status, "before its end, and nobody is in: as if nobody ever was")
	require.NoError(t, p.s.Join(id, "operator"))
	status, _ = get()
	assert.Equal(t, "MEETING_STATE_STARTED", status, "it was entered again")
	require.NoError(t, p.s.Leave(id, "operator"))
	p.clock.Advance(time.Hour + time.Second)
	status, _ = get()
	assert.Equal(t, "MEETING_STATE_NULL", status)
}

func TestEndedMeetingsMayStayVisible(t *testing.T) {
	p := start(t, sandbox.Config{Quirks: sandbox.Quirks{EndedStaysVisible: true}})
	info := p.create(nil)
	id := info["meeting_id"].(string)
	require.NoError(t, p.s.End(id))
	_, answer := p.tencent(http.MethodGet, "/v1/meetings/"+id+"?userid=operator&instanceid=1", nil)
	assert.Equal(t, "MEETING_STATE_ENDED", answer["meeting_info_list"].([]any)[0].(object)["status"])
	_, answer = p.tencent(http.MethodGet, "/v1/meetings?meeting_code="+info["meeting_code"].(string)+"&userid=operator&instanceid=1", nil)
	assert.Equal(t, 9003, code(answer), "its code is taken back all the same")
	_, c := p.setPush(id, "operator", push("a", "rtmp://a.example/live", "k"))
	assert.Equal(t, 400005, c, "and nothing is pushed any more")
}

func TestDismiss(t *testing.T) {
	p := start(t, sandbox.Config{Quirks: sandbox.Quirks{CallsPerMinute: -1}})
	info := p.create(object{"hosts": []object{{"userid": "alice"}}})
	id := info["meeting_id"].(string)
	body := func(changes object) object {
		b := object{"operator_id": "operator", "operator_id_type": 1, "instanceid": 1, "reason_code": 1}
		for k, v := range changes {
			b[k] = v
		}
		return b
	}
	dismiss := func(id string, b object) (int, int) {
		status, answer := p.tencent(http.MethodPost, "/v1/meetings/"+id+"/dismiss", b)
		return status, code(answer)
	}
	_, c := dismiss(id, body(nil))
	assert.Equal(t, 9003, c, "not running")
	p.s.SetQuirks(sandbox.Quirks{DismissNotRunning: 9042, CallsPerMinute: -1})
	_, c = dismiss(id, body(nil))
	assert.Equal(t, 9042, c)

	require.NoError(t, p.s.Join(id, "alice"))
	for _, tt := range []struct {
		changes object
		code    int
	}{
		{object{"operator_id": "bob"}, 9042},
		{object{"operator_id": "stranger"}, 190001},
		{object{"operator_id_type": 2}, 190001},
		{object{"operator_id_type": 3}, 190004},
		{object{"operator_id_type": "1"}, 190004},
		{object{"reason_code": nil}, 190004},
		{object{"retrieve_code": "1"}, 190004},
		{object{"force_dismiss_meeting": 2}, 190004},
		{object{"force_dismiss_meeting": 0}, 9002},
		{object{"userid": "operator"}, 190004},
	} {
		status, c := dismiss(id, body(tt.changes))
		assert.Equal(t, tt.code, c, "%v", tt.changes)
		if c == 9042 {
			assert.Equal(t, http.StatusInternalServerError, status, "403 elsewhere, by its own page 500 here")
		}
	}
	_, c = dismiss("1", body(nil))
	assert.Equal(t, 9003, c)
	status, c := dismiss(id, body(object{"operator_id": "alice", "retrieve_code": 1}))
	assert.Zero(t, c)
	assert.Equal(t, http.StatusOK, status)
	m, _ := p.s.Meeting(id)
	assert.Equal(t, sandbox.Ended, m.State)
	_, c = dismiss(id, body(nil))
	assert.Equal(t, 9003, c)
}

func TestCancel(t *testing.T) {
	p := start(t, sandbox.Config{Users: []sandbox.User{{ID: sandbox.DefaultUser}, {ID: "alice"}, {ID: "root", Admin: true}}})
	cancel := func(id, user string) (int, int) {
		status, answer := p.tencent(http.MethodPost, "/v1/meetings/"+id+"/cancel", object{"userid": user, "instanceid": 1, "reason_code": 1, "reason_detail": "取消会议"})
		return status, code(answer)
	}
	id := p.create(nil)["meeting_id"].(string)
	status, c := cancel(id, "alice")
	assert.Equal(t, []int{403, 9042}, []int{status, c})
	_, c = cancel(id, "operator")
	assert.Zero(t, c)
	status, c = cancel(id, "operator")
	assert.Equal(t, []int{500, 9007}, []int{status, c})
	_, c = cancel("1", "operator")
	assert.Equal(t, 9003, c)
	_, c = cancel(id, "stranger")
	assert.Equal(t, 190001, c)

	id = p.create(nil)["meeting_id"].(string)
	require.NoError(t, p.s.Join(id, "alice"))
	_, c = cancel(id, "operator")
	assert.Equal(t, 13602, c)
	require.NoError(t, p.s.End(id))
	_, c = cancel(id, "operator")
	assert.Equal(t, 13603, c)

	_, c = cancel(p.create(nil)["meeting_id"].(string), "root")
	assert.Zero(t, c, "an administrator may")
}

func TestParticipants(t *testing.T) {
	p := start(t, sandbox.Config{})
	id := p.create(nil)["meeting_id"].(string)
	require.NoError(t, p.s.Join(id, "operator"))
	require.NoError(t, p.s.Join(id, "小明"))
	p.clock.Advance(time.Minute)
	require.NoError(t, p.s.Leave(id, "小明"))

	uri := "/v1/meetings/" + id + "/participants?operator_id=operator&operator_id_type=1"
	_, answer := p.tencent(http.MethodGet, uri+"&pos=0&size=1", nil)
	require.Zero(t, code(answer), "%v", answer)
	assert.Equal(t, true, answer["has_remaining"])
	first := answer["participants"].([]any)[0].(object)
	assert.Equal(t, "", first["left_time"])
	_, answer = p.tencent(http.MethodGet, uri+"&pos=1", nil)
	assert.Equal(t, false, answer["has_remaining"])
	second := answer["participants"].([]any)[0].(object)
	assert.Equal(t, "5bCP5piO", second["user_name"], "base64")
	assert.Equal(t, strconv.FormatInt(epoch.Add(time.Minute).Unix(), 10), second["left_time"])

	status, answer := p.tencent(http.MethodGet, "/v1/meetings/"+id+"/participants?userid=alice", nil)
	assert.Equal(t, []int{403, 9042}, []int{status, code(answer)})
	_, answer = p.tencent(http.MethodGet, uri+"&size=101", nil)
	assert.Equal(t, 190004, code(answer))
}

func TestRatesAndQuotas(t *testing.T) {
	list := "/v1/meetings?userid=operator&instanceid=1"
	for _, tt := range []struct {
		name   string
		quirks sandbox.Quirks
		create bool
		code   int
		wait   time.Duration // until it works again
	}{
		{"PerMinute", sandbox.Quirks{CallsPerMinute: 2}, false, 190310, time.Minute},
		{"PerDay", sandbox.Quirks{CallsPerDay: 2}, false, 190311, 24 * time.Hour},
		{"CreatesPerHour", sandbox.Quirks{CreatesPerHour: 2}, true, 500029, time.Hour},
		{"CreatesPerMonth", sandbox.Quirks{CreatesPerMonth: 2}, true, 500168, 31 * 24 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, sandbox.Config{Quirks: tt.quirks})
			call := func() (int, int) {
				status, answer := p.tencent(http.MethodGet, list, nil)
				if tt.create {
					status, answer = p.tencent(http.MethodPost, "/v1/meetings", createBody(p))
				}
				return status, code(answer)
			}
			for range 2 {
				_, c := call()
				assert.Zero(t, c)
			}
			status, c := call()
			assert.Equal(t, []int{500, tt.code}, []int{status, c})
			p.clock.Advance(tt.wait)
			_, c = call()
			assert.Zero(t, c)
		})
	}
	t.Run("DocumentedPerMinute", func(t *testing.T) {
		p := start(t, sandbox.Config{})
		for range 300 {
			_, answer := p.tencent(http.MethodGet, list, nil)
			require.Zero(t, code(answer))
		}
		_, answer := p.tencent(http.MethodGet, list, nil)
		assert.Equal(t, 190310, code(answer))
	})
}

func TestTencentAnswerQuirks(t *testing.T) {
	t.Run("ErrorStatusAndNewCode", func(t *testing.T) {
		p := start(t, sandbox.Config{Quirks: sandbox.Quirks{TencentErrorStatus: 200, NoNewErrorCode: true}})
		status, answer := p.tencent(http.MethodGet, "/v1/meetings/1?userid=operator&instanceid=1", nil)
		assert.Equal(t, 200, status)
		assert.Equal(t, 9003, code(answer))
		assert.NotContains(t, answer["error_info"], "new_error_code")
	})
	t.Run("PeopleAsStrings", func(t *testing.T) {
		p := start(t, sandbox.Config{Quirks: sandbox.Quirks{PeopleAsStrings: true}})
		assert.Equal(t, []any{"operator"}, p.create(nil)["hosts"])
	})
	t.Run("EmptyObject", func(t *testing.T) {
		for _, object := range []bool{false, true} {
			p := start(t, sandbox.Config{Quirks: sandbox.Quirks{TencentEmptyObject: object}})
			id := p.create(nil)["meeting_id"].(string)
			b := []byte(`{"userid":"operator","instanceid":1,"reason_code":1}`)
			resp, body, err := p.do(p.tencentRequest(http.MethodPost, "/v1/meetings/"+id+"/cancel", b))
			require.NoError(t, err)
			assert.Equal(t, 200, resp.StatusCode)
			assert.Equal(t, map[bool]string{false: "", true: "{}"}[object], string(body))
		}
	})
	t.Run("ListDelay", func(t *testing.T) {
		p := start(t, sandbox.Config{Quirks: sandbox.Quirks{ListDelay: time.Minute}})
		p.create(nil)
		_, answer := p.tencent(http.MethodGet, "/v1/meetings?userid=operator&instanceid=1", nil)
		assert.EqualValues(t, 0, answer["meeting_number"])
		p.clock.Advance(time.Minute)
		_, answer = p.tencent(http.MethodGet, "/v1/meetings?userid=operator&instanceid=1", nil)
		assert.EqualValues(t, 1, answer["meeting_number"])
	})
	t.Run("IgnoreUnknown", func(t *testing.T) {
		p := start(t, sandbox.Config{Quirks: sandbox.Quirks{IgnoreUnknown: true}})
		p.create(object{"brand_new": 1})
	})
}

func FuzzTencent(f *testing.F) {
	f.Add("POST", "/v1/meetings", `{"userid":"operator","instanceid":1,"subject":"s","type":1,"start_time":"1772424000","end_time":"1772427600"}`)
	f.Add("POST", "/v1/meetings/1/live_play/live-stream-address", `{"userid":"operator","instanceid":1,"push_stream_info":[{"platform_type":2,"platform_name":"QuermQ==","enable_push_addres":true,"push_address":"rtmp://a/b","push_password":"k"}]}`)
	f.Add("GET", "/v1/meetings?userid=operator&instanceid=1&pos=18446744073709551616&cursory=-0", "")
	f.Add("GET", "/v1/meetings/1/participants?userid=operator&pos=9223372036854775807&size=100", "")
	f.Add("POST", "/v1/meetings/1/dismiss", `null`)
	s := sandbox.New(sandbox.Config{Quirks: sandbox.Quirks{CallsPerMinute: -1, CallsPerDay: -1, CreatesPerHour: -1}})
	cfg := s.Config()
	f.Fuzz(func(t *testing.T, method, target, body string) {
		if method != http.MethodGet && method != http.MethodPost {
			return
		}
		n, ts := strconv.FormatUint(nonce.Add(1), 10), strconv.FormatInt(time.Now().Unix(), 10)
		signature := sign(cfg.TencentSecretKey.Reveal(), method, cfg.TencentSecretID, n, ts, target, []byte(body))
		status, answer := serve(t, s, method, target, body, "application/json", http.Header{
			"X-Tc-Key": {cfg.TencentSecretID}, "X-Tc-Nonce": {n}, "X-Tc-Timestamp": {ts}, "X-Tc-Signature": {signature},
			"X-Tc-Registered": {"1"}, "Appid": {cfg.TencentAppID},
		})
		if strings.HasPrefix(target, "/v1/") && len(answer) > 0 {
			c := code(decode(t, answer))
			require.NotEqual(t, 200003, c, "what is signed as it is sent is accepted")
			require.Equal(t, status == http.StatusOK, c == 0)
		}
	})
}

func TestAQuickMeetingStartsWhenItIsMade(t *testing.T) {
	asked := strconv.FormatInt(epoch.Add(-3*time.Minute).Unix(), 10)
	for keeps, want := range map[bool]string{false: strconv.FormatInt(epoch.Unix(), 10), true: asked} {
		p := start(t, sandbox.Config{Quirks: sandbox.Quirks{QuickKeepsStart: keeps}})
		assert.Equal(t, want, p.create(object{"start_time": asked})["start_time"])
		assert.Equal(t, asked, p.create(object{"type": 0, "start_time": asked})["start_time"], "a scheduled one when it is to")
	}
}

func TestCreateMayNotTellTheLiveAddress(t *testing.T) {
	p := start(t, sandbox.Config{Quirks: sandbox.Quirks{NoLiveAddr: true}})
	assert.NotContains(t, p.create(object{"enable_live": true})["live_config"], "live_addr")
}

func TestMeetingsAtOnceAreLimited(t *testing.T) {
	p := start(t, sandbox.Config{Quirks: sandbox.Quirks{MostAtOnce: 1}})
	id := p.create(nil)["meeting_id"].(string)
	status, answer := p.tencent(http.MethodPost, "/v1/meetings", createBody(p))
	assert.Equal(t, http.StatusInternalServerError, status)
	assert.Equal(t, 9098, code(answer))
	require.NoError(t, p.s.End(id))
	p.create(nil)
}

func TestARefusalCanBeAskedFor(t *testing.T) {
	p := start(t, sandbox.Config{})
	p.s.Fault(sandbox.Fault{Endpoint: sandbox.TencentCreate, Kind: sandbox.Refusal, Code: 500125, Message: "no", After: true})
	status, answer := p.tencent(http.MethodPost, "/v1/meetings", createBody(p))
	assert.Equal(t, http.StatusInternalServerError, status)
	assert.Equal(t, 500125, code(answer))
	assert.Len(t, p.s.Meetings(), 1, "it was made all the same")

	p.s.Fault(sandbox.Fault{Endpoint: sandbox.SystecInstant, Kind: sandbox.Refusal, Code: 50012, Message: "预约方数超过购买方数上限(25)"})
	assert.Equal(t, object{"status": 50012., "message": "预约方数超过购买方数上限(25)"}, p.systec("/share/instant", "topic", "t", "meeting_capacity", "25"))
}
