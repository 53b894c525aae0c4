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

type page struct {
	status int
	header http.Header
	body   string
}

func (p peer) page(link string) page {
	p.t.Helper()
	resp, body, err := p.do(p.request(http.MethodGet, link, "", nil))
	require.NoError(p.t, err)
	return page{resp.StatusCode, resp.Header, string(body)}
}

func (p peer) press(link string, pairs ...string) page {
	p.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	resp, body, err := p.do(p.request(http.MethodPost, link, "application/x-www-form-urlencoded", []byte(form.Encode())))
	require.NoError(p.t, err)
	return page{resp.StatusCode, resp.Header, string(body)}
}

func TestAPersonPlaysTheHostInTheBrowser(t *testing.T) {
	p := start(t, sandbox.Config{})
	data := p.instant("topic", "<b>周会</b> & more", "allow_live_streaming", "true")
	id := data["meeting_id"].(string)
	join, startLink, watch := data["join_url"].(string), data["start_url"].(string), data["watch_url"].(string)
	state := func() (sandbox.State, bool) {
		m, _ := p.s.Meeting(id)
		return m.State, m.Live
	}

	for _, link := range []string{join, startLink, watch} {
		got := p.page(link)
		assert.Equal(t, http.StatusOK, got.status)
		assert.Contains(t, got.body, "&lt;b&gt;周会&lt;/b&gt; &amp; more")
		assert.NotContains(t, got.body, "<b>")
		assert.Contains(t, got.body, id)
		assert.Contains(t, got.body, `data-state="waiting"`)
		assert.NotContains(t, got.body, "http", "nothing from elsewhere")
		assert.NotContains(t, got.body, data["host_key"])
		assert.Contains(t, got.header.Get("Content-Security-Policy"), "default-src 'none'")
		assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
		assert.Equal(t, "no-referrer", got.header.Get("Referrer-Policy"))
	}
	st, _ := state()
	assert.Equal(t, sandbox.Waiting, st, "opening a link changes nothing")
	assert.Equal(t, 404, p.page(data["play_addr"].(string)).status)

	done := p.press(join, "action", "enter", "name", "<i>小明</i>")
	assert.Equal(t, http.StatusSeeOther, done.status)
	assert.Equal(t, strings.TrimPrefix(join, p.s.TencentURL()), done.header.Get("Location"))
	assert.Contains(t, p.page(join).body, "&lt;i&gt;小明&lt;/i&gt;")
	assert.Contains(t, p.page(join).body, `data-state="running"`)

	assert.Equal(t, 403, p.press(join, "action", "live").status, "a guest needs the host key")
	assert.Equal(t, 403, p.press(join, "action", "end", "host_key", "000000").status)
	assert.Equal(t, 403, p.press(watch, "action", "enter").status)
	assert.Equal(t, 400, p.press(startLink, "action", "dance").status)

	assert.Equal(t, 303, p.press(startLink, "action", "host").status)
	assert.Equal(t, 303, p.press(startLink, "action", "live").status)
	_, live := state()
	assert.True(t, live)
	assert.Contains(t, p.page(watch).body, `data-live="true"`)
	assert.Contains(t, p.page(data["play_addr"].(string)).body, "#EXTM3U")
	assert.Equal(t, 303, p.press(startLink, "action", "unlive").status)
	assert.Equal(t, 303, p.press(join, "action", "end", "host_key", data["host_key"].(string)).status)
	st, live = state()
	assert.Equal(t, sandbox.Ended, st)
	assert.False(t, live)
	assert.Equal(t, 409, p.press(join, "action", "enter").status)
	assert.Contains(t, p.page(startLink).body, `data-state="ended"`)
	assert.NotContains(t, p.page(startLink).body, "<form")
}

func TestTencentJoinPage(t *testing.T) {
	p := start(t, sandbox.Config{})
	info := p.create(object{"password": "1234", "enable_host_key": true, "host_key": "654321", "enable_live": true})
	join, id := info["join_url"].(string), info["meeting_id"].(string)
	_, c := p.setPush(id, "operator", push("B站", "rtmp://a.example/live", "very-secret-key"))
	require.Zero(t, c)

	got := p.page(join)
	assert.Equal(t, 200, got.status)
	assert.Contains(t, got.body, "B站")
	for _, private := range []string{"very-secret-key", "rtmp://", "654321", "1234"} {
		assert.NotContains(t, strings.ReplaceAll(got.body, info["meeting_code"].(string), ""), private)
	}
	assert.Equal(t, 403, p.press(join, "action", "enter", "passcode", "4321").status)
	assert.Equal(t, 303, p.press(join, "action", "enter", "passcode", "1234").status)
	assert.Equal(t, 403, p.press(join, "action", "host").status)
	assert.Equal(t, 303, p.press(join, "action", "host", "host_key", "654321").status)
	m, _ := p.s.Meeting(id)
	assert.Equal(t, []string{"guest", "operator"}, m.Inside)

	assert.Equal(t, 303, p.press(p.create(nil)["join_url"].(string), "action", "host").status, "without a host key anyone may play the host")
}

func TestLinksCannotBeGuessed(t *testing.T) {
	p := start(t, sandbox.Config{})
	data := p.instant("allow_live_streaming", "true")
	other := p.instant()
	base := p.s.TencentURL()
	startLink := data["start_url"].(string)
	join := data["join_url"].(string)
	for _, link := range []string{
		base + "/", base + "/nothing", base + "/dm/", base + "/l/", base + "/l/x", base + "/hls/x/live.m3u8",
		strings.Split(join, "?")[0], join + "x",
		strings.Split(startLink, "?")[0], startLink[:len(startLink)-2], startLink + "A",
		strings.Replace(startLink, data["meeting_id"].(string), other["meeting_id"].(string), 1),
		strings.Replace(data["watch_url"].(string), "/l/", "/dm/", 1),
	} {
		assert.Equal(t, http.StatusNotFound, p.page(link).status, link)
	}
}

func TestStartLinkExpiresAfterTwoHours(t *testing.T) {
	p := start(t, sandbox.Config{})
	data := p.instant()
	id, link := data["meeting_id"].(string), data["start_url"].(string)
	require.NoError(t, p.s.Join(id, "guest")) // or it would be deleted
	p.clock.Advance(2*time.Hour - time.Second)
	assert.Equal(t, http.StatusOK, p.page(link).status)
	p.clock.Advance(time.Second)
	assert.Equal(t, http.StatusGone, p.page(link).status)
	assert.Equal(t, http.StatusGone, p.press(link, "action", "end").status)

	fresh := p.systec("/share/getStartUrl", "id", id)["data"].(object)["start_url"].(string)
	assert.Equal(t, http.StatusOK, p.page(fresh).status)
}

func TestOtherSitesCannotPressButtons(t *testing.T) {
	p := start(t, sandbox.Config{})
	data := p.instant()
	req := p.request(http.MethodPost, data["start_url"].(string), "application/x-www-form-urlencoded", []byte("action=end"))
	req.Header.Set("Origin", "https://evil.example")
	resp, _, err := p.do(req)
	require.NoError(t, err)
	assert.Equal(t, http.StatusForbidden, resp.StatusCode)
	m, _ := p.s.Meeting(data["meeting_id"].(string))
	assert.Equal(t, sandbox.Waiting, m.State)

	resp, _, err = p.do(p.request(http.MethodDelete, data["join_url"].(string), "", nil))
	require.NoError(t, err)
	assert.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
}

func TestPublicURLStartsTheLinks(t *testing.T) {
	p := start(t, sandbox.Config{PublicURL: "https://meet.example/sandbox/"})
	assert.True(t, strings.HasPrefix(p.instant()["join_url"].(string), "https://meet.example/sandbox/j/"))
}

func TestControlsKeepToTheState(t *testing.T) {
	p := start(t, sandbox.Config{})
	id := p.instant()["meeting_id"].(string)
	require.ErrorIs(t, p.s.Join("1", "u"), sandbox.ErrNoMeeting)
	require.ErrorIs(t, p.s.Leave(id, "u"), sandbox.ErrState)
	require.ErrorIs(t, p.s.StartLive(id), sandbox.ErrState, "nobody is in")
	require.NoError(t, p.s.Join(id, "u"))
	require.NoError(t, p.s.Join(id, "u"), "again changes nothing")
	require.ErrorIs(t, p.s.StartLive(id), sandbox.ErrState, "live is not enabled")
	require.NoError(t, p.s.End(id))
	require.ErrorIs(t, p.s.End(id), sandbox.ErrState)
	m, _ := p.s.Meeting(id)
	assert.Empty(t, m.Inside)
}

func TestTheHostKeyIsAskedForOnceABrowser(t *testing.T) {
	p := start(t, sandbox.Config{})
	data := p.instant("allow_live_streaming", "true")
	join, key := data["join_url"].(string), data["host_key"].(string)
	other := p.instant()["join_url"].(string)

	for _, typed := range []string{"", "  "} {
		got := p.press(join, "action", "host", "host_key", typed)
		assert.Equal(t, 403, got.status)
		assert.Contains(t, got.body, "Enter the host key.")
		assert.Empty(t, got.header.Values("Set-Cookie"))
	}
	wrong := p.press(join, "action", "host", "host_key", "000000")
	assert.Contains(t, wrong.body, "The host key is wrong.")
	assert.Empty(t, wrong.header.Values("Set-Cookie"))

	first := p.press(join, "action", "host", "host_key", key)
	require.Equal(t, 303, first.status)
	require.Len(t, first.header.Values("Set-Cookie"), 1)
	cookie, err := http.ParseSetCookie(first.header.Get("Set-Cookie"))
	require.NoError(t, err)
	assert.True(t, cookie.HttpOnly)
	assert.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	assert.True(t, cookie.Expires.IsZero() && cookie.MaxAge == 0, "gone with the browser")
	assert.NotContains(t, cookie.String(), key)
	assert.NotContains(t, first.header.Get("Location"), key)

	again := func(link, value string, pairs ...string) page {
		form := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			form.Set(pairs[i], pairs[i+1])
		}
		method, kind := http.MethodPost, "application/x-www-form-urlencoded"
		if len(pairs) == 0 {
			method, kind = http.MethodGet, ""
		}
		req := p.request(method, link, kind, []byte(form.Encode()))
		req.AddCookie(&http.Cookie{Name: cookie.Name, Value: value})
		resp, body, err := p.do(req)
		require.NoError(t, err)
		return page{resp.StatusCode, resp.Header, string(body)}
	}
	shown := again(join, cookie.Value)
	assert.NotContains(t, shown.body, `name="host_key"`)
	assert.Contains(t, shown.body, "This browser has given the host key")
	assert.NotContains(t, shown.body, key)
	assert.Equal(t, 303, again(join, cookie.Value, "action", "live").status)
	assert.Contains(t, p.page(join).body, `name="host_key"`, "another browser is asked")
	assert.Equal(t, 403, again(join, "forged", "action", "end").status)
	assert.Equal(t, 403, again(other, cookie.Value, "action", "host").status, "it is for one meeting")
	assert.Equal(t, 303, again(join, cookie.Value, "action", "end").status)
}
