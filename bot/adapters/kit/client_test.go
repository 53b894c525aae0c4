package kit

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

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
