package keypage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
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
	"meetbot/bot/livepush"
	"meetbot/bot/texts"
	"meetbot/bot/webpage"
	"meetbot/config/secret"
	"meetbot/meeting"
)

const (
	testToken = "ABCDEFGHIJKLMNOPQRSTUVWX23"
	canary    = "canary-key-91d2"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// fakeLinks has one link.
type fakeLinks struct {
	mu     sync.Mutex
	form   commands.KeyForm
	err    error // of both methods
	submit func(commands.KeyEntry) (commands.KeyResult, error)
	looked int
	got    []commands.KeyEntry
}

func (f *fakeLinks) LookKey(_ context.Context, token string) (commands.KeyForm, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looked++
	if token != testToken {
		return commands.KeyForm{}, commands.ErrLinkGone
	}
	return f.form, f.err
}

func (f *fakeLinks) SubmitKey(_ context.Context, _ string, e commands.KeyEntry) (commands.KeyResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, e)
	if f.submit != nil {
		return f.submit(e)
	}
	return commands.KeyResult{Form: f.form, Name: e.Name, Preset: e.Preset, URL: e.URL, Fingerprint: "0123456789ab"}, nil
}

func saveForm(locale string) commands.KeyForm {
	return commands.KeyForm{
		Locale: locale, Place: chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "C1"}, Person: "Ann <b>", Verb: grammar.VerbPushSave,
		Until: now.Add(9*time.Minute + 30*time.Second), Preset: "bilibili",
	}
}

func newTestPage(t *testing.T, links Links) (*httptest.Server, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	h, err := New(Config{Links: links, Log: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now }})
	require.NoError(t, err)
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv, &log
}

type answer struct {
	*http.Response
	body string
}

func do(t *testing.T, method, target string, form url.Values, header ...string) answer {
	t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, body)
	require.NoError(t, err)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return answer{res, string(b)}
}

func filled(more ...string) url.Values {
	v := url.Values{"form": {formToken(testToken)}, "preset": {"bilibili"}, "name": {"bili"}, "url": {""}, "key": {"?streamname=" + canary}}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

func TestTheFormIsServedAndFetchingItChangesNothing(t *testing.T) {
	links := &fakeLinks{form: saveForm("en")}
	srv, _ := newTestPage(t, links)
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodGet} {
		res := do(t, method, srv.URL+Path+testToken, nil)
		assert.Equal(t, http.StatusOK, res.StatusCode)
		if method == http.MethodGet {
			assert.Contains(t, res.body, "Save a destination")
			assert.Contains(t, res.body, "For Ann &lt;b&gt;")
			assert.Contains(t, res.body, `<option value="bilibili" selected>`)
			assert.Contains(t, res.body, "within 9 min")
			assert.Contains(t, res.body, formToken(testToken))
			assert.NotContains(t, res.body, testToken, "the page need not know its address")
		}
	}
	assert.Empty(t, links.got)
}

func TestEveryAnswerIsDefended(t *testing.T) {
	links := &fakeLinks{form: saveForm("en")}
	srv, _ := newTestPage(t, links)
	for _, tt := range []struct {
		name, method, path string
		form               url.Values
	}{
		{"Form", http.MethodGet, Path + testToken, nil},
		{"Unknown", http.MethodGet, Path + "other", nil},
		{"Accepted", http.MethodPost, Path + testToken, filled()},
		{"Refused", http.MethodPost, Path + testToken, url.Values{}},
		{"NotAMethod", http.MethodPut, Path + testToken, nil},
		{"NotAPath", http.MethodGet, Path, nil},
		{"NotAPathEither", http.MethodGet, Path + testToken + "/x", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := do(t, tt.method, srv.URL+tt.path, tt.form)
			csp := res.Header.Get("Content-Security-Policy")
			for _, part := range []string{"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'", "style-src 'sha256-"} {
				assert.Contains(t, csp, part)
			}
			assert.NotContains(t, csp, "unsafe")
			assert.Equal(t, "no-store", res.Header.Get("Cache-Control"))
			assert.Equal(t, "no-referrer", res.Header.Get("Referrer-Policy"))
			assert.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
			assert.Equal(t, "DENY", res.Header.Get("X-Frame-Options"))
			assert.Equal(t, "same-origin", res.Header.Get("Cross-Origin-Resource-Policy"))
			assert.NotEmpty(t, res.Header.Get("Permissions-Policy"))
			assert.NotContains(t, res.body, "<script")
			assert.NotContains(t, res.body, " style=", "the policy forbids it")
			assert.NotContains(t, res.body, canary)
		})
	}
}

func TestWhatWasTypedIsHandedOnOnce(t *testing.T) {
	links := &fakeLinks{form: saveForm("en")}
	srv, log := newTestPage(t, links)
	res := do(t, http.MethodPost, srv.URL+Path+testToken, filled("url", "rtmp://live-push.bilivideo.com/live-bvc/", "override", "yes"))
	require.Equal(t, http.StatusOK, res.StatusCode, res.body)
	require.Len(t, links.got, 1)
	assert.Equal(t, "?streamname="+canary, links.got[0].Key.Reveal())
	links.got[0].Key = secret.String{}
	assert.Equal(t, commands.KeyEntry{Preset: "bilibili", Name: "bili", URL: "rtmp://live-push.bilivideo.com/live-bvc/", Override: true}, links.got[0])
	assert.Contains(t, res.body, "Received: bili")
	assert.Contains(t, res.body, "0123 4567 89ab")
	assert.Contains(t, res.body, "will send you the result in Slack")
	assert.NotContains(t, res.body+log.String(), canary)
}

func TestFaultsStandBesideTheirFieldsAndTheKeyIsNotRepeated(t *testing.T) {
	links := &fakeLinks{form: saveForm("en")}
	links.submit = func(e commands.KeyEntry) (commands.KeyResult, error) {
		_, findings := livepush.PresetByID("facebook").Check("rtmp://live-api-s.facebook.com/rtmp/", e.Key, now)
		e.Key = secret.String{}
		return commands.KeyResult{}, &commands.KeyFaults{Findings: append(livepush.CheckPushName(e.Name), findings...), Entry: e}
	}
	srv, _ := newTestPage(t, links)
	res := do(t, http.MethodPost, srv.URL+Path+testToken, filled("preset", "facebook", "name", "much too long", "url", "rtmp://live-api-s.facebook.com/rtmp/"))
	assert.Equal(t, http.StatusUnprocessableEntity, res.StatusCode)
	assert.Contains(t, res.body, `<option value="facebook" selected>`)
	assert.Regexp(t, `<input id="name"[^>]* value="much too long"[^>]* aria-invalid="true" autofocus>`, res.body)
	assert.Regexp(t, `<input id="url"[^>]* value="rtmp://live-api-s\.facebook\.com/rtmp/"[^>]* aria-describedby="url-fault-0 url-hint" aria-invalid="true">`, res.body)
	assert.Contains(t, res.body, `<p class="fault" id="url-fault-0">Facebook only accepts rtmps://`)
	assert.Regexp(t, `<input type="password" id="key"`, res.body)
	assert.NotRegexp(t, `<input type="password"[^>]* value=`, res.body)
	assert.NotContains(t, res.body, `name="override"`, "limits cannot be overridden")
	assert.NotContains(t, res.body, canary)
	assert.Equal(t, 1, strings.Count(res.body, "autofocus"))
}

func TestWarningsCanBeOverridden(t *testing.T) {
	links := &fakeLinks{form: saveForm("zh-CN")}
	links.submit = func(e commands.KeyEntry) (commands.KeyResult, error) {
		_, findings := livepush.PresetByID("twitch").Check("rtmp://live.twitch.tv/app", secret.New("live_1_a?bandwidthtest=true"), now)
		return commands.KeyResult{}, &commands.KeyFaults{Findings: findings, Entry: commands.KeyEntry{Preset: "twitch", Name: e.Name}}
	}
	srv, _ := newTestPage(t, links)
	res := do(t, http.MethodPost, srv.URL+Path+testToken, filled())
	assert.Contains(t, res.body, `<input type="checkbox" name="override"`)
	assert.Contains(t, res.body, "bandwidthtest=true 时，Twitch 会把推流当作测速")
}

func TestALinkThatDoesNotWorkSaysWhy(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error
		status int
		en, zh string
	}{
		{"Gone", commands.ErrLinkGone, 404, "This link doesn&#39;t work", "链接无效"},
		{"Used", commands.ErrLinkUsed, 404, "This link has been used", "链接已使用"},
		{"Refused", errors.Join(commands.ErrLinkRefused, errors.New("look-up failed")), 403, "You no longer have permission", "没有权限"},
		{"Internal", errors.New("store is away"), 500, "Something went wrong", "出错了"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			links := &fakeLinks{err: tt.err}
			srv, _ := newTestPage(t, links)
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				var form url.Values
				if method == http.MethodPost {
					form = filled()
				}
				for accept, want := range map[string]string{"": tt.en, "fr, zh;q=0.5": tt.en, "zh-TW, en;q=0.5": tt.zh, "\xff;;": tt.en} {
					res := do(t, method, srv.URL+Path+testToken, form, "Accept-Language", accept)
					assert.Equal(t, tt.status, res.StatusCode)
					assert.Contains(t, res.body, want)
					assert.NotContains(t, res.body, "store is away")
				}
			}
			assert.Empty(t, links.got)
		})
	}
}

func TestUnknownExpiredAndMalformedLinksLookAlike(t *testing.T) {
	links := &fakeLinks{form: saveForm("en"), err: commands.ErrLinkGone}
	srv, _ := newTestPage(t, links)
	expired := do(t, http.MethodGet, srv.URL+Path+testToken, nil)
	for _, token := range []string{"unknown", "%00", "a%2Fb", "%F0%9F%8E%AC", strings.Repeat("A", 129)} {
		res := do(t, http.MethodGet, srv.URL+Path+token, nil)
		assert.Equal(t, expired.StatusCode, res.StatusCode, token)
		assert.Equal(t, expired.body, res.body, token)
	}
	assert.Equal(t, 2, links.looked, "what cannot be a token is not looked up")
}

func TestOnlyThePagesOwnFormIsAccepted(t *testing.T) {
	for _, tt := range []struct {
		name   string
		form   url.Values
		header []string
		status int
	}{
		{"SameOrigin", filled(), []string{"Sec-Fetch-Site", "same-origin", "Origin", "null"}, 200},
		{"OldBrowser", filled(), nil, 200},
		{"OldBrowserWithoutReferrer", filled(), []string{"Origin", "null"}, 200},
		{"OldBrowserWithoutReferrerAndToken", filled("form", "x"), []string{"Origin", "null"}, 403},
		{"SandboxedFrame", filled(), []string{"Sec-Fetch-Site", "cross-site", "Origin", "null"}, 403},
		{"OtherSite", filled(), []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"SiblingSite", filled(), []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"OldBrowserOtherOrigin", filled(), []string{"Origin", "https://evil.example"}, 403},
		{"NoFormToken", filled("form", ""), []string{"Sec-Fetch-Site", "same-origin"}, 403},
		{"AnotherLinksFormToken", filled("form", formToken("other")), []string{"Sec-Fetch-Site", "same-origin"}, 403},
		{"PlainText", filled(), []string{"Content-Type", "text/plain"}, 403},
		{"NotAForm", filled(), []string{"Content-Type", "application/json"}, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			links := &fakeLinks{form: saveForm("en")}
			srv, _ := newTestPage(t, links)
			res := do(t, http.MethodPost, srv.URL+Path+testToken, tt.form, tt.header...)
			assert.Equal(t, tt.status, res.StatusCode)
			assert.Len(t, links.got, map[bool]int{true: 1}[tt.status == 200])
		})
	}
}

func TestTheKeyIsNotTakenFromTheAddressLine(t *testing.T) {
	links := &fakeLinks{form: saveForm("en")}
	srv, _ := newTestPage(t, links)
	do(t, http.MethodPost, srv.URL+Path+testToken+"?key=inthequery&form="+formToken(testToken), filled("key", ""))
	require.Len(t, links.got, 1)
	assert.True(t, links.got[0].Key.IsZero())
}

func TestTheProxysHostNameIsNotAnotherSite(t *testing.T) {
	links := &fakeLinks{form: saveForm("en")}
	h, err := New(Config{Links: links, PublicURL: "https://bot.example.com/", Now: func() time.Time { return now }})
	require.NoError(t, err)
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	res := do(t, http.MethodPost, srv.URL+Path+testToken, filled(), "Origin", "https://bot.example.com")
	assert.Equal(t, http.StatusOK, res.StatusCode)

	for _, bad := range []string{"bot.example.com", "https://", ":"} {
		_, err = New(Config{Links: links, PublicURL: bad})
		require.Error(t, err, bad)
	}
}

func TestTooMuchTextIsRefused(t *testing.T) {
	links := &fakeLinks{form: saveForm("en")}
	srv, _ := newTestPage(t, links)
	res := do(t, http.MethodPost, srv.URL+Path+testToken, filled("key", strings.Repeat("k", maxBody)))
	assert.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
	assert.Contains(t, res.body, "No stream key is that long")
	assert.Empty(t, links.got)
}

// blocked never answers before its context ends.
type blocked struct{ entered chan struct{} }

func (b blocked) LookKey(ctx context.Context, _ string) (commands.KeyForm, error) {
	b.entered <- struct{}{}
	<-ctx.Done()
	return commands.KeyForm{}, ctx.Err()
}

func (b blocked) SubmitKey(context.Context, string, commands.KeyEntry) (commands.KeyResult, error) {
	return commands.KeyResult{}, errors.New("not reached")
}

func TestManyRequestsAtOnceCostABoundedAmountOfWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := blocked{make(chan struct{}, 1000)}
		h, err := New(Config{Links: b})
		require.NoError(t, err)
		codes := make(chan int, 1000)
		for range slots + 100 {
			go func() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, Path+testToken, nil))
				codes <- w.Code
			}()
		}
		synctest.Wait()
		assert.Len(t, b.entered, slots)
		time.Sleep(webpage.Deadline)
		synctest.Wait()
		got := map[int]int{}
		for range slots + 100 {
			got[<-codes]++
		}
		assert.Equal(t, map[int]int{http.StatusServiceUnavailable: 100, http.StatusInternalServerError: slots}, got)
	})
}

func TestEveryTextOfThePageIsThere(t *testing.T) {
	id := regexp.MustCompile(`keypage\.[a-z.]+`)
	push := saveForm("")
	push.Verb, push.Meeting, push.Fixed, push.Name, push.Preset = grammar.VerbPush, "周会", true, "抖音", "douyin"
	push.Place.Platform = chattest.Console
	warnings := func(name string) []livepush.Finding {
		_, fs := livepush.PresetByID("twitch").Check("rtmp://a.rtmp.youtube.com", secret.New("x y"), now)
		return append(livepush.CheckPushName(name), fs...)
	}
	for _, locale := range texts.Locales {
		for i, form := range []commands.KeyForm{saveForm(locale), push} {
			form.Locale = locale
			links := &fakeLinks{form: form}
			links.submit = func(e commands.KeyEntry) (commands.KeyResult, error) {
				if e.Override {
					return commands.KeyResult{Form: form, Name: "x", Preset: "twitch", Split: true, Fingerprint: "0123"}, nil
				}
				return commands.KeyResult{}, &commands.KeyFaults{Findings: warnings("")}
			}
			srv, _ := newTestPage(t, links)
			for _, res := range []answer{
				do(t, http.MethodGet, srv.URL+Path+testToken, nil), do(t, http.MethodPost, srv.URL+Path+testToken, filled()),
				do(t, http.MethodPost, srv.URL+Path+testToken, filled("override", "yes")),
			} {
				assert.Equal(t, locale, res.Header.Get("Content-Language"))
				assert.Contains(t, res.body, fmt.Sprintf(`<html lang=%q>`, locale))
				assert.Empty(t, id.FindAllString(res.body, -1), "%s %d", locale, i)
				assert.NotContains(t, res.body, "<no value>")
			}
		}
		for _, n := range []notice{noticeGone, noticeUsed, noticeRefused, noticeForeign, noticeLarge, noticeBusy, noticeInternal} {
			v := noticeView(texts.For(locale), n)
			assert.Empty(t, id.FindAllString(v.Title+v.Notice, -1), n.id)
		}
		for _, p := range []chat.Platform{chattest.Slack, chattest.Discord, chattest.Console} {
			assert.True(t, texts.For(locale).Has("platform."+string(p)))
		}
	}
}

func TestASavedDestinationsNameAndPlatformAreShownAndNotAsked(t *testing.T) {
	links := &fakeLinks{form: commands.KeyForm{
		Locale: "zh-CN", Place: chat.Place{Platform: chattest.Discord, Channel: "12"}, Verb: grammar.VerbPush, Meeting: "周五秀 · 806 146 667", Until: now,
		Provider: meeting.Words{EN: "Acme", ZH: "顶点会议"},
		Preset:   "wechat", Name: "视频号", Fixed: true, NameFixed: true,
	}}
	srv, _ := newTestPage(t, links)
	res := do(t, http.MethodGet, srv.URL+Path+testToken, nil)
	assert.NotContains(t, res.body, "<select")
	assert.NotContains(t, res.body, `name="name"`)
	assert.Contains(t, res.body, `<p class="fixed">视频号</p>`)
	assert.Contains(t, res.body, `<p class="fixed">周五秀 · 806 146 667</p>`)
	assert.Contains(t, res.body, "每场直播都会更换密钥")
	assert.Contains(t, res.body, "设置推流不等于开播：请主持人在顶点会议客户端中开始直播。")
	assert.Contains(t, res.body, "再由机器人发送给顶点会议。")
	assert.Contains(t, res.body, "1 分钟内有效")
}

func TestThePageSaysWhatItIsForAndLeadsBack(t *testing.T) {
	for _, tt := range []struct{ name, back, want string }{
		{"ToAConversation", "https://chat.example/open?channel=C1&team=T1", "https://chat.example/open?channel=C1&amp;team=T1"},
		{"WhereTheChatHasNoAddress", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			form := saveForm("en")
			form.Back, form.Name, form.NameFixed = tt.back, "youtube <1>", true
			srv, _ := newTestPage(t, &fakeLinks{form: form})
			for _, res := range []answer{do(t, http.MethodGet, srv.URL+Path+testToken, nil), do(t, http.MethodPost, srv.URL+Path+testToken, filled())} {
				require.Equal(t, http.StatusOK, res.StatusCode)
				if tt.want == "" {
					assert.NotContains(t, res.body, "<a href")
				} else {
					assert.Contains(t, res.body, `<a href="`+tt.want+`">Back to `)
				}
			}
			assert.Contains(t, do(t, http.MethodGet, srv.URL+Path+testToken, nil).body, "<h1>Save destination youtube &lt;1&gt;</h1>")
		})
	}
}

func TestABrowserRefusesWhatTheBotWould(t *testing.T) {
	whole := func(pattern string) *regexp.Regexp { return regexp.MustCompile("^(?:" + pattern + ")$") }
	name, address, key := whole(namePattern), whole(urlPattern), whole(keyPattern)
	for _, s := range []string{"bili", " 周五 秀 ", "b", "می\u200cخواهم", "🎬"} {
		assert.Regexp(t, name, s)
	}
	for _, s := range []string{"", "  ", "a,b", "a、b", "，"} {
		assert.NotRegexp(t, name, s)
	}
	for _, s := range []string{"rtmp://h/app", " RTMPS://h:443/rtmp/ ", "rtmp：／／h/app", "rtmp://a.rtmp.youtube.com/live2/abcd?x=1"} {
		assert.Regexp(t, address, s)
	}
	for _, s := range []string{"http://h/app", "rtmp://", "h/app", "rtmp://h/a pp"} {
		assert.NotRegexp(t, address, s)
	}
	assert.Regexp(t, key, " ?streamname=a&key=b\t")
	assert.NotRegexp(t, key, "two words")
}

func TestEveryPresetHasItsHint(t *testing.T) {
	for _, p := range livepush.Presets() {
		assert.Contains(t, pageStyle, "form:has([value="+p.ID+"]:checked) ."+p.ID)
		assert.NotEqual(t, meeting.PushPlatform(0), p.Platform)
	}
}
