package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// screen has what the bot writes, read while it does.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// clear forgets what was written.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.Reset()
}

// await returns what matched first.
func (s *screen) await(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	var found []string
	if !assert.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		found = re.FindStringSubmatch(s.b.String())
		return found != nil
	}, time.Minute, 5*time.Millisecond) {
		s.mu.Lock()
		defer s.mu.Unlock()
		require.Failf(t, "not written", "%s in:\n%s", pattern, s.b.String())
	}
	return found
}

// TestTheSandboxsShow starts and ends a live on the sandbox's page, as a host does in the
// client, and reads the card.
func TestTheSandboxsShow(t *testing.T) {
	t.Parallel()
	in, lines := io.Pipe()
	out := &screen{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	env := map[string]string{"DATA_DIR": private(t), "TENCENT_USERS": ""}
	go func() {
		done <- run(ctx, process{
			args: []string{"console"}, lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
			stdin: in, stdout: out, stderr: out,
		})
	}()
	_, err := io.WriteString(lines, "/meet --provider tencent --live Show\n")
	require.NoError(t, err)
	page := out.await(t, `Join +(http://127\.0\.0\.1:\d+/dm/\S+)\s`)[1]
	key := out.await(t, `Host key +(\d{6})\s`)[1]

	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := &http.Client{Jar: jar}
	act := func(action string) {
		resp, err := client.PostForm(page, url.Values{"action": {action}, "name": {"host"}, "host_key": {key}})
		require.NoError(t, err)
		_ = resp.Body.Close() // only its status is looked at
		assert.Equal(t, http.StatusOK, resp.StatusCode, action)
	}
	act("enter")
	out.await(t, `Status +Running since`)
	act("live")
	out.await(t, `Status +Live since`)
	act("end")
	out.await(t, `Status +Ended at`)
	require.NoError(t, lines.Close())
	assert.NoError(t, <-done)
}

// TestASecondPersonIsPlayed pushes to a protected destination in the terminal, as whoever
// tries the bot does.
func TestASecondPersonIsPlayed(t *testing.T) {
	t.Parallel()
	in, lines := io.Pipe()
	out := &screen{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	env := map[string]string{"DATA_DIR": private(t)}
	go func() {
		done <- run(ctx, process{
			args: []string{"console"}, lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
			stdin: in, stdout: out, stderr: out,
		})
	}()
	say := func(line string) {
		_, err := io.WriteString(lines, line+"\n")
		require.NoError(t, err)
	}
	say("/meet --provider tencent --live Show")
	say("/livepush save vip --url rtmp://ingest.example.com/app --key k12345678 --protected")
	say("/livepush to vip")
	approve := out.await(t, `@ben (\d+) approves`)[1]
	say("/livepush log") // what waits does not hold up others
	out.await(t, `Live push changes in`)
	say(approve)
	out.await(t, `You can't approve your own request`)
	say("@ben " + approve)
	out.await(t, `only @ben sees this\n.*Approved`)
	out.await(t, `1 of 1 set`)
	require.NoError(t, lines.Close())
	assert.Error(t, <-done, "the requester's own approval was refused")
}

// TestTheSandboxsLinksWorkForThoseWhoSeeThem: people in Slack sit elsewhere.
func TestTheSandboxsLinksWorkForThoseWhoSeeThem(t *testing.T) {
	t.Parallel()
	const here = "only on the machine that I run on"
	said := func(t *testing.T, public bool) (said, web string) {
		w := newWorld(t)
		w.without("DISCORD_")
		w.without("SYSTEC_")
		w.without("TENCENT_")
		w.set("MEET_PROVIDER", "sandbox")
		web = freeAddr(t)
		if public {
			w.set("HTTP_ADDR", web, "PUBLIC_URL", "http://"+web+"/")
		}
		start(t, w.env, io.Discard)
		_, err := w.slack.Deliver(t.Context(), w.slack.Socket(), w.slack.Slash("C1", "U1", "/meet", "--provider tencent Show"), 0)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			said = ""
			for _, m := range w.slack.Messages() {
				said += string(m.Blocks) + m.Text
			}
			return strings.Contains(said, "/dm/")
		}, 20*time.Second, 10*time.Millisecond)
		return said, web
	}
	t.Run("WithoutAnAddress", func(t *testing.T) {
		t.Parallel()
		text, _ := said(t, false)
		assert.Contains(t, text, here)
	})
	t.Run("WithPublicURL", func(t *testing.T) {
		t.Parallel()
		text, web := said(t, true)
		assert.NotContains(t, text, here)
		assert.NotContains(t, text, "http://127.0.0.1:0")
		link := regexp.MustCompile(`http://` + regexp.QuoteMeta(web) + `/sandbox/dm/[\w-]+`).FindString(text)
		require.NotEmpty(t, link, text)
		resp, err := http.PostForm(link, url.Values{"action": {"enter"}, "name": {"guest"}})
		require.NoError(t, err)
		defer resp.Body.Close() //nolint:errcheck // only read
		page, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		assert.Equal(t, link, resp.Request.URL.String(), "back on the page")
		assert.Contains(t, string(page), "Running")
		for _, path := range []string{"/sandbox/v1/meetings", "/sandbox/umeeting/share/list", "/v1/meetings", "/dm/x"} {
			code, _ := fetch(web, path)
			assert.Equal(t, http.StatusNotFound, code, "%s: the APIs are nobody's business", path)
		}
	})
}
