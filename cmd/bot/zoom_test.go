package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
	"meetbot/meeting/sandbox"
	"meetbot/meeting/zoom"
)

// withZoom has the third provider as well, with the application's scopes; nil: all.
func withZoom(t *testing.T, q sandbox.Quirks, scopes []string) *world {
	t.Helper()
	w := newWorld(t)
	s, err := sandbox.Start(t.Context(), "127.0.0.1:0", sandbox.Config{
		ZoomAccountID: "account", ZoomClientID: "application", ZoomClientSecret: secret.New("canary-zoom-secret"), ZoomScopes: scopes,
		Users: []sandbox.User{{ID: "host@example.com"}, {ID: "ann@example.com"}}, Quirks: q,
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	w.set("ZOOM_ACCOUNT_ID", "account")
	w.set("ZOOM_CLIENT_ID", "application")
	w.set("ZOOM_CLIENT_SECRET", "canary-zoom-secret")
	w.set("ZOOM_USER_ID", "host@example.com")
	w.set("ZOOM_BASE_URL", s.ZoomURL())
	w.set("ZOOM_OAUTH_URL", s.ZoomOAuthURL())
	w.sandbox = s
	return w
}

func TestDoctorLooksAtZoom(t *testing.T) {
	t.Parallel()
	w := withZoom(t, sandbox.Quirks{}, nil)
	w.set("ZOOM_USERS", "slack:U1=ann@example.com")
	r := w.diagnose(t)
	assert.Contains(t, r.of("ok"), "zoom: the credentials are accepted")
	assert.Contains(t, r.of("ok"), "zoom: the application has every scope that the bot needs")
	for name, tt := range map[string]struct{ variable, value, says, fix string }{
		"wrong secret": {"ZOOM_CLIENT_SECRET", "canary-other", "the credentials are refused", "copy ZOOM_ACCOUNT_ID, ZOOM_CLIENT_ID, ZOOM_CLIENT_SECRET again"},
		"wrong host":   {"ZOOM_USER_ID", "nobody@example.com", "ZOOM_USER_ID is not a user of the account", "set it to the address"},
		"wrong person": {"ZOOM_USERS", "slack:U1=gone@example.com", "the account of slack:U1 in ZOOM_USERS cannot act", "correct the user"},
	} {
		t.Run(name, func(t *testing.T) {
			was := w.env[tt.variable]
			w.set(tt.variable, tt.value)
			defer w.set(tt.variable, was)
			out, _, err := invoke(t, w.env, "doctor")
			require.Error(t, err)
			assert.Contains(t, out, tt.says)
			assert.Contains(t, out, tt.fix)
			assert.NotContains(t, out, "canary")
		})
	}
}

func TestDoctorNamesTheScopesThatZoomsApplicationLacks(t *testing.T) {
	t.Parallel()
	for _, missing := range zoom.Scopes() {
		var has []string
		for _, s := range zoom.Scopes() {
			if s != missing {
				has = append(has, s)
			}
		}
		w := withZoom(t, sandbox.Quirks{}, has)
		assert.Contains(t, strings.Join(w.diagnose(t).of("fault"), "\n"), "zoom: the application lacks scopes: "+missing)
	}
}

func TestDoctorTriesZoom(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		quirks sandbox.Quirks
		says   string
	}{
		"documented": {sandbox.Quirks{}, "it does not list instant meetings, as documented"},
		"listed":     {sandbox.Quirks{ZoomListsInstants: true}, "confirmed: the bot recognises a meeting in the list when its answer is lost"},
		"no address": {sandbox.Quirks{ZoomNoLiveCode: 3000}, "not so here: the bot can read push addresses back: "},
	} {
		t.Run(name, func(t *testing.T) {
			w := withZoom(t, tt.quirks, nil)
			out, _, err := w.try(t, "yes\n")
			require.NoError(t, err, out)
			var about []string
			for line := range strings.Lines(out) {
				if strings.Contains(line, "zoom try") {
					about = append(about, line)
				}
			}
			said := strings.Join(about, "")
			assert.Contains(t, said, tt.says)
			assert.Contains(t, said, "confirmed: it gives a fresh start link at once")
			assert.Contains(t, said, "confirmed: the bot can end a meeting that nobody entered")
			assert.NotContains(t, said, "undecided")
			assert.Equal(t, strings.Count(tt.says, "not so here"), strings.Count(said, "not so here"), said)
			meetings := w.sandbox.Meetings()
			require.Len(t, meetings, 1)
			assert.Equal(t, sandbox.Cancelled, meetings[0].State, "it cleans up")
		})
	}
}

// Whoever has no Zoom is offered nothing of it.
func TestABotWithoutZoomHasNothingOfIt(t *testing.T) {
	t.Parallel()
	of := func(w *world) string {
		out, _, err := invoke(t, w.env, "manifest", "discord")
		require.NoError(t, err)
		return strings.ToLower(out)
	}
	without := of(newWorld(t))
	with := of(withZoom(t, sandbox.Quirks{}, nil))
	for _, word := range []string{"zoom", "passcode", "start-live", "stop-live"} {
		assert.NotContains(t, without, word)
		assert.Contains(t, with, word)
	}
	out, _, err := invoke(t, newWorld(t).env, "doctor")
	require.NoError(t, err)
	assert.NotContains(t, strings.ToLower(out), "zoom")
}
