package tencent

import (
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
	"meetbot/meeting/clienttest"
)

// Tencent refuses what is signed at another time than its own. The answer tells that, and the
// same call once more is taken.
func TestACallIsSignedByTencentsClock(t *testing.T) {
	there := func() time.Time { return time.Now().Add(-time.Hour) }
	calls := 0
	base := clienttest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		now := there()
		w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
		signed, err := strconv.ParseInt(r.Header.Get("X-TC-Timestamp"), 10, 64)
		if err != nil || now.Sub(time.Unix(signed, 0)).Abs() > 5*time.Minute {
			_, _ = io.WriteString(w, refusal(190300))
			return
		}
		_, _ = io.WriteString(w, "{}")
	})
	c, err := New(Config{AppID: "1", SecretID: "AKID", SecretKey: secret.New(secretKey), UserID: "bot", BaseURL: base})
	require.NoError(t, err)
	for range 2 {
		_, err = c.Pushes(t.Context(), "", meetingID)
		require.NoError(t, err)
	}
	assert.Equal(t, 3, calls)
	ahead, known := c.Clock().Ahead()
	assert.True(t, known)
	assert.InDelta(t, time.Hour.Seconds(), ahead.Seconds(), 5)
}
