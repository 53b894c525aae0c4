package slack

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/kit"
	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/chat"
)

func TestRefreshLeavesNoGapAndLosesNoAcknowledgement(t *testing.T) {
	w := newWorld(t)
	asked, durable := make(chan struct{}), make(chan struct{})
	w.bot.accept = func(context.Context, chat.Decision) chat.Acceptance {
		close(asked)
		<-durable
		return chat.Acceptance{}
	}
	acked := make(chan slacktest.Ack, 1)
	go func() {
		ack, err := w.slack.Deliver(w.ctx(), w.socket, w.slack.Slash("C1", "U1", "/meet", ""), 0)
		assert.NoError(t, err)
		acked <- ack
	}()
	<-asked
	opened := len(w.slack.Calls("apps.connections.open"))
	w.slack.Refresh()
	require.NoError(t, w.slack.Wait(w.ctx(), func() bool {
		return len(w.slack.Calls("apps.connections.open")) >= opened+2 && w.slack.Connections() >= 2
	}), "both are replaced")
	close(durable)
	assert.Equal(t, http.StatusOK, (<-acked).Status, "acknowledged on the connection it came from")
	assert.Equal(t, kit.Running, w.a.Health().State)
	w.bot.accept = nil
	w.deliver(w.socket, w.slack.Slash("C1", "U1", "/meet", ""))
	assert.Len(t, w.bot.jobs(), 2)
}

func TestLostConnectionsComeBack(t *testing.T) {
	w := newWorld(t)
	w.slack.Fail("apps.connections.open", slacktest.Fault{Status: 503})
	w.slack.DropConnections()
	require.NoError(t, w.slack.Wait(w.ctx(), func() bool { return w.slack.Connections() == 0 }))
	require.Eventually(t, func() bool { return !w.a.Health().Ready() }, hang, time.Millisecond)
	assert.Equal(t, kit.Degraded, w.a.Health().State)
	assert.NotEmpty(t, w.a.Health().LastError)
	require.NoError(t, w.slack.Wait(w.ctx(), func() bool { return w.slack.Connections() == 2 }))
	require.Eventually(t, func() bool { return w.a.Health().Ready() }, hang, time.Millisecond)
	w.deliver(w.socket, w.slack.Slash("C1", "U1", "/meet", ""))
}

func TestTokenRefusedAtTheStartEndsTheProcess(t *testing.T) {
	for name, prepare := range map[string]func(*slacktest.Server){
		"BotToken": func(s *slacktest.Server) { s.Revoke() },
		"AppToken": func(s *slacktest.Server) {
			s.Fail("apps.connections.open", slacktest.Fault{Error: "invalid_auth"}, slacktest.Fault{Error: "invalid_auth"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := slacktest.New(slacktest.DefaultScopes...)
			defer s.Close()
			prepare(s)
			a := newAdapter(t, s, &fakeBot{}, &adaptertest.Log{})
			ctx, cancel := context.WithTimeout(t.Context(), hang)
			defer cancel()
			require.ErrorIs(t, a.Run(ctx), ErrTokenRefused)
			assert.NoError(t, ctx.Err())
			assert.False(t, a.Health().Ready())
		})
	}
}

func TestUnreachableSlackIsTriedAgain(t *testing.T) {
	s := slacktest.New(slacktest.DefaultScopes...)
	defer s.Close()
	s.Fail("auth.test", slacktest.Fault{Status: 502}, slacktest.Fault{RetryAfter: 1})
	log := &adaptertest.Log{}
	a := newAdapter(t, s, &fakeBot{}, log)
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	require.NoError(t, s.Wait(ctx, func() bool { return s.Connections() == 2 }))
	assert.Contains(t, log.String(), `"in":1000000000`, "as Slack said")
	cancel()
	require.NoError(t, <-done)
}

func TestTokenRefusedLaterStopsTheAdapterWithoutSpinning(t *testing.T) {
	w := newWorld(t)
	w.slack.Revoke()
	post := chat.Post{Slot: chat.SlotRoot, Place: chat.Place{Platform: Platform, Team: slacktest.Team, Channel: "C1"}, Reply: chat.Reply{Title: "x"}}
	_, err := w.a.Post(t.Context(), post)
	require.ErrorIs(t, err, ErrTokenRefused)
	require.NoError(t, w.slack.Wait(w.ctx(), func() bool { return w.slack.Connections() == 0 }), "the connections are closed")
	assert.Equal(t, kit.Stopped, w.a.Health().State)
	calls := len(w.slack.Calls(""))
	for range 20 {
		_, err = w.a.Post(t.Context(), post)
		require.ErrorIs(t, err, ErrTokenRefused)
	}
	assert.Len(t, w.slack.Calls(""), calls, "nothing more is sent")
	ack, err := w.slack.Deliver(w.ctx(), w.http, w.slack.Slash("C1", "U1", "/meet", ""), 0)
	require.NoError(t, err)
	assert.Equal(t, http.StatusServiceUnavailable, ack.Status)
	assert.Contains(t, w.log.String(), "Slack no longer accepts the token")
	require.ErrorIs(t, <-w.done, ErrTokenRefused)
}

// TestOneRefusedCallIsAskedAbout before it is believed.
func TestOneRefusedCallIsAskedAbout(t *testing.T) {
	w := newWorld(t)
	post := chat.Post{Slot: chat.SlotRoot, Place: chat.Place{Platform: Platform, Team: slacktest.Team, Channel: "C1"}, Reply: chat.Reply{Title: "x"}}
	w.slack.Fail("chat.postMessage", slacktest.Fault{Error: "invalid_auth"})
	_, err := w.a.Post(t.Context(), post)
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrTokenRefused)
	require.NotErrorIs(t, err, chat.ErrLost, "it is tried again")
	_, err = w.a.Post(t.Context(), post)
	require.NoError(t, err)
	assert.Equal(t, kit.Running, w.a.Health().State)
	assert.Len(t, w.slack.Calls("auth.test"), 2)
}

func TestEventsComeFromSlackOverTLS(t *testing.T) {
	for address, want := range map[string]bool{
		"wss://wss-primary.slack.com/link/?ticket=1": true, "wss://wss-backup.SLACK.com/": true, "wss://wss.slack-gov.com/": true,
		"wss://api.proxy.example/socket": true,
		"ws://wss-primary.slack.com/":    false, "https://wss-primary.slack.com/": false, "wss://slack.com.evil.example/": false,
		"wss://evilslack.com/": false, "wss://wss-primary.slack.com@evil.example/": false, "wss://user@wss-primary.slack.com/": false,
		"wss://wss-primary.slack.com./": false, "wss://xn--slck-5na.com/": false, "ws://127.0.0.1:1/": false, "wss:///": false, "": false, "%": false,
	} {
		ss := &sockets{apiURL: "https://api.proxy.example/api/"}
		assert.Equal(t, want, ss.trusts(address), address)
	}
	ss := &sockets{apiURL: "http://127.0.0.1:5/api/"}
	assert.True(t, ss.trusts("ws://127.0.0.1:6/socket"), "a stand-in")
	assert.False(t, ss.trusts("ws://127.0.0.2:6/socket"))
}
