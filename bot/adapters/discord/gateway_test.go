package discord

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/adapters/kit"
	"meetbot/config/secret"
)

func contextWithTimeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

func TestTheGatewayIsOpenedWithoutAnyIntent(t *testing.T) {
	t.Parallel()
	w := still(t, overGateway)
	w.server.Shards(3)
	w.run(overGateway)
	w.server.Until("every shard is connected", func() bool { return w.server.Connected() == 3 })
	var shards []int
	for _, id := range w.server.Identifies() {
		assert.Zero(t, id.Intents)
		assert.Equal(t, 3, id.Shard[1])
		shards = append(shards, id.Shard[0])
	}
	assert.ElementsMatch(t, []int{0, 1, 2}, shards)
}

func TestASessionIsResumedAndMissesNothing(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*discordtest.Server){
		"Closed":    func(s *discordtest.Server) { s.Disconnect(4000) },
		"Reconnect": func(s *discordtest.Server) { s.AskReconnect() },
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, overGateway)
			end(w.server)
			w.server.Until("the connection has ended", func() bool { return w.server.Connected() == 0 || w.server.Resumes() > 0 })
			in := w.server.Send(meetIn(w, discordtest.InGuild(channel)))
			assert.Equal(t, 5, w.server.Acked(in).Type)
			assert.Equal(t, 1, w.server.Resumes())
			assert.Len(t, w.server.Identifies(), 1)
			assert.Len(t, w.bot.jobs(), 1)
		})
	}
}

func TestAnInvalidSessionIsStartedAnew(t *testing.T) {
	t.Parallel()
	w := start(t, overGateway)
	w.server.InvalidateSessions()
	w.server.Disconnect(4000)
	w.server.Until("a session was started", func() bool { return len(w.server.Identifies()) == 2 && w.server.Connected() == 1 })
	assert.Equal(t, 5, w.server.Acked(w.server.Send(meetIn(w, discordtest.InGuild(channel)))).Type)
}

func TestMoreShardsAreOpenedWhenDiscordWantsThem(t *testing.T) {
	t.Parallel()
	w := start(t, overGateway)
	w.server.Shards(2)
	w.server.InvalidateSessions()
	w.server.Disconnect(4009)
	w.server.Until("two shards are connected", func() bool { return w.server.Connected() == 2 })
}

func TestARefusedTokenIsNotIdentifiedWithAgain(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]error{4004: ErrTokenRefused, 4014: nil} {
		w := still(t, overGateway)
		w.server.Refuse(code)
		err := w.a.Run(t.Context())
		require.Error(t, err)
		if want != nil {
			require.ErrorIs(t, err, want)
		}
		assert.Len(t, w.server.Identifies(), 1)
		assert.Equal(t, kit.Stopped, w.a.Health().State)
	}
}

func TestHeartbeats(t *testing.T) {
	t.Parallel()
	w := still(t, overGateway)
	w.server.Heartbeat(time.Second)
	w.run(overGateway)
	w.server.Until("heartbeats come", func() bool { return w.server.Heartbeats() > 3 })
	w.server.AskHeartbeat()
	w.server.Until("and one that was asked for", func() bool { return w.server.Heartbeats() > 4 })
	assert.Equal(t, kit.Running, w.a.Health().State)
}

func TestHealthTellsOfALostConnection(t *testing.T) {
	t.Parallel()
	w := start(t, overGateway)
	w.server.Fail(func(c discordtest.Call) *discordtest.Fault { return &discordtest.Fault{Status: 500} })
	w.server.InvalidateSessions()
	w.server.Disconnect(4009)
	w.server.Until("it is degraded", func() bool { return w.a.Health().State == kit.Degraded })
	w.server.Until("and says why", func() bool { return w.a.Health().LastError != "" })
	w.server.Fail(nil)
	w.server.Until("it runs again", func() bool { return w.a.Health().State == kit.Running })
}

func TestStoppingFinishesWhatIsBeingAcknowledged(t *testing.T) {
	t.Parallel()
	w := start(t, overGateway)
	hold := make(chan struct{})
	w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
		if c.Auth == "" {
			return &discordtest.Fault{Hold: hold}
		}
		return nil
	})
	in := w.server.Send(meetIn(w, discordtest.InGuild(channel)))
	w.server.Until("it is accepted", func() bool { return len(w.bot.jobs()) == 1 })
	w.cancel()
	select {
	case err := <-w.done:
		t.Fatal("stopped before the acknowledgement", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(hold)
	assert.Equal(t, 5, w.server.Acked(in).Type)
	require.NoError(t, <-w.done)
	w.done <- nil
}

func TestDiscordBeingDownAtTheStartIsWaitedOut(t *testing.T) {
	t.Parallel()
	w := still(t, overGateway)
	w.server.Fail(func(discordtest.Call) *discordtest.Fault { return &discordtest.Fault{Status: 503} })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.a.Run(ctx) }()
	w.server.Until("it was tried", func() bool { return w.server.Called("GET /gateway/bot") > 0 })
	assert.Equal(t, kit.Starting, w.a.Health().State)
	w.server.Fail(nil)
	w.server.Until("it runs", func() bool { return w.a.Health().State == kit.Running })
	cancel()
	require.NoError(t, <-done)
}

func TestEveryCloseOfTheServersIsResumed(t *testing.T) {
	t.Parallel()
	for _, code := range []int{1000, 1001, 1011, 1012, 4000} {
		w := start(t, overGateway)
		w.server.Disconnect(code)
		w.server.Until("it is resumed", func() bool { return w.server.Resumes() == 1 && w.server.Connected() == 1 })
		assert.Equal(t, 5, w.server.Acked(w.server.Send(meetIn(w, discordtest.InGuild(channel)))).Type, code)
		assert.Len(t, w.server.Identifies(), 1, code)
	}
}

// TestResumedConnectionsAreNotPunished: each resumes at once, however many there were before.
func TestResumedConnectionsAreNotPunished(t *testing.T) {
	t.Parallel()
	w := start(t, overGateway)
	for n := 1; n <= 12; n++ { // with pauses that double it would be a quarter of an hour
		w.server.Disconnect(4000)
		w.server.Until("it is resumed", func() bool { return w.server.Resumes() == n && w.server.Connected() == 1 })
	}
	assert.Len(t, w.server.Identifies(), 1)
}

// TestAConnectionThatAnswersNoHeartbeatIsLeft although events flow.
func TestAConnectionThatAnswersNoHeartbeatIsLeft(t *testing.T) {
	t.Parallel()
	w := still(t, overGateway)
	w.server.Heartbeat(time.Second)
	w.run(overGateway)
	w.server.Until("a heartbeat was answered", func() bool { return w.server.Heartbeats() > 0 })
	w.server.Silence(true)
	w.server.Until("it is resumed", func() bool { return w.server.Resumes() > 0 })
	w.server.Silence(false)
	w.server.Until("and connected", func() bool { return w.server.Connected() == 1 })
	assert.Len(t, w.server.Identifies(), 1)
}

// TestWhatTheGatewaySaysIsBounded: it costs a connection and nothing else.
func TestWhatTheGatewaySaysIsBounded(t *testing.T) {
	t.Parallel()
	for name, interval := range map[string]any{
		"TooLong": int64(9_300_000_000_000), "Overflowing": int64(9_223_372_036_854_775_807), "Negative": -5, "Zero": 0, "Tiny": 1, "NoNumber": "soon",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := still(t, overGateway)
			w.server.Hello(interval)
			w.begin(overGateway)
			w.server.Until("it was tried", func() bool { return w.a.Health().LastError != "" })
			assert.Empty(t, w.server.Identifies(), "the token is not told to it")
			w.server.Hello(nil)
			w.server.Until("it runs", func() bool { return w.a.Health().State == kit.Running })
		})
	}
	t.Run("Shards", func(t *testing.T) {
		t.Parallel()
		w := still(t, overGateway)
		w.server.Shards(300_000)
		w.begin(overGateway)
		w.server.Until("it was tried", func() bool { return w.a.Health().LastError != "" })
		assert.Contains(t, w.a.Health().LastError, "300000 shards")
		w.server.Shards(1)
		w.server.Until("it runs", func() bool { return w.a.Health().State == kit.Running })
	})
}

// TestTheTokenGoesToDiscordAlone and over TLS, whatever address is told.
func TestTheTokenGoesToDiscordAlone(t *testing.T) {
	t.Parallel()
	own, err := New(Config{BotToken: secret.New("t"), ApplicationID: "1"}, nil, nil)
	require.NoError(t, err)
	proxied, err := New(Config{BotToken: secret.New("t"), ApplicationID: "1", APIURL: "https://proxy.example/api"}, nil, nil)
	require.NoError(t, err)
	for address, want := range map[string][2]bool{ // to Discord, and behind a proxy
		"wss://gateway.discord.gg":               {true, true},
		"wss://gateway-us-east1-b.discord.gg/?x": {true, true},
		"wss://discord.gg":                       {true, true},
		"wss://proxy.example/gateway":            {false, true},
		"ws://proxy.example/gateway":             {false, false},
		"ws://gateway.discord.gg":                {false, false},
		"wss://gateway.discord.gg.evil.example":  {false, false},
		"wss://evildiscord.gg":                   {false, false},
		"wss://gateway.discord.gg@evil.example":  {false, false},
		"https://gateway.discord.gg":             {false, false},
		"wss://":                                 {false, false},
		"":                                       {false, false},
	} {
		assert.Equal(t, want, [2]bool{own.trusts(address), proxied.trusts(address)}, address)
	}

	foreign := make(chan struct{}, 10)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { foreign <- struct{}{} }))
	defer elsewhere.Close()
	other := strings.Replace(strings.Replace(elsewhere.URL, "http", "ws", 1), "127.0.0.1", "localhost", 1)
	w := still(t, overGateway)
	w.server.Addresses("", other)
	w.run(overGateway)
	w.server.Disconnect(4000)
	w.server.Until("a session was started anew", func() bool { return len(w.server.Identifies()) == 2 })
	assert.Empty(t, foreign)
}
