package signed_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"meetbot/bot/signed"
)

// signedBy is a Gate that takes what has the header "signed", over a body that is not "forged".
func signedBy(rejected *atomic.Int32) *signed.Gate {
	return signed.New(signed.Scheme{
		Sent:  func(h http.Header) (time.Time, bool) { return time.Time{}, h.Get("signed") != "" },
		Valid: func(_ *http.Request, body []byte) bool { return string(body) != "forged" },
	}, time.Now, func(signed.Reason) { rejected.Add(1) }, slog.New(slog.DiscardHandler))
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
	for _, n := range []int{0, 1, 511, 512, 16 << 10, 16<<10 + 1, signed.MaxBody} {
		want := bytes.Repeat([]byte{'x'}, n)
		assert.Equal(t, http.StatusOK, send(bytes.NewReader(want), "yes"), n)
		assert.True(t, bytes.Equal(want, got), n)
		assert.Equal(t, http.StatusOK, send(struct{ io.Reader }{bytes.NewReader(want)}, "yes"), "%d in chunks", n)
		assert.True(t, bytes.Equal(want, got), n)
	}
	assert.Zero(t, rejected.Load())
	assert.Equal(t, http.StatusRequestEntityTooLarge, send(bytes.NewReader(make([]byte, signed.MaxBody+1)), "yes"))
	assert.Equal(t, http.StatusRequestEntityTooLarge, send(struct{ io.Reader }{bytes.NewReader(make([]byte, signed.MaxBody+1))}, "yes"))
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
			codes <- send(&endless{max: signed.MaxBody - 1, full: full, end: end})
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
	assert.Equal(t, http.StatusOK, send(bytes.NewReader(make([]byte, signed.MaxBody))), "what they took is given back")
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

// TestARefusalLeavesATrace: one line a minute and reason, from which a wrong secret, a wrong
// clock and an attack can be told apart.
func TestARefusalLeavesATrace(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var log strings.Builder
	counted := map[signed.Reason]int{}
	seen := map[string]bool{}
	h := signed.New(signed.Scheme{
		Sent: func(h http.Header) (time.Time, bool) {
			n, err := strconv.ParseInt(h.Get("time"), 10, 64)
			return time.Unix(n, 0), err == nil
		},
		Old: 5 * time.Minute, Ahead: time.Minute,
		Valid: func(_ *http.Request, body []byte) bool { return string(body) != "canary-forged" },
		First: func(_ *http.Request, body []byte) bool {
			first := !seen[string(body)]
			seen[string(body)] = true
			return first
		},
	}, func() time.Time { return now }, func(r signed.Reason) { counted[r]++ },
		slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))).Handler(func(http.ResponseWriter, *http.Request, []byte, time.Time) {})
	send := func(at, body string) int {
		r := httptest.NewRequest(http.MethodPost, "/canary-path", strings.NewReader(body))
		r.Header.Set("time", at)
		w := httptest.NewRecorder()
		h(w, r)
		return w.Code
	}
	at := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	assert.Equal(t, http.StatusUnauthorized, send("canary-time", ""))
	assert.Equal(t, http.StatusUnauthorized, send(at(-6*time.Minute), ""))
	assert.Equal(t, http.StatusUnauthorized, send(at(-7*time.Minute), ""))
	assert.Equal(t, http.StatusUnauthorized, send(at(-8*time.Minute), ""))
	assert.Equal(t, http.StatusUnauthorized, send(at(-3*time.Second), "canary-forged"))
	assert.Equal(t, http.StatusOK, send(at(time.Minute), "a"))
	assert.Equal(t, http.StatusUnauthorized, send(at(time.Minute), "a"))
	assert.Equal(t, http.StatusRequestEntityTooLarge, send(at(0), strings.Repeat("x", signed.MaxBody+1)))
	now = now.Add(time.Minute)
	assert.Equal(t, http.StatusUnauthorized, send(at(61*time.Second), ""))
	assert.Equal(t, http.StatusUnauthorized, send("9223372036854775807", ""), "no overflow makes it fresh")
	assert.Equal(t, http.StatusUnauthorized, send(strconv.FormatInt(math.MinInt64+now.Unix(), 10), ""), "nor this")
	assert.Equal(t, map[signed.Reason]int{signed.Unsigned: 1, signed.Stale: 6, signed.Forged: 1, signed.Repeated: 1, signed.TooLarge: 1}, counted)
	assert.Equal(t, strings.Join([]string{
		`level=WARN msg="requests refused" reason=unsigned count=1`,
		`level=WARN msg="requests refused" reason=stale count=1 age=6m0s`,
		`level=WARN msg="requests refused" reason=wrong_signature count=1 age=3s`,
		`level=WARN msg="requests refused" reason=repeated count=1 age=-1m0s`,
		`level=WARN msg="requests refused" reason=too_large count=1 age=0s`,
		`level=WARN msg="requests refused" reason=stale count=3 age=-1m1s`,
		``}, "\n"), log.String())
}
