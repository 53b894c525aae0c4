package keypage

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/commands"
	"meetbot/bot/livepush"
	"meetbot/bot/texts"
	"meetbot/config/secret"
)

// newBrowser starts Chromium, or skips the test where there is none.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome", "headless-shell"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium in PATH: install one (Debian: apt-get install chromium) to test the page in a browser")
	}
	allocated, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
	)...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocated)
	t.Cleanup(cancel)
	// The first Run starts the browser, and its context is the browser's life.
	require.NoError(t, chromedp.Do(ctx))
	ctx, cancel = context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// picture writes a screenshot of the page where SCREENSHOTS names a directory.
func picture(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		dir := os.Getenv("SCREENSHOTS")
		if dir == "" {
			return nil
		}
		png, err := chromedp.FullScreenshot(100)(ctx, target)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600)
	})
}

// ask evaluates a JavaScript expression in the page, from outside of its policy.
func ask[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	require.NoError(t, err)
	return v
}

func textOf(t *testing.T, ctx context.Context, selector string) string {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(selector)))
	require.NoError(t, err)
	return v
}

// browserLinks judges as the bot does, with one warning for a key named test.
func browserLinks(locale string) *fakeLinks {
	f := &fakeLinks{form: saveForm(locale)}
	f.form.Person = "Ann"
	f.submit = func(e commands.KeyEntry) (commands.KeyResult, error) {
		_, findings := livepush.PresetByID(e.Preset).Check(e.URL, e.Key, now)
		if len(findings) > 0 && (livepush.Limits(findings) || !e.Override) {
			e.Key = secret.String{}
			return commands.KeyResult{}, &commands.KeyFaults{Findings: findings, Entry: e}
		}
		f.err = commands.ErrLinkUsed
		return commands.KeyResult{Form: f.form, Name: e.Name, Preset: e.Preset, URL: e.URL, Fingerprint: "9f2c01d47ab3"}, nil
	}
	return f
}

const (
	phoneWidth, phoneHeight     = 390, 844
	desktopWidth, desktopHeight = 1280, 900
)

func TestThePageWorksInABrowserWithAKeyboardAlone(t *testing.T) {
	ctx := newBrowser(t)
	for _, tt := range []struct {
		locale, faults, done, used string
		width, height              int64
	}{
		{"en", "Fix these fields", "Received: tw", "This link has been used", phoneWidth, phoneHeight},
		{"zh-CN", "请修改以下内容", "已收到：tw", "链接已使用", desktopWidth, desktopHeight},
	} {
		t.Run(tt.locale, func(t *testing.T) {
			links := browserLinks(tt.locale)
			srv, _ := newTestPage(t, links)
			address := srv.URL + Path + testToken
			key := "live_1_" + canary + "?bandwidthtest=true"
			require.NoError(t, chromedp.Do(ctx,
				chromedp.EmulateViewport(tt.width, tt.height),
				chromedp.Navigate(address),
				picture(tt.locale+"-1-form"),
			))
			assert.False(t, ask[bool](t, ctx, `document.documentElement.scrollWidth > document.documentElement.clientWidth`), "it scrolls sideways")
			assert.NotEqual(t, "rgba(0, 0, 0, 0)", ask[string](t, ctx, `getComputedStyle(document.querySelector('button')).backgroundColor`), "the policy lets the style through")

			// Preset, name, address, key, each reached with the Tab key.
			require.NoError(t, chromedp.Do(ctx,
				chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent("Tw"),
				chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent("tw"),
				chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent("rtmp://live.twitch.tv/app"),
				chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(key),
				picture(tt.locale+"-2-filled"),
			))
			assert.Equal(t, "key password", ask[string](t, ctx, `document.activeElement.id + ' ' + document.activeElement.type`))
			assert.Equal(t, "hint twitch", ask[string](t, ctx,
				`[...document.querySelectorAll('.hint')].filter(h => getComputedStyle(h).display != 'none').map(h => h.className).join()`),
				"the hint follows the choice without a script")

			require.NoError(t, chromedp.Do(ctx,
				chromedp.KeyEvent(kb.Enter),
				chromedp.WaitVisible(chromedp.CSS(".faults")),
				picture(tt.locale+"-3-faults"),
			))
			assert.Contains(t, textOf(t, ctx, "#faults"), tt.faults)
			assert.Equal(t, []string{"twitch", "tw", "rtmp://live.twitch.tv/app", ""},
				ask[[]string](t, ctx, `['preset', 'name', 'url', 'key'].map(id => document.getElementById(id).value)`), "what was typed is kept, but for the key")
			assert.Equal(t, "key", ask[string](t, ctx, `document.activeElement.id`), "the focus is where the fault is")

			require.NoError(t, chromedp.Do(ctx,
				chromedp.KeyEvent(key),
				chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(" "),
				chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter),
				chromedp.WaitVisible(chromedp.CSS(".outcome.good")),
				picture(tt.locale+"-4-done"),
			))
			assert.Contains(t, textOf(t, ctx, "h1"), tt.done)
			assert.NotContains(t, ask[string](t, ctx, `document.documentElement.outerHTML`), canary)
			require.Len(t, links.got, 2)
			assert.Equal(t, key, links.got[1].Key.Reveal())
			assert.Equal(t, "twitch", links.got[1].Preset)
			assert.True(t, links.got[1].Override)

			require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(address), picture(tt.locale+"-5-used")))
			assert.Contains(t, textOf(t, ctx, "h1"), tt.used)
		})
	}
}

// TestNothingIsCutAtAnyWidth looks at the form and at its faults, on the narrowest phone, a usual one and
// a desktop.
func TestNothingIsCutAtAnyWidth(t *testing.T) {
	ctx := newBrowser(t)
	cut := `[...document.querySelectorAll('html, main *')].filter(e => getComputedStyle(e).display != 'inline' && e.scrollWidth > e.clientWidth + 1).map(e => e.outerHTML.slice(0, 120))`
	for _, locale := range texts.Locales {
		for _, width := range []int64{320, phoneWidth, desktopWidth} {
			name := fmt.Sprintf("%s-%d", locale, width)
			links := browserLinks(locale)
			links.form.Person = "A person with an uncommonly long name, in two languages 名字特别长的一位同事"
			srv, _ := newTestPage(t, links)
			require.NoError(t, chromedp.Do(ctx,
				chromedp.EmulateViewport(width, phoneHeight), chromedp.Navigate(srv.URL+Path+testToken), picture(name+"-form"),
			))
			assert.Empty(t, ask[[]string](t, ctx, cut), name)
			ask[bool](t, ctx, `['name', 'url', 'key'].every(id => document.getElementById(id).value = id == 'url' ? 'rtmp://'+'long.'.repeat(40)+'example.com/live?secret=12345678901234567890' : 'bilibili01')
				&& !(document.querySelector('form').noValidate = true, document.querySelector('button').click())`)
			require.NoError(t, chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS(".faults")), picture(name+"-faults")))
			assert.Empty(t, ask[[]string](t, ctx, strings.Replace(cut, "filter(e =>", "filter(e => e.tagName != 'INPUT' &&", 1)), name+", with faults")
		}
	}
}

func TestABrowserKeepsAnotherSiteOut(t *testing.T) {
	ctx := newBrowser(t)
	links := browserLinks("en")
	srv, _ := newTestPage(t, links)
	// Another origin that knows even the link and its form token.
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<iframe src="` + srv.URL + Path + testToken + `"></iframe>
<form method="post" action="` + srv.URL + Path + testToken + `"><input name="form" value="` + formToken(testToken) + `"><input name="key" value="k"><button>go</button></form>`))
	}))
	t.Cleanup(evil.Close)
	// A host name of its own, so that it is another site, not only another port.
	other := strings.Replace(evil.URL, "127.0.0.1", "localhost", 1)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(other)))
	assert.False(t, ask[bool](t, ctx, `(() => { try { return !!frames[0].document.querySelector('form') } catch { return false } })()`), "framed")
	require.NoError(t, chromedp.Do(ctx,
		chromedp.Click(chromedp.CSS("button")),
		chromedp.WaitVisible(chromedp.CSS(".outcome")),
	))
	assert.Equal(t, "Sent from another page", textOf(t, ctx, "h1"))
	assert.Empty(t, links.got)
}
