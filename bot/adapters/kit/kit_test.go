package kit_test

import (
	"bytes"
	"context"
	"errors"
	"image/png"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
)

const family = "👩‍👩‍👧‍👦"

func TestTextIsCountedInUTF16(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "周会": 2, "👍": 2, family: 11} {
		assert.Equal(t, want, kit.Len(s), s)
	}
}

func TestCutKeepsCharactersWhole(t *testing.T) {
	for _, tt := range []struct {
		in    string
		limit int
		want  string
		cut   bool
	}{
		{"周会", 2, "周会", false},
		{"周会好", 2, "周…", true},
		{"ab" + family + "c", 5, "ab…", true},
		{"ab" + family + "c", 14, "ab" + family + "c", false},
		{"ab" + family + "cd", 14, "ab" + family + "…", true},
		{"e\u0301e\u0301e\u0301", 4, "e\u0301…", true},
		{"", 0, "", false},
		{"a", 0, "", true},
	} {
		got, cut := kit.Cut(tt.in, tt.limit)
		assert.Equal(t, tt.want, got, "%q to %d", tt.in, tt.limit)
		assert.Equal(t, tt.cut, cut, "%q to %d", tt.in, tt.limit)
	}
}

func FuzzCut(f *testing.F) {
	f.Add("ab"+family, 5)
	f.Add(strings.Repeat("\u0301", 100), 3)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 0 || !utf8.ValidString(s) {
			t.Skip()
		}
		got, cut := kit.Cut(s, limit)
		require.LessOrEqual(t, len(utf16.Encode([]rune(got))), limit)
		require.Equal(t, !cut, got == s)
		require.True(t, strings.HasPrefix(s, strings.TrimSuffix(got, "…")))
	})
}

func TestPaceLetsOneThroughPerIntervalAndKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waits []time.Duration
		p := kit.NewPace(time.Second, 3*time.Second, func(d time.Duration) { waits = append(waits, d) })
		start := time.Now()
		for range 3 {
			require.NoError(t, p.Wait(t.Context(), "C1"))
		}
		assert.Equal(t, 2*time.Second, time.Since(start))
		require.NoError(t, p.Wait(t.Context(), "C2"))
		assert.Equal(t, 2*time.Second, time.Since(start), "another key does not wait")
		assert.Equal(t, []time.Duration{time.Second, time.Second}, waits)

		p.Hold("C2", time.Hour)
		p.Hold("C2", time.Minute) // does not shorten
		var limited *chat.RetryAfter
		require.ErrorAs(t, p.Wait(t.Context(), "C2"), &limited)
		assert.Equal(t, time.Hour, limited.After)
		time.Sleep(time.Hour)
		require.NoError(t, p.Wait(t.Context(), "C2"))

		p.Hold("C3", 2*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, p.Wait(ctx, "C3"), context.DeadlineExceeded)
	})
}

func TestSeenRemembersForAWhileAndStaysBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kit.NewSeen(time.Minute, 3)
		assert.True(t, s.First("a"))
		assert.False(t, s.First("a"))
		time.Sleep(2 * time.Minute)
		assert.True(t, s.First("a"))
		for _, k := range []string{"b", "c", "d", "e"} {
			assert.True(t, s.First(k))
		}
		assert.False(t, s.First("e"))
	})
}

var errBroken = errors.New("broken")

func TestScrubKeepsTheCauseAndNotTheURL(t *testing.T) {
	err := kit.Scrub(&url.Error{Op: "Post", URL: "https://hooks.example/canary", Err: errBroken})
	require.ErrorIs(t, err, errBroken)
	assert.NotContains(t, err.Error(), "canary")
	assert.Equal(t, errBroken, kit.Scrub(errBroken))
}

// net/http quotes an answer that it cannot read. It may be an echo of what was sent.
func TestScrubKeepsNothingFromTheWire(t *testing.T) {
	for _, answer := range []string{"HTTP/1.1 canary 200\r\n\r\n", "canary\r\n\r\n", "HTTP/1.1 200 OK\r\nAuthorization canary\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: canary\r\n\r\n"} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		go func() {
			if c, err := ln.Accept(); err == nil {
				_, _ = c.Read(make([]byte, 1000))
				_, _ = c.Write([]byte(answer))
				_ = c.Close()
			}
		}()
		client := kit.HTTPClient(nil)
		res, err := client.Get("http://" + ln.Addr().String() + "/canary-path")
		if err == nil {
			_ = res.Body.Close()
		}
		require.Error(t, err, answer)
		assert.NotContains(t, kit.Scrub(err).Error(), "canary")
		client.CloseIdleConnections()
		require.NoError(t, ln.Close())
	}
}

func TestQRCodeIsAnImage(t *testing.T) {
	b, err := kit.QR("https://meet.example/w/1")
	require.NoError(t, err)
	_, err = png.Decode(bytes.NewReader(b))
	require.NoError(t, err)
	_, err = kit.QR(strings.Repeat("x", 5000))
	require.Error(t, err)
}

func TestStoppedIsForGood(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	p := kit.NewPulse(func() time.Time { return now })
	assert.Equal(t, kit.Health{State: kit.Starting, Since: now}, p.Health())
	p.Set(kit.Running)
	assert.True(t, p.Health().Ready())
	p.Failed(errBroken)
	assert.True(t, p.Health().Ready(), "an error alone does not stop it")
	p.Set(kit.Stopped)
	p.Set(kit.Running)
	assert.Equal(t, kit.Health{State: kit.Stopped, Since: now, LastError: "broken", ErrorAt: now}, p.Health())
}

func TestAColonIsInTheWritingOfItsLabel(t *testing.T) {
	for label, want := range map[string]string{"Status": ": ", "状态": "：", "直播流（HLS）": "：", "B站": "：", "": ": ", "\xff": ": "} {
		if got := kit.Colon(label); got != want {
			t.Errorf("%q: %q", label, got)
		}
	}
}
