package clienttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/meeting"
)

// Call is one operation of a client with arguments that it accepts.
type Call[C any] struct {
	Name    string
	Mutates bool
	Meeting bool // its arguments name one
	Do      func(*testing.T, C) error
}

// Wire is a client of either provider that talks to whatever a test serves.
type Wire[C any] struct {
	// Open returns a client of the API at base, with a time limit of some seconds.
	Open  func(t *testing.T, base string) C
	Calls []Call[C]
	// End ends a meeting.
	End func(context.Context, C) error
	// Odd are answers that only this provider's client could take for an answer.
	Odd []Odd

	// Secrets are parts of what the client is configured with and sends.
	Secrets []string
	// Config returns what the client was configured with.
	Config func(C) any
	// Refusals are formats of answers in the provider's own form, with something quoted.
	Refusals map[string]Answered
}

// Odd is an answer that tells nothing about what was done.
type Odd struct {
	Name, Body string
	Status     int
}

// Answered is an answer with a verb for a text.
type Answered struct {
	Status int
	Format string
}

// Serve runs a handler under a path prefix, which catches absolute paths, and returns the
// base of the API.
func Serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return srv.URL + "/prefix/"
}

// Answer is a handler that always says the same.
func Answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// Run runs the suite.
func (w Wire[C]) Run(t *testing.T) {
	t.Run("AnswersThatAreNotTheAPIs", w.notTheAPIs)
	t.Run("SentAndNotAnswered", w.notAnswered)
	t.Run("NoErrorLeaksASecret", w.leaksNothing)
}

func (w Wire[C]) notTheAPIs(t *testing.T) {
	const html = "<html><body>proxy</body></html>"
	type answer struct {
		name          string
		status        int
		header        http.Header
		body          string
		reads, writes error
		after         time.Duration
	}
	answers := []answer{
		{name: "HTMLFromProxy502", status: 502, body: html, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "HTMLFromProxy504", status: 504, body: html, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "Empty503", status: 503, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "CaptivePortal200", status: 200, body: html, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "CutOffJSON", status: 200, body: `{"meeting_info_list":[{"meet`, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "JSONArray", status: 200, body: `[]`, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "JSONString", status: 200, body: `"ok"`, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "TooLong", status: 200, body: `{"x":"` + strings.Repeat("x", 1<<20) + `"}`, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "RequestTimeout", status: 408, body: html, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "NoSuchPath", status: 404, body: html, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "BadRequest", status: 400, body: html, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "Redirect", status: 307, header: http.Header{"Location": {"http://127.0.0.1:1/"}}, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "Unauthorized", status: 401, body: html, reads: meeting.ErrCredentials, writes: meeting.ErrOutcomeUnknown},
		{name: "Forbidden", status: 403, body: html, reads: meeting.ErrCredentials, writes: meeting.ErrOutcomeUnknown},
		{name: "Throttled", status: 429, header: http.Header{"Retry-After": {"7"}}, reads: meeting.ErrRateLimited, writes: meeting.ErrOutcomeUnknown, after: 7 * time.Second},
	}
	// What stands between writes JSON as well, in shapes of its own and in the provider's.
	for _, status := range []int{404, 408, 429, 500, 502, 503, 504} {
		reads := meeting.ErrUnavailable
		if status == http.StatusTooManyRequests {
			reads = meeting.ErrRateLimited
		}
		for shape, format := range map[string]string{
			"Message": `{"message":%q}`, "StatusAndMessage": `{"status":` + strconv.Itoa(status) + `,"message":%q}`, "Error": `{"error":%q}`,
		} {
			answers = append(answers, answer{
				name: fmt.Sprintf("Gateway%s%d", shape, status), status: status, body: fmt.Sprintf(format, http.StatusText(status)),
				reads: reads, writes: meeting.ErrOutcomeUnknown,
			})
		}
	}
	for _, odd := range w.Odd {
		answers = append(answers, answer{name: odd.Name, status: odd.Status, body: odd.Body, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown})
	}
	for _, tt := range answers {
		t.Run(tt.name, func(t *testing.T) {
			c := w.Open(t, Serve(t, func(rw http.ResponseWriter, r *http.Request) {
				for k, v := range tt.header {
					rw.Header()[k] = v
				}
				Answer(tt.status, tt.body)(rw, r)
			}))
			for _, op := range w.Calls {
				want := tt.reads
				if op.Mutates {
					want = tt.writes
				}
				err := op.Do(t, c)
				require.ErrorIs(t, err, want, op.Name)
				var got *meeting.APIError
				require.ErrorAs(t, err, &got, op.Name)
				assert.Equal(t, tt.status, got.Status, op.Name)
				assert.Equal(t, tt.after, got.RetryAfter, op.Name)
			}
		})
	}
}

// interrupt takes the connection over and hands it to f.
func interrupt(t *testing.T, f func(net.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if assert.NoError(t, err) {
			f(conn)
			_ = conn.Close()
		}
	}
}

func (w Wire[C]) notAnswered(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"reset":   interrupt(t, func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }),
		"garbage": interrupt(t, func(c net.Conn) { _, _ = io.WriteString(c, "canary-garbage\r\n\r\n") }),
		"cut off": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(rw, `{`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := w.Open(t, Serve(t, handler))
			for _, op := range w.Calls {
				want := meeting.ErrUnavailable
				if op.Mutates {
					want = meeting.ErrOutcomeUnknown
				}
				err := op.Do(t, c)
				require.ErrorIs(t, err, want, op.Name)
				assert.NotContains(t, err.Error(), "canary")
			}
		})
	}
	t.Run("cancelled while waiting", func(t *testing.T) {
		arrived := make(chan struct{}, 1)
		release := make(chan struct{})
		c := w.Open(t, Serve(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			arrived <- struct{}{}
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}))
		defer close(release)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-arrived; cancel() }()
		err := w.End(ctx, c)
		require.ErrorIs(t, err, meeting.ErrOutcomeUnknown)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func (w Wire[C]) leaksNothing(t *testing.T) {
	echo := func(status int, format string) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			rw.Header().Set("X-TC-Trace", "canary trace with blanks")
			rw.WriteHeader(status)
			_, _ = fmt.Fprintf(rw, format, string(body)+r.Header.Get("X-TC-Signature"))
		}
	}
	answers := map[string]http.HandlerFunc{
		"HTML":    echo(502, "<html>%s</html>"),
		"success": echo(200, `{"x":%q`),
		"redirect": func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "https://canary.invalid/canary", http.StatusTemporaryRedirect)
		},
		"broken": interrupt(t, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 canary-status\r\n\r\n") }),
	}
	for name, a := range w.Refusals {
		answers[name] = echo(a.Status, a.Format)
	}
	bases := map[string]string{"refused": "http://127.0.0.1:1"}
	for name, h := range answers {
		bases[name] = Serve(t, h)
	}
	for name, base := range bases {
		c := w.Open(t, base)
		cfg := w.Config(c)
		for _, op := range w.Calls {
			err := op.Do(t, c)
			if !assert.Error(t, err, "%s/%s", name, op.Name) {
				continue
			}
			var out bytes.Buffer
			_, _ = fmt.Fprintf(&out, "%v %+v %#v %q\n", err, err, err, err)
			timeless := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey { // whose digits may be a secret's by chance
					return slog.Attr{}
				}
				return a
			}}
			slog.New(slog.NewJSONHandler(&out, timeless)).Error("x", "err", err, "client", c, "config", cfg)
			slog.New(slog.NewTextHandler(&out, timeless)).Error("x", "err", err, "config", cfg)
			_, _ = fmt.Fprintf(&out, "%+v %#v %v", c, c, cfg)
			for _, s := range w.Secrets {
				assert.NotContains(t, out.String(), s, "%s/%s", name, op.Name)
			}
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Answering is an HTTP client that gets the same answer to everything, without a network.
func Answering(status int, body string) *http.Client {
	return &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		rec := httptest.NewRecorder()
		rec.WriteHeader(status)
		_, _ = rec.WriteString(body)
		return rec.Result(), nil
	})}
}

// OneKind holds that an error is of exactly one kind, by which callers branch.
func OneKind(t *testing.T, err error, op string) {
	t.Helper()
	n := 0
	for _, kind := range []error{
		meeting.ErrNotFound, meeting.ErrNotPermitted, meeting.ErrInvalid, meeting.ErrLimit, meeting.ErrRateLimited,
		meeting.ErrCredentials, meeting.ErrUnavailable, meeting.ErrOutcomeUnknown,
	} {
		if errors.Is(err, kind) {
			n++
		}
	}
	require.Equal(t, 1, n, "%s: %v", op, err)
}
