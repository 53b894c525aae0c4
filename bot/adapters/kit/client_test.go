package kit

import (
	"context"
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
)

func TestACallIsNotRedirected(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the token went elsewhere") }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	given := server.Client()
	for _, c := range []*http.Client{HTTPClient(nil), HTTPClient(given)} {
		res, err := c.Get(server.URL)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, http.StatusTemporaryRedirect, res.StatusCode)
		c.CloseIdleConnections()
	}
	assert.Nil(t, given.CheckRedirect, "the client that was given is not changed")
	assert.NotZero(t, HTTPClient(nil).Timeout)
}

func TestACallToAPlatformEndsInTime(t *testing.T) {
	for name, begun := range map[string]bool{"before its answer": false, "amid its answer": true} {
		t.Run(name, func(t *testing.T) {
			over := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if begun {
					_, _ = w.Write([]byte("half"))
					assert.NoError(t, http.NewResponseController(w).Flush())
				}
				<-over
			}))
			defer server.Close()
			defer close(over)
			given := server.Client()
			given.Timeout = 50 * time.Millisecond
			res, err := PlatformClient("acme", given).Get(server.URL)
			if begun {
				require.NoError(t, err)
				_, err = io.ReadAll(res.Body)
				assert.NoError(t, res.Body.Close())
			}
			require.ErrorIs(t, err, context.DeadlineExceeded)
			var late net.Error
			require.ErrorAs(t, err, &late)
			assert.True(t, late.Timeout())
			assert.NotZero(t, given.Timeout, "the client that was given is not changed")
		})
	}
	assert.Equal(t, callTimeout, PlatformClient("acme", nil).Transport.(requests).limit)
}

func TestAPartThatPanicsEndsWithAnErrorAndIsCounted(t *testing.T) {
	var log strings.Builder
	var counted []string
	o := Observer{Failed: func(part, kind string) { counted = append(counted, part+" "+kind) }}
	err := Guard(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), "gateway", o, func() error { panic("canary-typed") })
	require.ErrorIs(t, err, ErrPanic)
	assert.Equal(t, []string{"gateway panic"}, counted)
	assert.NotContains(t, log.String(), "canary")
	require.NoError(t, Guard(t.Context(), slog.New(slog.DiscardHandler), "gateway", o, func() error { return nil }))
	assert.Len(t, counted, 1)
}

func TestAPanicIsContainedAndItsValueNotLogged(t *testing.T) {
	var log strings.Builder
	Contain(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), "event", func() { panic("canary-typed") })
	assert.Contains(t, log.String(), "in=event type=string")
	assert.Contains(t, log.String(), "client_test.go")
	assert.NotContains(t, log.String(), "canary")
}
