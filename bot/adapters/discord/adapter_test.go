package discord

import (
	"context"
	"encoding/json"
	"log/slog"
	"meetbot/meeting/systec"
	"meetbot/meeting/tencent"
	"meetbot/meeting/zoom"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bwmarrin/discordgo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/texts"
	"meetbot/config/secret"
)

func TestNewNamesEveryFault(t *testing.T) {
	_, err := New(Config{ApplicationID: "x", GuildID: "y", PublicKey: "zz", APIURL: "ftp://discord"}, newBot(), slog.New(slog.DiscardHandler))
	for _, name := range []string{"DISCORD_BOT_TOKEN", "DISCORD_APPLICATION_ID", "DISCORD_GUILD_ID", "DISCORD_PUBLIC_KEY", "DISCORD_API_URL"} {
		assert.ErrorContains(t, err, name)
	}
}

// Everything that arrives goes the same way over both transports.
func bothTransports(t *testing.T, test func(t *testing.T, w *world)) {
	for _, how := range []transport{overGateway, overHTTP} {
		t.Run(string(how), func(t *testing.T) { test(t, start(t, how)) })
	}
}

func TestACommandIsAcceptedThenDeferred(t *testing.T) {
	bothTransports(t, func(t *testing.T, w *world) {
		in := meetIn(w, discordtest.InGuild(channel))
		d := w.job(in)
		assert.Equal(t, 5, in.Ack.Type)
		assert.Zero(t, in.Ack.Flags(), "everybody sees the answer to /meet")
		r := d.Request
		assert.Equal(t, "discord:"+in.ID, r.ID)
		assert.Equal(t, chat.Place{Platform: Platform, Team: discordtest.GuildID, Channel: channel}, r.Place)
		assert.Equal(t, chat.User{
			ID: alice, Name: "Person 111", Locale: "en-US", Roles: []string{"77"},
			Rights: chat.RightsKnown | chat.RightMeet | chat.RightPush,
		}, r.User)
		assert.Equal(t, "Weekly", grammar.AskOf(d).Meet.Topic)
		assert.WithinDuration(t, w.clock.now(), r.At, 5*time.Second)
	})
}

func TestLivepushIsPrivateFromTheDeferOn(t *testing.T) {
	bothTransports(t, func(t *testing.T, w *world) {
		w.bot.parse = func(r chat.Request) (chat.Decision, bool) { // even if the command layer erred
			d := w.bot.Parser.Parse(r)
			d.Public = true
			return d, true
		}
		in := w.server.Command(alice, discordtest.InGuild(channel), "en-US", "livepush",
			discordtest.Option{Name: "meeting", Value: "806 146 667"}, discordtest.Option{Name: "name", Value: "bili"},
			discordtest.Option{Name: "url", Value: "rtmp://a.rtmp.youtube.com/live2"}, discordtest.Option{Name: "key", Value: "canary-key?a=b&c=d"})
		d := w.job(in)
		assert.Equal(t, discordtest.Ephemeral, in.Ack.Flags())
		assert.Equal(t, "canary-key?a=b&c=d", grammar.AskOf(d).Push.Key.Reveal())
		stored, err := json.Marshal(d.Request)
		require.NoError(t, err)
		assert.NotContains(t, string(stored), "canary-key", "the request keeps no typed key")
	})
}

func TestPlaces(t *testing.T) {
	w := start(t, overGateway)
	guild := discordtest.GuildID
	for name, tt := range map[string]struct {
		where discordtest.Where
		want  chat.Place
	}{
		"Channel": {discordtest.InGuild(channel), chat.Place{Platform: "discord", Team: guild, Channel: channel}},
		"Thread":  {discordtest.InThread(thread, channel), chat.Place{Platform: "discord", Team: guild, Channel: channel, Thread: thread}},
		"Direct":  {discordtest.InDirect(dm), chat.Place{Platform: "discord", Channel: dm, Kind: chat.InDirect}},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.want, w.job(meetIn(w, tt.where)).Request.Place)
		})
	}
}

func TestRightsComeFromPermissions(t *testing.T) {
	for name, tt := range map[string]struct {
		permissions int64
		want        chat.Rights
	}{
		"Nothing":       {0, chat.RightsKnown},
		"ManageEvents":  {discordtest.ManageEvents, chat.RightsKnown | chat.RightMeet},
		"CreateEvents":  {discordtest.CreateEvents, chat.RightsKnown | chat.RightMeet},
		"ManageServer":  {discordtest.ManageGuild, chat.RightsKnown | chat.RightPush},
		"Administrator": {8, chat.RightsKnown | chat.RightMeet | chat.RightPush},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, tt.want, rights(tt.permissions)) })
	}
	w := start(t, overGateway)
	assert.Zero(t, w.job(meetIn(w, discordtest.InDirect(dm))).Request.User.Rights, "unknown in a direct message: looked up")
}

func TestWhatIsNotAcceptedIsSaidPrivatelyAtOnce(t *testing.T) {
	bothTransports(t, func(t *testing.T, w *world) {
		w.bot.accept = func(context.Context, chat.Decision) chat.Acceptance {
			return chat.Acceptance{Reply: &chat.Reply{Title: "Too busy"}}
		}
		in := meetIn(w, discordtest.InGuild(channel))
		w.send(in)
		assert.Equal(t, 4, in.Ack.Type)
		assert.Empty(t, w.server.In(channel))
		require.Len(t, w.server.For(alice), 1)
		assert.Contains(t, w.server.For(alice)[0].Text(), "Too busy")
		assert.Empty(t, w.bot.jobs())
	})
}

func TestAStoreThatHangsIsNotWaitedForTooLong(t *testing.T) {
	t.Parallel()
	w := start(t, overHTTP)
	w.bot.accept = func(ctx context.Context, _ chat.Decision) chat.Acceptance {
		<-ctx.Done()
		return chat.Acceptance{Reply: &chat.Reply{Title: "Not confirmed"}}
	}
	in := meetIn(w, discordtest.InGuild(channel))
	w.send(in)
	assert.Equal(t, 4, in.Ack.Type)
	assert.Contains(t, w.server.For(alice)[0].Text(), "Not confirmed")
}

func TestForms(t *testing.T) {
	p := newBot().Parser
	for _, locale := range texts.Locales {
		text := texts.For(locale)
		for _, id := range []string{"push", "save", "meet"} {
			m, lost := renderForm(p.Form(text, id, grammar.Ask{}))
			assert.Empty(t, lost, id)
			golden(t, id+"."+locale, m)
		}
	}
}

func TestABareLivepushOpensAForm(t *testing.T) {
	bothTransports(t, func(t *testing.T, w *world) {
		where := discordtest.InGuild(channel)
		in := w.server.Command(alice, where, "zh-CN", "livepush")
		ack := w.send(in)
		require.Equal(t, 9, ack.Type)
		golden(t, "zh-CN", json.RawMessage(ack.Data))

		// Faults are told with a button that opens the form again, as it was filled in.
		form := modalOf(t, ack)
		sent := w.server.Submit(alice, where, form.CustomID, map[string]any{
			"meeting": "806 146 667", "name": "bili", "url": "http://no-push.example.com", "key": "canary-key", "to": []string{"bili", "抖音"},
		})
		faults := w.send(sent)
		require.Equal(t, 4, faults.Type)
		assert.Equal(t, discordtest.Ephemeral|discordtest.ComponentsV2, faults.Flags())
		told := w.server.For(alice)[0]
		button := told.Button("Open the form")
		require.NotEmpty(t, button, told.Text())

		again := w.send(w.server.Click(alice, where, told.ID, button))
		require.Equal(t, 9, again.Type)
		assert.Contains(t, string(again.Data), "http://no-push.example.com")
		assert.Contains(t, string(again.Data), `"value":"bili","default":true`)
		assert.Contains(t, string(again.Data), `"value":"抖音","default":true`)
		assert.NotContains(t, string(again.Data), "canary-key")

		// Somebody else's click does not open it.
		assert.Equal(t, 4, w.send(w.server.Click(bob, where, told.ID, button)).Type)

		d := w.job(w.server.Submit(alice, where, form.CustomID, map[string]any{
			"meeting": "806 146 667", "name": "bili", "url": "rtmp://a.rtmp.youtube.com/live2", "key": "canary-key", "to": []string{},
		}))
		assert.Equal(t, "bili", grammar.AskOf(d).Push.Name)
		assert.Equal(t, "canary-key", grammar.AskOf(d).Push.Key.Reveal())
	})
}

func modalOf(t *testing.T, ack discordtest.Ack) (m struct {
	CustomID string `json:"custom_id"`
}) {
	t.Helper()
	require.NoError(t, json.Unmarshal(ack.Data, &m))
	return m
}

func TestCompletion(t *testing.T) {
	bothTransports(t, func(t *testing.T, w *world) {
		in := w.server.Complete(alice, discordtest.InGuild(channel), "meetings end", discordtest.Option{Name: "meeting", Value: "15", Focused: true})
		ack := w.send(in)
		assert.Equal(t, 8, ack.Type)
		assert.JSONEq(t, `{"choices":[{"name":"meetings end meeting 15","value":"systec:1"},{"name":"`+strings.Repeat("长", 99)+`…","value":"systec:2"}]}`, string(ack.Data))
	})
}

func TestTwoClicksThatCreateAreOne(t *testing.T) {
	t.Parallel()
	w := start(t, overGateway)
	where := discordtest.InGuild(channel)
	d := w.job(meetIn(w, where))
	root, err := w.post(d, chat.SlotRoot)
	require.NoError(t, err)

	another := chat.Action{Name: string(grammar.VerbCreateAnyway), Arg: "job"}.String()
	first := w.job(w.server.Click(alice, where, root.Message, another))
	assert.True(t, first.Public)
	ack := w.send(w.server.Click(alice, where, root.Message, another))
	assert.Equal(t, 4, ack.Type)
	assert.NotZero(t, ack.Flags()&discordtest.Ephemeral)
	assert.Equal(t, 1, w.bot.clashes)

	// Once the message has changed, it is a new wish; and so is somebody else's click.
	_, err = w.post(d, chat.SlotEdit, func(p *chat.Post) { p.Edit = &root })
	require.NoError(t, err)
	w.job(w.server.Click(alice, where, root.Message, another))
	w.job(w.server.Click(bob, where, root.Message, another))

	// What only shows something is done at every click.
	start := chat.Action{Name: string(grammar.VerbStartLink), Arg: "systec:1"}.String()
	w.job(w.server.Click(alice, where, root.Message, start))
	w.job(w.server.Click(alice, where, root.Message, start))
}

func TestForgedAndOldButtonsAreAnsweredPrivately(t *testing.T) {
	w := start(t, overGateway)
	for _, id := range []string{"x", "v0:old:1", "v1::", "v1:nosuch:1", "v1:reopen:push"} {
		ack := w.send(w.server.Click(alice, discordtest.InGuild(channel), "1", id))
		assert.Equal(t, 4, ack.Type, id)
		assert.NotZero(t, ack.Flags()&discordtest.Ephemeral, id)
	}
	assert.Empty(t, w.bot.jobs())
}

func TestTwoProcessesOnOneTokenDoTheWorkOnce(t *testing.T) {
	t.Parallel()
	w := still(t, overGateway)
	w.run(overGateway)
	other := &world{t: t, clock: w.clock, server: w.server, bot: w.bot, log: w.log}
	other.a = other.adapter(overGateway)
	other.run(overGateway)
	w.server.Until("both are connected", func() bool { return w.server.Connected() == 2 })
	for range 5 {
		in := meetIn(w, discordtest.InGuild(channel))
		assert.Equal(t, 5, w.server.Acked(w.server.Send(in)).Type)
	}
	w.server.Until("the other process has tried as well", func() bool {
		return w.server.Called("POST /interactions/{interaction_id}/{interaction_token}/callback") == 10
	})
	assert.Len(t, w.bot.jobs(), 5)
}

func TestALimitedAcknowledgementIsSentWhenItMayBe(t *testing.T) {
	t.Parallel()
	w := start(t, overGateway)
	var once sync.Once
	w.server.Fail(func(c discordtest.Call) (found *discordtest.Fault) {
		if strings.HasSuffix(c.Route, "/callback") {
			once.Do(func() { found = &discordtest.Fault{Status: 429, Body: `{"retry_after":0.1}`} })
		}
		return found
	})
	assert.Equal(t, 5, w.send(meetIn(w, discordtest.InGuild(channel))).Type)
	assert.Len(t, w.bot.jobs(), 1)
}

func TestAPanicEndsNoMoreThanItsInteraction(t *testing.T) {
	t.Parallel()
	w := start(t, overGateway)
	w.bot.accept = func(context.Context, chat.Decision) chat.Acceptance { panic("canary-typed") }
	w.server.Send(meetIn(w, discordtest.InGuild(channel)))
	w.server.Until("it is logged", func() bool { return strings.Contains(w.log.String(), "panic") })
	w.bot.accept = nil
	w.job(meetIn(w, discordtest.InGuild(channel)))
}

func TestAnAcknowledgementThatIsLostIsSentAgain(t *testing.T) {
	w := start(t, overGateway)
	lost := 0
	w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
		if strings.HasSuffix(c.Route, "/callback") && lost < 1 {
			lost++
			return &discordtest.Fault{Lose: true}
		}
		return nil
	})
	w.job(meetIn(w, discordtest.InGuild(channel)))
	w.server.Until("it was sent again", func() bool {
		return w.server.Called("POST /interactions/{interaction_id}/{interaction_token}/callback") == 2
	})
}

func TestTheBotTokenIsNotUsedOnceItIsRefused(t *testing.T) {
	t.Parallel()
	w := start(t, overGateway)
	d := w.job(meetIn(w, discordtest.InGuild(channel)))
	w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
		if c.Auth != "" {
			return &discordtest.Fault{Status: http.StatusUnauthorized}
		}
		return nil
	})
	_, err := w.post(d, chat.SlotDirect)
	require.ErrorIs(t, err, ErrTokenRefused)
	require.ErrorIs(t, <-w.done, ErrTokenRefused)
	w.done <- nil
	assert.Equal(t, kit.Stopped, w.a.Health().State)
	n := len(w.server.Calls())
	_, err = w.post(d, chat.SlotDirect)
	require.ErrorIs(t, err, ErrTokenRefused)
	assert.Len(t, w.server.Calls(), n, "no further call")
}

// TestOneRefusedCallIsAskedAbout before it is believed.
func TestOneRefusedCallIsAskedAbout(t *testing.T) {
	t.Parallel()
	w := start(t, overGateway)
	d := w.job(meetIn(w, discordtest.InGuild(channel)))
	w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
		if c.Auth != "" && c.Route != "/users/@me" {
			return &discordtest.Fault{Status: http.StatusUnauthorized}
		}
		return nil
	})
	_, err := w.post(d, chat.SlotDirect)
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrTokenRefused)
	require.NotErrorIs(t, err, chat.ErrLost, "it is tried again")
	w.server.Fail(nil)
	_, err = w.post(d, chat.SlotDirect)
	require.NoError(t, err)
	assert.Equal(t, kit.Running, w.a.Health().State)
	assert.Positive(t, w.server.Called("GET /users/@me"), "the registration may have asked, too")
}

func TestATokenRefusedAtStartEndsTheAdapter(t *testing.T) {
	for _, how := range []transport{overGateway, overHTTP} {
		t.Run(string(how), func(t *testing.T) {
			w := still(t, how)
			w.server.Fail(func(discordtest.Call) *discordtest.Fault { return &discordtest.Fault{Status: http.StatusUnauthorized} })
			require.ErrorIs(t, w.a.Run(t.Context()), ErrTokenRefused)
		})
	}
}

func TestErrorsHaveNoSecret(t *testing.T) {
	w := still(t, overHTTP)
	d := chat.Decision{Request: chat.Request{
		At: w.clock.now(), User: chat.User{ID: alice}, Place: chat.Place{Platform: Platform, Channel: channel, Team: "1"},
	}}
	d.Request.Origin = origin{ID: snowflakeAt(w.clock.now().Add(-time.Minute)), Token: "canary-interaction-token", Public: true}.encode()
	for name, fault := range map[string]discordtest.Fault{
		"Proxy":     {Status: 502, Body: "<html>canary-"},
		"Forbidden": {Status: 403, Code: 50001},
		"Invalid":   {Status: 400, Body: `{"code":50035,"errors":{"data":{"content":{"_errors":[{"code":"TOO_LONG","message":"canary-text"}]}}}}`},
		"NotJSON":   {Status: 200, Body: "canary-"},
	} {
		t.Run(name, func(t *testing.T) {
			w.server.Fail(func(discordtest.Call) *discordtest.Fault { return &fault })
			for _, slot := range []chat.Slot{chat.SlotRoot, chat.SlotThread, chat.SlotPrivate, chat.SlotSettle, chat.SlotDirect} {
				_, err := w.post(d, slot)
				require.Error(t, err, slot)
				assert.NotContains(t, err.Error(), "canary-", slot)
			}
		})
	}
	t.Run("NoAnswer", func(t *testing.T) {
		w.a.rest.base = "http://127.0.0.1:1/v9"
		_, err := w.a.editOriginal(t.Context(), origin{ID: "1", Token: "canary-token"}, message{})
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "canary-")
	})
}

func TestTheConfiguredSecretIsNotPrinted(t *testing.T) {
	cfg := Config{BotToken: secret.New(discordtest.Token)}
	b, err := json.Marshal(cfg.BotToken)
	require.NoError(t, err)
	assert.NotContains(t, string(b), discordtest.Token)
}

func TestRateLimits(t *testing.T) {
	t.Run("ALongPauseIsForTheJobLayer", func(t *testing.T) {
		w := still(t, overHTTP)
		w.server.Fail(func(discordtest.Call) *discordtest.Fault {
			return &discordtest.Fault{Status: 429, Body: `{"message":"slow down","retry_after":7.5,"global":false}`}
		})
		for range 2 {
			_, err := w.a.createMessage(t.Context(), channel, "", message{})
			var pause *chat.RetryAfter
			require.ErrorAs(t, err, &pause)
			assert.InDelta(t, 7.5, pause.After.Seconds(), 0.5)
		}
		assert.Len(t, w.server.Calls(), 1, "the second was not sent")
		_, err := w.a.createMessage(t.Context(), "5009", "", message{})
		require.Error(t, err)
		assert.Len(t, w.server.Calls(), 2, "another channel has another bucket")
	})
	t.Run("AGlobalPauseHoldsAllButInteractions", func(t *testing.T) {
		w := still(t, overHTTP)
		w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
			if c.Auth == "" {
				return nil
			}
			return &discordtest.Fault{Status: 429, Body: `{"retry_after":60,"global":true}`, Header: http.Header{"X-Ratelimit-Global": {"true"}}}
		})
		_, err := w.a.createMessage(t.Context(), channel, "", message{})
		require.Error(t, err)
		_, err = w.a.directChannel(t.Context(), alice)
		var pause *chat.RetryAfter
		require.ErrorAs(t, err, &pause)
		assert.Len(t, w.server.Calls(), 1)
		_, err = w.a.getOriginal(t.Context(), origin{ID: "1", Token: "canary-none"})
		assert.True(t, isCode(err, codeUnknownWebhook))
	})
	t.Run("AnEmptyBucketIsWaitedFor", func(t *testing.T) {
		w := still(t, overHTTP)
		w.server.Fail(func(discordtest.Call) *discordtest.Fault {
			return &discordtest.Fault{Status: 200, Body: `{"id":"1"}`, Header: http.Header{
				"X-Ratelimit-Bucket": {"abc"}, "X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset-After": {"0.2"},
			}}
		})
		waited := time.Duration(0)
		w.a.rest.limits.waited = func(d time.Duration) { waited += d }
		for range 2 {
			_, err := w.a.createMessage(t.Context(), channel, "", message{})
			require.NoError(t, err)
		}
		assert.InDelta(t, 0.2, waited.Seconds(), 0.1)
		// But never beyond the caller's deadline.
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := w.a.createMessage(ctx, channel, "", message{})
		var pause *chat.RetryAfter
		require.ErrorAs(t, err, &pause)
	})
	t.Run("FarFromABan", func(t *testing.T) {
		w := still(t, overHTTP)
		for range maxInvalid {
			w.a.rest.limits.countInvalid(w.clock.now())
		}
		_, err := w.a.createMessage(t.Context(), channel, "", message{})
		var pause *chat.RetryAfter
		require.ErrorAs(t, err, &pause)
		assert.Empty(t, w.server.Calls())
		_, err = w.a.getOriginal(t.Context(), origin{ID: "1", Token: "canary-none"})
		assert.True(t, isCode(err, codeUnknownWebhook), "somebody waits for an answer")
		for range maxInvalidAtAll - maxInvalid {
			w.a.rest.limits.countInvalid(w.clock.now())
		}
		_, err = w.a.getOriginal(t.Context(), origin{ID: "1", Token: "canary-none"})
		require.ErrorAs(t, err, &pause)
		assert.Len(t, w.server.Calls(), 1)
		w.clock.forward(invalidWindow)
		_, err = w.a.directChannel(t.Context(), alice)
		require.NoError(t, err)
	})
	t.Run("Answers", func(t *testing.T) {
		for name, tt := range map[string]struct {
			header http.Header
			body   string
			want   time.Duration
			global bool
		}{
			"Body":    {nil, `{"retry_after":1.25}`, 1250 * time.Millisecond, false},
			"Header":  {http.Header{"Retry-After": {"3"}}, "<html>", 3 * time.Second, false},
			"Nothing": {nil, "", defaultRetryAfter, false},
			"Absurd":  {nil, `{"retry_after":-5}`, defaultRetryAfter, false},
			"Endless": {http.Header{"Retry-After": {"1e300"}}, "", 24 * time.Hour, false},
			"Global":  {http.Header{"Retry-After": {"1"}}, `{"global":true}`, time.Second, true},
		} {
			t.Run(name, func(t *testing.T) {
				d, global := retryAfter(tt.header, []byte(tt.body))
				assert.Equal(t, tt.want, d)
				assert.Equal(t, tt.global, global)
			})
		}
	})
}

func TestDirectory(t *testing.T) {
	w := still(t, overHTTP)
	w.server.Join(alice, discordtest.Member{Nick: "Ally", Permissions: discordtest.ManageEvents})
	direct := chat.Place{Platform: Platform, Channel: dm, Kind: chat.InDirect}
	p, err := w.a.Profile(t.Context(), direct, alice)
	require.NoError(t, err)
	assert.Equal(t, chat.Profile{Name: "Ally", Rights: chat.RightsKnown | chat.RightMeet}, p)

	p, err = w.a.Profile(t.Context(), direct, bob)
	require.NoError(t, err)
	assert.Equal(t, chat.Profile{Rights: chat.RightsKnown}, p, "a stranger may nothing")

	in, err := w.a.InGroup(t.Context(), direct, alice, alice+"1")
	require.NoError(t, err)
	assert.True(t, in)
	in, err = w.a.InGroup(t.Context(), direct, alice, "9")
	require.NoError(t, err)
	assert.False(t, in)

	w.server.Fail(func(discordtest.Call) *discordtest.Fault { return &discordtest.Fault{Status: 500} })
	_, err = w.a.Profile(t.Context(), direct, "333")
	require.Error(t, err, "a look-up that fails refuses")
}

func TestRegistrationOnlyWhereSomethingChanged(t *testing.T) {
	w := still(t, overHTTP)
	changed, err := w.a.Register(t.Context())
	require.NoError(t, err)
	assert.True(t, changed)
	changed, err = w.a.Register(t.Context())
	require.NoError(t, err)
	assert.False(t, changed)
	assert.Equal(t, 1, w.server.Called("PUT /applications/{application_id}/commands"))

	w.a.cfg.Listed = chat.RightMeet
	registered, err := w.a.Registered(t.Context())
	require.NoError(t, err)
	assert.False(t, registered)

	w.a.cfg.GuildID = discordtest.GuildID
	_, err = w.a.Register(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, w.server.Called("PUT /applications/{application_id}/guilds/{guild_id}/commands"))
}

func TestRegistrationThatIsLimitedIsMadeLater(t *testing.T) {
	t.Parallel()
	w := still(t, overHTTP)
	var once sync.Once
	w.server.Fail(func(c discordtest.Call) (found *discordtest.Fault) {
		if c.Method == http.MethodPut {
			once.Do(func() { found = &discordtest.Fault{Status: 429, Body: `{"retry_after":0.1}`} })
		}
		return found
	})
	w.run(overHTTP)
	w.server.Until("the commands are registered", func() bool {
		registered, err := w.a.Registered(t.Context())
		return err == nil && registered
	})
}

func TestRegistrationIgnoresWhatDiscordAdds(t *testing.T) {
	ours, err := Commands(0, declared)
	require.NoError(t, err)
	b, err := json.Marshal(ours)
	require.NoError(t, err)
	var theirs []map[string]any
	require.NoError(t, json.Unmarshal(b, &theirs))
	for _, c := range theirs {
		c["id"], c["application_id"], c["version"], c["nsfw"], c["dm_permission"] = "1", "2", "3", false, true
		c["contexts"] = []int{1, 0}
		for _, o := range c["options"].([]any) {
			o.(map[string]any)["required"] = o.(map[string]any)["required"] == true
		}
	}
	theirs[0], theirs[1] = theirs[1], theirs[0]
	b, err = json.Marshal(theirs)
	require.NoError(t, err)
	var read []Command
	require.NoError(t, json.Unmarshal(b, &read))
	assert.True(t, same(ours, read))
	read[0].Description += "."
	assert.False(t, same(ours, read))
}

func TestCommandsAreGuarded(t *testing.T) {
	all, err := Commands(0, declared)
	require.NoError(t, err)
	permissions := map[string]string{}
	for _, c := range all {
		require.NotNil(t, c.Permissions, c.Name)
		permissions[c.Name] = *c.Permissions
	}
	events, guild := "17592186044416", "32"
	assert.Equal(t, map[string]string{"meet": events, "meetings": events, "livepush": guild, "destinations": guild}, permissions)

	all, err = Commands(chat.RightMeet, declared)
	require.NoError(t, err)
	for _, c := range all {
		assert.Equal(t, c.Name == "meet" || c.Name == "meetings", c.Permissions == nil, "%s: an allow-list decides", c.Name)
	}
}

// declared is what the bot has with the providers that there are.
var declared = grammar.TypedDeclarations(systec.Kind, tencent.Kind, zoom.Kind)

func TestManifest(t *testing.T) {
	b, err := Manifest(0, declared)
	require.NoError(t, err)
	golden(t, "commands", json.RawMessage(b))
}

func TestCommandsBeyondDiscordsLimitsAreFound(t *testing.T) {
	good := func() []Command {
		return []Command{{Name: "a", Description: "x", Options: []Option{{Name: "b", Description: "y"}}}}
	}
	require.NoError(t, check(good()))
	for name, spoil := range map[string]func(*Command){
		"LongDescription": func(c *Command) { c.Descriptions = map[discordgo.Locale]string{"zh-CN": strings.Repeat("长", 101)} },
		"NoDescription":   func(c *Command) { c.Options[0].Descriptions = map[discordgo.Locale]string{"zh-CN": ""} },
		"UpperCaseName":   func(c *Command) { c.Names = map[discordgo.Locale]string{"en-US": "Meet"} },
		"ManyOptions":     func(c *Command) { c.Options = make([]Option, 26) },
		"SameOption":      func(c *Command) { c.Options = append(c.Options, c.Options[0]) },
		"ManyChoices":     func(c *Command) { c.Options[0].Choices = make([]OptionChoice, 26) },
		"LongChoice":      func(c *Command) { c.Options[0].Choices = []OptionChoice{{Name: strings.Repeat("x", 101)}} },
		"MuchText": func(c *Command) {
			c.Options = nil
			for i := range 25 {
				o := Option{Name: string(rune('a' + i)), Description: "y"}
				for range 25 {
					o.Choices = append(o.Choices, OptionChoice{Name: strings.Repeat("x", 20)})
				}
				c.Options = append(c.Options, o)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			all := good()
			spoil(&all[0])
			require.Error(t, check(all))
		})
	}
}

func TestInviteURL(t *testing.T) {
	// View Channel, Send Messages, Attach Files, Read Message History, Create Public
	// Threads, Send Messages in Threads: and nothing else.
	assert.Equal(t, "https://discord.com/oauth2/authorize?client_id=42&integration_type=0&permissions=309237746688&scope=bot+applications.commands", InviteURL("42"))
	assert.EqualValues(t, 309237746688, discordtest.Invited)
}

func TestCheck(t *testing.T) {
	w := still(t, overGateway)
	w.server.SetGuilds(discordtest.Guild{ID: discordtest.GuildID, Name: "Guild", Permissions: discordtest.Invited})
	c, err := w.a.check(t.Context())
	require.NoError(t, err)
	public := true
	assert.Equal(t, checked{Name: "meetbot", Public: &public, Shards: 1, Starts: 1000, Guilds: []guildCheck{{ID: discordtest.GuildID, Name: "Guild"}}}, c)

	_, err = w.a.Register(t.Context())
	require.NoError(t, err)
	w.server.SetGuilds(discordtest.Guild{ID: discordtest.GuildID, Name: "Guild", Permissions: discordtest.Invited &^ (1 << 35)})
	w.server.SetApplication(func(app *discordtest.Application) { app.Endpoint = "https://bot.example.com/discord/interactions" })
	w.a.key = make([]byte, 32)
	c, err = w.a.check(t.Context())
	require.NoError(t, err)
	assert.True(t, c.Registered)
	assert.True(t, c.EndpointSet)
	assert.True(t, c.OtherKey)
	assert.Equal(t, []string{"CREATE_PUBLIC_THREADS"}, c.Guilds[0].Missing)

	w.server.SetGuilds(discordtest.Guild{ID: discordtest.GuildID, Permissions: 8})
	w.a.cfg.ApplicationID = "700000000000000002"
	c, err = w.a.check(t.Context())
	require.NoError(t, err)
	assert.True(t, c.OtherApplication)
	assert.Empty(t, c.Guilds[0].Missing, "administrators may everything")
	assert.Zero(t, w.server.Called("GET /applications/{application_id}/guilds/{guild_id}/commands"))
}
