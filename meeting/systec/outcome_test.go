package systec

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/meeting"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAnswersThatAreNotTheAPIs(t *testing.T) {
	html := "<html><body>proxy</body></html>"
	for _, tt := range []struct {
		name          string
		status        int
		header        http.Header
		body          string
		reads, writes error
		after         time.Duration
	}{
		{name: "HTMLFromProxy502", status: 502, body: html, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "HTMLFromProxy504", status: 504, body: html, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "Empty503", status: 503, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "CaptivePortal200", status: 200, body: html, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "CutOffJSON", status: 200, body: `{"meeting_info_list":[{"meet`, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "NoStatus", status: 200, body: `{"data":{"meeting_id":"1"}}`, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "StatusNull", status: 200, body: `{"status":null}`, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "FrameworksOwnErrorPage", status: 500, body: `{"timestamp":1700000000,"status":500,"error":"Internal Server Error","message":"x","path":"/share/instant"}`, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "JSONArray", status: 200, body: `[]`, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "JSONString", status: 200, body: `"ok"`, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "TooLong", status: 200, body: `{"x":"` + strings.Repeat("x", 1<<20) + `"}`, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "RequestTimeout", status: 408, body: html, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "NoSuchPath", status: 404, body: html, reads: meeting.ErrUnavailable, writes: meeting.ErrUnavailable},
		{name: "Redirect", status: 307, header: http.Header{"Location": {"http://127.0.0.1:1/"}}, reads: meeting.ErrUnavailable, writes: meeting.ErrOutcomeUnknown},
		{name: "Unauthorized", status: 401, body: html, reads: meeting.ErrCredentials, writes: meeting.ErrCredentials},
		{name: "Forbidden", status: 403, body: html, reads: meeting.ErrCredentials, writes: meeting.ErrCredentials},
		{name: "Throttled", status: 429, header: http.Header{"Retry-After": {"7"}}, reads: meeting.ErrRateLimited, writes: meeting.ErrRateLimited, after: 7 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
				for k, v := range tt.header {
					w.Header()[k] = v
				}
				answer(tt.status, tt.body)(w, r)
			})
			for _, op := range calls() {
				want := tt.reads
				if op.mutates {
					want = tt.writes
				}
				err := op.do(t, c)
				require.ErrorIs(t, err, want, op.name)
				var got *meeting.APIError
				require.ErrorAs(t, err, &got, op.name)
				assert.Equal(t, tt.status, got.Status, op.name)
				assert.Equal(t, tt.after, got.RetryAfter, op.name)
			}
		})
	}
}

func TestSentAndNotAnswered(t *testing.T) {
	arrived := make(chan struct{}, 1)
	release := make(chan struct{})
	hang := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	reset := func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if assert.NoError(t, err) {
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	}
	cutOff := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{`)
	}
	garbage := func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if assert.NoError(t, err) {
			_, _ = io.WriteString(conn, "canary-garbage\r\n\r\n")
			_ = conn.Close()
		}
	}
	for name, handler := range map[string]http.HandlerFunc{"reset": reset, "cut off": cutOff, "garbage": garbage} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, handler)
			for _, op := range calls() {
				want := meeting.ErrUnavailable
				if op.mutates {
					want = meeting.ErrOutcomeUnknown
				}
				err := op.do(t, c)
				require.ErrorIs(t, err, want, op.name)
				assert.NotContains(t, err.Error(), "canary")
			}
		})
	}
	t.Run("cancelled while waiting", func(t *testing.T) {
		c := newTestClient(t, hang)
		defer close(release)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-arrived; cancel() }()
		err := c.End(ctx, number)
		require.ErrorIs(t, err, meeting.ErrOutcomeUnknown)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestNoErrorLeaksASecret(t *testing.T) {
	secrets := []string{apiKey, apiSecret, "canary"}
	echo := func(status int, format string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("X-TC-Trace", "canary trace with blanks")
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, format, string(body))
		}
	}
	bases := map[string]string{"refused": "http://127.0.0.1:1"}
	for name, h := range map[string]http.HandlerFunc{
		"HTML":    echo(502, "<html>%s</html>"),
		"refusal": echo(500, `{"status":500,"message":%q}`),
		"odd":     echo(200, `{"status":%q}`),
		"success": echo(200, `{"x":%q`),
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://canary.invalid/canary", http.StatusTemporaryRedirect)
		},
		"broken": func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 canary-status\r\n\r\n")
				_ = conn.Close()
			}
		},
	} {
		srv := httptest.NewServer(h)
		t.Cleanup(srv.Close)
		bases[name] = srv.URL
	}
	for name, base := range bases {
		c := clientOf(t, base)
		for _, op := range calls() {
			err := op.do(t, c)
			if !assert.Error(t, err, "%s/%s", name, op.name) {
				continue
			}
			var out bytes.Buffer
			_, _ = fmt.Fprintf(&out, "%v %+v %#v %q\n", err, err, err, err)
			slog.New(slog.NewJSONHandler(&out, nil)).Error("x", "err", err, "client", c, "config", c.cfg)
			slog.New(slog.NewTextHandler(&out, nil)).Error("x", "err", err, "config", c.cfg)
			_, _ = fmt.Fprintf(&out, "%+v %#v %v", c, c, c.cfg)
			for _, s := range secrets {
				assert.NotContains(t, out.String(), s, "%s/%s", name, op.name)
			}
		}
	}
}
