package oneshot

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/meeting"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var (
	read  = Request{Op: "GET /x", Method: http.MethodGet, Path: "/x"}
	write = Request{Op: "POST /x", Method: http.MethodPost, Path: "/x", Body: []byte("body"), Mutates: true}
)

func clientOf(t *testing.T, base string) *Client {
	t.Helper()
	c, err := New("systec", base, &http.Client{Transport: &http.Transport{}}, 10*time.Second)
	require.NoError(t, err)
	t.Cleanup(c.reads.CloseIdleConnections)
	return c
}

func TestNothingWasSent(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	notTLS := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("arrived") }))
	t.Cleanup(notTLS.Close)
	unknownCA := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("arrived") }))
	unknownCA.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	unknownCA.StartTLS()
	t.Cleanup(unknownCA.Close)

	for name, base := range map[string]string{
		"connection refused": closed.URL,
		"not TLS":            strings.Replace(notTLS.URL, "http:", "https:", 1),
		"unknown CA":         unknownCA.URL,
	} {
		t.Run(name, func(t *testing.T) {
			c := clientOf(t, base)
			for _, r := range []Request{read, write} {
				_, err := c.Do(t.Context(), r)
				require.ErrorIs(t, err, meeting.ErrUnavailable, r.Op)
			}
		})
	}
	t.Run("no such host", func(t *testing.T) {
		c, err := New("systec", "https://nowhere.example", &http.Client{Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.DNSError{Err: "no such host", Name: "nowhere.example", IsNotFound: true}
			},
		}}, 0)
		require.NoError(t, err)
		_, err = c.Do(t.Context(), write)
		require.ErrorIs(t, err, meeting.ErrUnavailable)
		assert.Contains(t, err.Error(), "nowhere.example: no such host", "for the operator")
	})
	t.Run("context done before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := clientOf(t, notTLS.URL).Do(ctx, write)
		require.ErrorIs(t, err, meeting.ErrUnavailable)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// net/http sends a request again by itself if a reused connection turns out to be dead.
// The server here closes each connection after its first answer and the arrival of a
// second request, which is when it would.
func TestAChangeIsNeverWrittenTwice(t *testing.T) {
	var writes, connections atomic.Int32
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			go func() {
				defer func() { _ = conn.Close() }()
				b := make([]byte, 64<<10)
				for served := 0; served < 2; served++ {
					var got []byte
					for !bytes.Contains(got, []byte("\r\n\r\n")) {
						n, err := conn.Read(b)
						if err != nil {
							return
						}
						got = append(got, b[:n]...)
					}
					if bytes.HasPrefix(got, []byte("POST")) {
						writes.Add(1)
						return // the connection closes without an answer
					}
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}")
				}
			}()
		}
	}()
	base := "http://" + l.Addr().String()
	t.Run("OnAConnectionOfItsOwn", func(t *testing.T) {
		connections.Store(0)
		c := clientOf(t, base)
		for range 3 {
			_, err := c.Do(t.Context(), read) // leaves an idle connection behind
			require.NoError(t, err)
			writes.Store(0)
			_, err = c.Do(t.Context(), write)
			require.ErrorIs(t, err, meeting.ErrOutcomeUnknown)
			assert.EqualValues(t, 1, writes.Load())
		}
		assert.Greater(t, connections.Load(), int32(3))
	})
	t.Run("OnAReusedConnection", func(t *testing.T) {
		transport := &http.Transport{} // inside of a RoundTripper that cannot be told to use a new one
		t.Cleanup(transport.CloseIdleConnections)
		c, err := New("systec", base, &http.Client{Transport: roundTrip(transport.RoundTrip)}, 10*time.Second)
		require.NoError(t, err)
		for range 3 {
			_, err := c.Do(t.Context(), read)
			require.NoError(t, err)
			writes.Store(0)
			_, err = c.Do(t.Context(), write)
			require.ErrorIs(t, err, meeting.ErrOutcomeUnknown)
			assert.EqualValues(t, 1, writes.Load())
		}
	})
}

// A RoundTripper that reports no connections must not make a sent request look unsent.
func TestAForeignRoundTripperIsNotTakenForSilence(t *testing.T) {
	c, err := New("tencent", "https://h", &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		_, err := io.ReadAll(r.Body)
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	})}, 0)
	require.NoError(t, err)
	_, err = c.Do(t.Context(), write)
	require.ErrorIs(t, err, meeting.ErrOutcomeUnknown)
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("followed") }))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, status) }))
		t.Cleanup(srv.Close)
		for _, r := range []Request{read, write} {
			a, err := clientOf(t, srv.URL).Do(t.Context(), r)
			require.NoError(t, err)
			assert.Equal(t, status, a.Status)
		}
	}
}

func TestAReadSurvivesAConnectionClosedForIdleness(t *testing.T) {
	var arrived atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		assert.Equal(t, "body", string(body))
		assert.NotContains(t, r.Header, "Idempotency-Key")
		if arrived.Add(1) == 2 {
			conn, _, err := w.(http.Hijacker).Hijack()
			if assert.NoError(t, err) {
				_ = conn.Close()
			}
		}
	}))
	t.Cleanup(srv.Close)
	c := clientOf(t, srv.URL)
	r := write
	r.Mutates = false
	for range 2 {
		_, err := c.Do(t.Context(), r)
		require.NoError(t, err)
	}
	assert.EqualValues(t, 3, arrived.Load())
}

func TestAChangeWithoutABodyCountsAsSentToo(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if assert.NoError(t, err) {
			_ = conn.Close()
		}
	}))
	t.Cleanup(srv.Close)
	r := write
	r.Body = nil
	_, err := clientOf(t, srv.URL).Do(t.Context(), r)
	require.ErrorIs(t, err, meeting.ErrOutcomeUnknown)
}

func TestAnEndlessAnswerIsNotReadToItsEnd(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	}))
	t.Cleanup(srv.Close)
	a, err := clientOf(t, srv.URL).Do(t.Context(), read)
	require.NoError(t, err)
	assert.Len(t, a.Body, MaxBody+1)
	require.Error(t, a.Decode(new(any)))
}

func TestTheTimeoutIsOurs(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(srv.Close)
	c, err := New("systec", srv.URL, nil, time.Millisecond)
	require.NoError(t, err)
	_, err = c.Do(t.Context(), read)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, meeting.ErrUnavailable)
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "soon": 0, "4294967295": maxRetryAfter,
		now.Add(time.Minute).Format(http.TimeFormat):  time.Minute,
		now.Add(-time.Minute).Format(http.TimeFormat): 0,
		now.Add(time.Minute).Format(time.RFC3339):     time.Minute,
	} {
		a := Answer{Header: http.Header{"Date": {now.Format(http.TimeFormat)}, "Retry-After": {header}}}
		assert.Equal(t, want, retryAfter(a), header)
	}
}

func TestCausesHoldNothingFromTheWireOrTheSettings(t *testing.T) {
	for _, err := range []error{
		errors.New(`malformed HTTP response "canary"`),
		errors.New(`invalid proxy address "http://u:canary@p": no`),
		&net.DNSError{Err: "canary", Name: "h.example", Server: "canary"},
		errors.Join(errors.New("canary"), io.ErrUnexpectedEOF),
	} {
		assert.NotContains(t, safeCause(err).Error(), "canary")
	}
}
