package kit_test

import (
	"bytes"
	"context"
	"errors"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
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

// signedBy is a Signed that takes what has the header "signed", over a body that is not "forged".
func signedBy(rejected *atomic.Int32) *kit.Signed {
	return kit.NewSigned(
		func(h http.Header) bool { return h.Get("signed") != "" },
		func(_ http.Header, body []byte) bool { return string(body) != "forged" },
		func() { rejected.Add(1) },
	)
}

func TestABodyIsReadWholeOrNotAtAll(t *testing.T) {
	var rejected atomic.Int32
	var got []byte
	h := signedBy(&rejected).Handler(func(_ http.ResponseWriter, _ *http.Request, body []byte, _ time.Time) { got = body })
	send := func(body io.Reader, signed string) int {
		got = nil
		r := httptest.NewRequest(http.MethodPost, "/", body)
		r.Header.Set("signed", signed)
		w := httptest.NewRecorder()
		h(w, r)
		assert.Empty(t, w.Body.String(), "not a word")
		return w.Code
	}
	for _, n := range []int{0, 1, 511, 512, 16 << 10, 16<<10 + 1, kit.MaxBody} {
		want := bytes.Repeat([]byte{'x'}, n)
		assert.Equal(t, http.StatusOK, send(bytes.NewReader(want), "yes"), n)
		assert.True(t, bytes.Equal(want, got), n)
		assert.Equal(t, http.StatusOK, send(struct{ io.Reader }{bytes.NewReader(want)}, "yes"), "%d in chunks", n)
		assert.True(t, bytes.Equal(want, got), n)
	}
	assert.Zero(t, rejected.Load())
	assert.Equal(t, http.StatusRequestEntityTooLarge, send(bytes.NewReader(make([]byte, kit.MaxBody+1)), "yes"))
	assert.Equal(t, http.StatusRequestEntityTooLarge, send(struct{ io.Reader }{bytes.NewReader(make([]byte, kit.MaxBody+1))}, "yes"))
	assert.Equal(t, http.StatusUnauthorized, send(strings.NewReader("forged"), "yes"))
	assert.EqualValues(t, 3, rejected.Load())
	assert.Equal(t, http.StatusBadRequest, send(io.MultiReader(strings.NewReader("x"), errReader{}), "yes"))
	assert.Nil(t, got)
}

func TestABodyWithoutASignatureIsNotRead(t *testing.T) {
	var rejected atomic.Int32
	r := httptest.NewRequest(http.MethodPost, "/", errReader{t})
	w := httptest.NewRecorder()
	signedBy(&rejected).Handler(nil)(w, r)
	assert.Equal(t, http.StatusUnauthorized, w.Code)
	assert.EqualValues(t, 1, rejected.Load())
}

// TestBodiesInFlightShareABudget: large bodies that do not end take no more memory than the
// budget, and do not keep a small one out.
func TestBodiesInFlightShareABudget(t *testing.T) {
	var rejected atomic.Int32
	h := signedBy(&rejected).Handler(func(http.ResponseWriter, *http.Request, []byte, time.Time) {})
	send := func(body io.Reader) int {
		r := httptest.NewRequest(http.MethodPost, "/", body)
		r.Header.Set("signed", "yes")
		w := httptest.NewRecorder()
		h(w, r)
		return w.Code
	}
	end := make(chan struct{})
	var waiting, over sync.WaitGroup
	codes := make(chan int, 40)
	for range 40 {
		waiting.Add(1)
		full := sync.OnceFunc(waiting.Done)
		over.Go(func() {
			codes <- send(&endless{max: kit.MaxBody - 1, full: full, end: end})
			full()
		})
	}
	waiting.Wait() // each is whole but for its end, or refused
	assert.Equal(t, http.StatusOK, send(strings.NewReader("small")))
	close(end)
	over.Wait()
	close(codes)
	count := map[int]int{}
	for c := range codes {
		count[c]++
	}
	assert.Positive(t, count[http.StatusOK])
	assert.LessOrEqual(t, count[http.StatusOK], 20, "16 MiB hold no more")
	assert.Equal(t, 40, count[http.StatusOK]+count[http.StatusServiceUnavailable], "%v", count)
	assert.Equal(t, http.StatusOK, send(bytes.NewReader(make([]byte, kit.MaxBody))), "what they took is given back")
}

// endless is a body that does not end before it is told to.
type endless struct {
	n, max int
	full   func()
	end    chan struct{}
}

func (e *endless) Read(b []byte) (int, error) {
	if e.n >= e.max {
		e.full()
		<-e.end
		return 0, io.EOF
	}
	n := min(len(b), e.max-e.n)
	e.n += n
	return n, nil
}

var errBroken = errors.New("broken")

type errReader struct{ t *testing.T }

func (r errReader) Read([]byte) (int, error) {
	if r.t != nil {
		r.t.Error("the body is read")
	}
	return 0, errBroken
}

func TestScrubKeepsTheCauseAndNotTheURL(t *testing.T) {
	err := kit.Scrub(&url.Error{Op: "Post", URL: "https://hooks.example/canary", Err: errBroken})
	require.ErrorIs(t, err, errBroken)
	assert.NotContains(t, err.Error(), "canary")
	assert.Equal(t, errBroken, kit.Scrub(errBroken))
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
