package sandbox_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/meeting/sandbox"
)

func TestInstantAnswersAsDocumented(t *testing.T) {
	p := start(t, sandbox.Config{})
	data := p.instant("allow_live_streaming", "true", "user_key", "job-1", "duration", "60")

	assert.ElementsMatch(t, []string{
		"host_key", "join_url", "meeting_id", "start_time", "host_id", "token", "start_url", "play_addr", "watch_url",
	}, keys(data))
	assert.Regexp(t, `^\d{10}$`, data["meeting_id"])
	assert.Regexp(t, `^\d{6}$`, data["host_key"])
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+/s/\d+\?zak=[\w-]+\.[\w-]+\.[\w-]+$`, data["start_url"])

	m, ok := p.s.Meeting(data["meeting_id"].(string))
	require.True(t, ok)
	assert.Equal(t, sandbox.Waiting, m.State)
	assert.Equal(t, "周会", m.Topic)
	assert.Equal(t, 25, m.Capacity)
	assert.Equal(t, time.Hour, m.Planned)
	assert.Equal(t, map[string]string{
		"topic": "周会", "meeting_capacity": "25", "allow_live_streaming": "true", "user_key": "job-1", "duration": "60",
	}, m.SystecParams)
	assert.Equal(t, 1, p.s.Created("job-1"))
}

func keys(o object) []string {
	var out []string
	for k := range o {
		out = append(out, k)
	}
	return out
}

func TestInstantWithoutLiveHasNoWatchLinks(t *testing.T) {
	p := start(t, sandbox.Config{})
	data := p.instant()
	assert.NotContains(t, data, "watch_url")
	assert.NotContains(t, data, "play_addr")
}

func TestInstantChecksEveryParameter(t *testing.T) {
	p := start(t, sandbox.Config{Capacity: map[int]int{25: 100, 500: 0}})
	for _, tt := range []struct {
		name  string
		pairs []string
		ok    bool
	}{
		{"Minimal", nil, true},
		{"TopicBlank", []string{"topic", " "}, false},
		{"TopicNotUTF8", []string{"topic", "\xff"}, false},
		{"CapacityMissing", []string{"meeting_capacity", ""}, false},
		{"CapacityNotANumber", []string{"meeting_capacity", "25x"}, false},
		{"CapacityHuge", []string{"meeting_capacity", "99999999999999999999"}, false},
		{"CapacityNotLicensed", []string{"meeting_capacity", "30"}, false},
		{"CapacityTierWithoutLicence", []string{"meeting_capacity", "500"}, false},
		{"Duration30", []string{"duration", "30"}, false},
		{"Duration31", []string{"duration", "31"}, true},
		{"DurationEmpty", []string{"duration", ""}, false},
		{"DurationNegative", []string{"duration", "-60"}, false},
		{"UserKey200Bytes", []string{"user_key", strings.Repeat("k", 200)}, true},
		{"UserKey201Bytes", []string{"user_key", strings.Repeat("k", 201)}, false},
		{"UserKey67Characters201Bytes", []string{"user_key", strings.Repeat("会", 67)}, false},
		{"RecordingCloud", []string{"recording", "cloud"}, true},
		{"RecordingNone", []string{"recording", "none"}, true},
		{"RecordingLocal", []string{"recording", "local"}, false},
		{"BooleanTrue", []string{"option_jbh", "true", "waiting_room", "false"}, true},
		{"BooleanOne", []string{"option_jbh", "1"}, false},
		{"BooleanCapital", []string{"mute_upon_entry", "True"}, false},
		{"BooleanEmpty", []string{"use_pmi", ""}, false},
		{"UnknownParameter", []string{"mute", "true"}, false},
		{"AllDocumented", []string{
			"option_jbh", "true", "user_key", "u", "duration", "45", "mute_upon_entry", "true", "use_pmi", "false", "option_host_video", "true",
			"option_participants_video", "false", "recording", "none", "allow_live_streaming", "true", "host_name", "王", "waiting_room", "true",
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := p
			p.t = t
			before := len(p.s.Meetings())
			answer := p.systec("/share/instant", append([]string{"topic", "t", "meeting_capacity", "25"}, tt.pairs...)...)
			assert.Equal(t, tt.ok, answer["status"] == float64(200), "%v", answer)
			assert.Equal(t, tt.ok, len(p.s.Meetings()) == before+1)
			if !tt.ok {
				assert.NotEmpty(t, answer["message"])
				assert.NotContains(t, answer, "data")
			}
		})
	}
}

func TestSystecTakesOnlyFormsWithCredentials(t *testing.T) {
	p := start(t, sandbox.Config{})
	good := p.form("topic", "t", "meeting_capacity", "25").Encode()
	target := p.s.SystecURL() + "/share/instant"
	without := func(name string) string {
		form := p.form("topic", "t", "meeting_capacity", "25")
		form.Del(name)
		return form.Encode()
	}
	for _, tt := range []struct {
		name                              string
		method, target, contentType, body string
		want                              float64
	}{
		{"Good", "POST", target, "application/x-www-form-urlencoded", good, 200},
		{"WithCharset", "POST", target, "application/x-www-form-urlencoded; charset=utf-8", good, 200},
		{"JSON", "POST", target, "application/json", `{"topic":"t"}`, 400},
		{"NoContentType", "POST", target, "", good, 400},
		{"GET", "GET", target, "application/x-www-form-urlencoded", good, 405},
		{"ParametersInTheQuery", "POST", target + "?" + good, "application/x-www-form-urlencoded", "", 400},
		{"NoKey", "POST", target, "application/x-www-form-urlencoded", without("api_key"), 401},
		{"NoSecret", "POST", target, "application/x-www-form-urlencoded", without("api_secret"), 401},
		{"RepeatedParameter", "POST", target, "application/x-www-form-urlencoded", good + "&topic=u", 400},
		{"BrokenEscape", "POST", target, "application/x-www-form-urlencoded", good + "&host_name=%zz", 400},
		{"UnknownEndpoint", "POST", p.s.SystecURL() + "/share/nothing", "application/x-www-form-urlencoded", good, 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := p
			p.t = t
			resp, body, err := p.do(p.request(tt.method, tt.target, tt.contentType, []byte(tt.body)))
			require.NoError(t, err)
			assert.Equal(t, http.StatusOK, resp.StatusCode, "failures come with HTTP 200")
			assert.Equal(t, tt.want, decode(t, body)["status"], "%s", body)
			assert.NotContains(t, string(body), p.s.Config().SystecSecret.Reveal())
		})
	}
}

func TestCapacityRunsOut(t *testing.T) {
	p := start(t, sandbox.Config{Capacity: map[int]int{10: 1}})
	id := p.instant("meeting_capacity", "10")["meeting_id"].(string)
	assert.EqualValues(t, 403, p.systec("/share/instant", "topic", "t", "meeting_capacity", "10")["status"])
	require.NoError(t, p.s.End(id))
	p.instant("meeting_capacity", "10")

	licences := p.systec("/licensing")["data"].(object)
	assert.Equal(t, object{"payType": "1", "expire_date": nil, "capacity": object{"10": float64(1)}}, licences)
}

func TestSystecLifeCycle(t *testing.T) {
	p := start(t, sandbox.Config{})
	data := p.instant("user_key", "u1")
	id := data["meeting_id"].(string)
	get := func() object { return p.systec("/share/get", "meeting_id", id)["data"].(object) }

	m := get()
	assert.Equal(t, "0", m["status"])
	assert.Equal(t, "0", m["del_flag"])
	assert.Equal(t, "u1", m["user_Key"])
	assert.Equal(t, data["join_url"], m["join_url"])
	assert.Equal(t, "2026-03-02 12:00:00", m["start_time"], "in Beijing's time")

	require.NoError(t, p.s.Join(id, "guest"))
	assert.Equal(t, "1", get()["status"])
	p.clock.Advance(time.Hour)
	assert.Equal(t, "1", get()["status"], "a meeting that was joined is not deleted")
	assert.EqualValues(t, 409, p.systec("/share/delete", "id", id)["status"])

	answer := p.systec("/share/end", "id", id)
	assert.Equal(t, object{"status": float64(200), "message": "OK"}, answer, "no data")
	assert.Equal(t, "3", get()["status"])
	assert.EqualValues(t, 409, p.systec("/share/end", "id", id)["status"])
	assert.EqualValues(t, 409, p.systec("/share/getStartUrl", "id", id)["status"])

	other := p.instant()["meeting_id"].(string)
	assert.EqualValues(t, 200, p.systec("/share/delete", "id", other)["status"])
	assert.Equal(t, "2", p.systec("/share/get", "meeting_id", other)["data"].(object)["status"])

	for _, op := range []string{"get", "token"} {
		assert.EqualValues(t, 404, p.systec("/share/"+op, "meeting_id", "1234567890")["status"])
	}
	for _, op := range []string{"end", "delete", "getStartUrl"} {
		assert.EqualValues(t, 404, p.systec("/share/"+op, "id", "1234567890")["status"])
	}
}

func TestMeetingNobodyJoinsIsDeletedAfter30Minutes(t *testing.T) {
	for _, forgets := range []bool{false, true} {
		p := start(t, sandbox.Config{Quirks: sandbox.Quirks{SystecForgetsDeleted: forgets}})
		id := p.instant()["meeting_id"].(string)
		p.clock.Advance(30*time.Minute - time.Second)
		assert.Equal(t, "0", p.systec("/share/get", "meeting_id", id)["data"].(object)["status"])
		p.clock.Advance(time.Second)
		answer := p.systec("/share/get", "meeting_id", id)
		if forgets {
			assert.EqualValues(t, 404, answer["status"])
		} else {
			assert.Equal(t, "1", answer["data"].(object)["del_flag"])
		}
		require.ErrorIs(t, p.s.Join(id, "late"), sandbox.ErrState)
		m, _ := p.s.Meeting(id)
		assert.Equal(t, sandbox.Deleted, m.State)
		assert.Empty(t, listed(p), "not in the list any more")
	}
}

func listed(p peer, pairs ...string) []any {
	p.t.Helper()
	return p.systec("/share/list", pairs...)["data"].(object)["meetings"].([]any)
}

func TestListPagesAndFilters(t *testing.T) {
	p := start(t, sandbox.Config{})
	var ids []any
	for range 5 {
		ids = append(ids, p.instant("user_key", "many")["meeting_id"])
	}
	mine := p.instant("user_key", "one")["meeting_id"]

	page := p.systec("/share/list", "user_key", "many", "page_size", "2", "page_number", "2")["data"].(object)
	list := page["meetings"].([]any)
	delete(page, "meetings")
	assert.Equal(t, object{
		"page_num": 2., "page_size": 2., "total_record": 5., "total_page": 3., "has_previous_page": true, "has_next_page": true,
	}, page)
	require.Len(t, list, 2)
	assert.Equal(t, ids[2], list[0].(object)["id"])
	assert.Equal(t, 0., list[0].(object)["status"], "a number here, a string in get")

	assert.Len(t, listed(p), 6)
	assert.Len(t, listed(p, "user_key", "many", "page_size", "2", "page_number", "3"), 1)
	assert.Empty(t, listed(p, "user_key", "many", "page_size", "2", "page_number", "4"))
	assert.Empty(t, listed(p, "user_key", "nobody"))
	assert.Empty(t, listed(p, "user_key", ""))
	assert.Equal(t, mine, listed(p, "user_key", "one")[0].(object)["id"])
	for _, bad := range []string{"0", "-1", "x", ""} {
		assert.EqualValues(t, 400, p.systec("/share/list", "page_number", bad)["status"], bad)
	}

	require.NoError(t, p.s.Join(mine.(string), "g"))
	require.NoError(t, p.s.End(mine.(string)))
	assert.Empty(t, listed(p, "user_key", "one"))
	history := p.systec("/share/history")["data"].(object)["meetings"].([]any)
	require.Len(t, history, 1)
	assert.Equal(t, 3., history[0].(object)["status"])
	assert.NotEmpty(t, history[0].(object)["end_time"])
}

func TestListDelayHidesNewMeetings(t *testing.T) {
	p := start(t, sandbox.Config{Quirks: sandbox.Quirks{ListDelay: time.Minute}})
	id := p.instant()["meeting_id"]
	assert.Empty(t, listed(p))
	assert.EqualValues(t, 200, p.systec("/share/get", "meeting_id", id.(string))["status"], "get knows at once")
	p.clock.Advance(time.Minute)
	assert.Len(t, listed(p), 1)
}

func TestSystecQuirks(t *testing.T) {
	t.Run("FailureStatus", func(t *testing.T) {
		for quirk, want := range map[int]int{0: 200, 500: 500, -1: 404} {
			p := start(t, sandbox.Config{Quirks: sandbox.Quirks{SystecFailureStatus: quirk}})
			resp, body, err := p.do(p.systecRequest("/share/get", p.form("meeting_id", "1")))
			require.NoError(t, err)
			assert.Equal(t, want, resp.StatusCode)
			assert.Equal(t, 404., decode(t, body)["status"])
		}
	})
	t.Run("SwapNumbers", func(t *testing.T) {
		p := start(t, sandbox.Config{Quirks: sandbox.Quirks{SystecSwapNumbers: true}})
		answer := p.systec("/share/instant", "topic", "2026", "meeting_capacity", "25")
		assert.Equal(t, "200", answer["status"])
		id := answer["data"].(object)["meeting_id"].(float64)
		assert.IsType(t, "", answer["data"].(object)["host_key"], "digits that are no number stay")
		list := p.systec("/share/list")["data"].(object)
		assert.Equal(t, "1", list["total_record"])
		m := list["meetings"].([]any)[0].(object)
		assert.Equal(t, id, m["id"])
		assert.Equal(t, "0", m["status"])
		assert.Equal(t, "2026", m["topic"])
	})
	t.Run("Shape2018", func(t *testing.T) {
		p := start(t, sandbox.Config{Quirks: sandbox.Quirks{Systec2018: true}})
		data := p.instant("allow_live_streaming", "true")
		assert.ElementsMatch(t, []string{"host_key", "meeting_id", "host_id", "token"}, keys(data))
		assert.Regexp(t, `^\d{11}$`, data["meeting_id"])
		assert.Empty(t, data["token"])
	})
	t.Run("IgnoreUnknown", func(t *testing.T) {
		p := start(t, sandbox.Config{Quirks: sandbox.Quirks{IgnoreUnknown: true}})
		p.instant("something", "new")
	})
}

func FuzzSystec(f *testing.F) {
	f.Add("/share/instant", "topic=%E5%91%A8%E4%BC%9A&meeting_capacity=25&duration=31")
	f.Add("/share/list", "page_size=1&page_number=999999999")
	f.Add("/share/get", "meeting_id=1591620888")
	f.Add("/share/getStartUrl", "id=")
	f.Add("/licensing", "&&=;%00")
	s := sandbox.New(sandbox.Config{Quirks: sandbox.Quirks{SystecSwapNumbers: true}})
	cfg := s.Config()
	f.Fuzz(func(t *testing.T, op, form string) {
		credentials := url.Values{"api_key": {cfg.SystecKey}, "api_secret": {cfg.SystecSecret.Reveal()}}
		status, body := serve(t, s, http.MethodPost, "/umeeting"+op, form+"&"+credentials.Encode(), "application/x-www-form-urlencoded", nil)
		if strings.HasPrefix(op, "/share/") && status == http.StatusOK {
			require.Contains(t, decode(t, body), "status")
		}
	})
}

func TestThePersonalNumberIsTheSameEveryTime(t *testing.T) {
	p := start(t, sandbox.Config{})
	first, other, second := p.instant("use_pmi", "true"), p.instant(), p.instant("use_pmi", "true", "topic", "second")
	assert.Equal(t, first["meeting_id"], second["meeting_id"])
	assert.NotEqual(t, first["meeting_id"], other["meeting_id"])
	assert.NotEqual(t, first["host_key"], second["host_key"])
	m, _ := p.s.Meeting(second["meeting_id"].(string))
	assert.Equal(t, "second", m.Topic, "the number is the newest meeting's")
	states := map[string]sandbox.State{}
	for _, m := range p.s.Meetings() {
		states[m.Topic+m.HostKey.Reveal()] = m.State
	}
	assert.Equal(t, sandbox.Ended, states["周会"+first["host_key"].(string)])
	assert.Equal(t, sandbox.Waiting, states["second"+second["host_key"].(string)])
}

func TestListsMayHeedNoUserKey(t *testing.T) {
	for all, want := range map[bool]float64{false: 1, true: 2} {
		p := start(t, sandbox.Config{Quirks: sandbox.Quirks{SystecListsAll: all}})
		p.instant("user_key", "job-1")
		p.instant("user_key", "job-2")
		assert.Equal(t, want, p.systec("/share/list", "user_key", "job-1")["data"].(object)["total_record"])
	}
}

func TestFreeRooms(t *testing.T) {
	p := start(t, sandbox.Config{Capacity: map[int]int{25: 2}})
	p.instant()
	ask := func(pairs ...string) object { return p.systec("/share/freeRooms", pairs...) }
	assert.Equal(t, object{"total": 2., "free": 1.}, ask("meeting_capacity", "25", "start_time", "2026-08-01 12:00:00", "duration", "60")["data"])
	assert.Equal(t, object{"total": 0., "free": 0.}, ask("meeting_capacity", "100", "start_time", "2026-08-01 12:00:00", "duration", "60")["data"])
	for _, bad := range [][]string{
		{"meeting_capacity", "25", "start_time", "2026-08-01T12:00:00Z", "duration", "60"},
		{"meeting_capacity", "25", "start_time", "2026-08-01 12:00:00", "duration", "30"},
		{"meeting_capacity", "x", "start_time", "2026-08-01 12:00:00", "duration", "60"},
		{"meeting_capacity", "25", "start_time", "2026-08-01 12:00:00"},
	} {
		assert.NotEqual(t, 200., ask(bad...)["status"], "%v", bad)
	}
}
