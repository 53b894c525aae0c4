package acme_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/commands"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/acme"
)

var _ commands.Provider = (*acme.Client)(nil)

func TestAcme(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   error
	}{
		{"Made", 200, `{"id":7,"topic":"周会","join_url":"https://acme.example/7"}`, nil},
		{"Refused", 401, `{}`, meeting.ErrCredentials},
		{"HTMLFromAProxy", 200, `<html>`, meeting.ErrOutcomeUnknown},
		{"ServerError", 503, ``, meeting.ErrOutcomeUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "Bearer canary", r.Header.Get("Authorization"))
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			}))
			defer s.Close()
			c, err := acme.New(s.URL, secret.New("canary"))
			require.NoError(t, err)
			m, err := c.Create(t.Context(), meeting.Instant{Topic: "周会"})
			require.ErrorIs(t, err, tt.want)
			if err == nil {
				assert.Equal(t, meeting.Ref{Provider: acme.Provider, ID: "7"}, m.Ref)
			} else {
				assert.NotContains(t, err.Error(), "canary")
			}
		})
	}
}
