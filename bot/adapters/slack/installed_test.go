package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/chat"
	"meetbot/bot/installs"
	"meetbot/bot/records"
	"meetbot/bot/records/recordstest"
	"meetbot/config/secret"
)

// newMany starts an app that those workspaces and organisations may install.
func newMany(t *testing.T, store records.Store, listed ...string) *world {
	t.Helper()
	w := &world{T: t, slack: slacktest.New(slacktest.DefaultScopes...), bot: &fakeBot{}, log: &adaptertest.Log{}, done: make(chan error, 1)}
	t.Cleanup(w.slack.Close)
	w.many(store, listed...)
	w.connect()
	return w
}

// many makes the world's adapter, which was not started yet.
func (w *world) many(store records.Store, listed ...string) {
	if store == nil {
		store, _ = recordstest.Open(w.T, time.Now())
	}
	w.a = manyAdapter(w.T, w.slack, w.bot, w.log, store, listed...)
}

func manyAdapter(t *testing.T, s *slacktest.Server, bot chat.Bot, log *adaptertest.Log, store records.Store, listed ...string) *Adapter {
	t.Helper()
	a, err := New(Config{
		ClientID: slacktest.ClientID, ClientSecret: secret.New(slacktest.ClientSecret), Teams: listed, PublicURL: "https://bot.example.com",
		Installs: installs.New(store, "slack"), AppToken: secret.New(slacktest.AppToken), SigningSecret: secret.New(slacktest.SigningSecret),
		APIURL: s.APIURL(), HTTPClient: &http.Client{Timeout: 5 * time.Second},
	}, bot, slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	require.NoError(t, err)
	unpaced(a)
	return a
}

// browse fetches a page of the bot's as a browser with those cookies.
func (w *world) browse(path string, cookies ...*http.Cookie) (*http.Response, string) {
	w.Helper()
	req, err := http.NewRequestWithContext(w.ctx(), http.MethodGet, w.http.Base+path, nil)
	require.NoError(w, err)
	for _, c := range cookies {
		req.AddCookie(c)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	require.NoError(w, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(w, err)
	return res, string(body)
}

// begin opens the installation page, and returns what Slack and the browser are given.
func (w *world) begin() (state string, cookie *http.Cookie) {
	w.Helper()
	res, _ := w.browse(PathInstall)
	require.Equal(w, http.StatusFound, res.StatusCode)
	to, err := url.Parse(res.Header.Get("Location"))
	require.NoError(w, err)
	assert.Equal(w, "/oauth/v2/authorize", to.Path)
	assert.Equal(w, "commands,chat:write,im:write,users:read", to.Query().Get("scope"))
	assert.Equal(w, "https://bot.example.com/slack/oauth", to.Query().Get("redirect_uri"))
	require.Len(w, res.Cookies(), 1)
	c := res.Cookies()[0]
	assert.True(w, c.Secure && c.HttpOnly && c.SameSite == http.SameSiteLaxMode && c.MaxAge == 600, "%+v", c)
	return to.Query().Get("state"), &http.Cookie{Name: c.Name, Value: c.Value}
}

// callback is where Slack sends the browser back to.
func callback(state, code string) string {
	return PathOAuth + "?" + url.Values{"state": {state}, "code": {code}}.Encode()
}

// install installs the app as a person does.
func (w *world) install(i slacktest.Install) (status int, page string) {
	w.Helper()
	state, cookie := w.begin()
	res, page := w.browse(callback(state, w.slack.Allow(i)), cookie)
	return res.StatusCode, page
}

func (w *world) stored(id string) (installs.Installation, error) {
	return w.a.cfg.Installs.Get(w.ctx(), id)
}

func TestAWorkspaceThatIsListedInstallsTheApp(t *testing.T) {
	w := newMany(t, nil, "T1", "T2")
	status, page := w.install(slacktest.Install{Team: "T1", Name: "One & only"})
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, page, "Installed in One &amp; only")
	in, err := w.stored("T1")
	require.NoError(t, err)
	assert.Equal(t, "One & only", in.Name)
	assert.Equal(t, "U0BOTT1", in.BotUser)
	assert.Equal(t, "U0ADMIN", in.By)

	for name, tr := range w.transports() {
		before := len(w.bot.jobs())
		w.deliver(tr, w.slack.Slash("C1", "U1", "/meet", "weekly").From("T1", ""))
		w.deliver(tr, w.slack.Slash("C1", "U1", "/meet", "weekly").From("T2", ""))
		jobs := w.bot.jobs()
		require.Len(t, jobs, before+1, "%s: the other one has not installed it", name)
		assert.Equal(t, "T1", jobs[before].Place.Team)
	}
	_, err = w.a.Post(w.ctx(), chat.Post{Slot: chat.SlotRoot, Place: chat.Place{Platform: Platform, Team: "T1", Channel: "C1"}, Reply: card})
	require.NoError(t, err)
	assert.Equal(t, "T1", w.messages(1)[0].Team)
	_, err = w.a.Post(w.ctx(), chat.Post{Slot: chat.SlotRoot, Place: chat.Place{Platform: Platform, Team: "T2", Channel: "C1"}, Reply: card})
	require.ErrorIs(t, err, chat.ErrLost)
	assert.NotContains(t, w.log.String(), "canary")
}

func TestAnybodyElseDoesNot(t *testing.T) {
	w := newMany(t, nil, "T1")
	for name, i := range map[string]slacktest.Install{
		"a workspace":     {Team: "T666", Name: "Evil"},
		"an organisation": {Enterprise: "E666", Name: "Evil"},
		"another workspace of an organisation that is not listed": {Team: "T667", Enterprise: "E666", Name: "Evil"},
		"an organisation whose name is a workspace's":             {Enterprise: "E1", Name: "T1"},
	} {
		status, page := w.install(i)
		assert.Equal(t, http.StatusForbidden, status, name)
		assert.Contains(t, page, "Not allowed", name)
	}
	all, err := w.a.cfg.Installs.All(t.Context())
	require.NoError(t, err)
	assert.Empty(t, all)
	assert.Len(t, w.slack.Calls("apps.uninstall"), 4, "and the app is removed there again")
	assert.Contains(t, w.log.String(), "SLACK_TEAMS does not name the workspace")
}

// The state is of one browser, for ten minutes, and once.
func TestAnInstallationThatWasNotBegunHereIsRefused(t *testing.T) {
	w := newMany(t, nil, "T1")
	one := slacktest.Install{Team: "T1", Name: "One"}
	state, cookie := w.begin()
	_, other := w.begin()
	late := w.a.installed.now
	for name, try := range map[string]func() (*http.Response, string){
		"no cookie":       func() (*http.Response, string) { return w.browse(callback(state, w.slack.Allow(one))) },
		"another browser": func() (*http.Response, string) { return w.browse(callback(state, w.slack.Allow(one)), other) },
		"no state":        func() (*http.Response, string) { return w.browse(callback("", w.slack.Allow(one)), cookie) },
		"a changed state": func() (*http.Response, string) { return w.browse(callback("z"+state, w.slack.Allow(one)), cookie) },
		"a long state": func() (*http.Response, string) {
			return w.browse(callback(strings.Repeat("a.", 2000), w.slack.Allow(one)), cookie)
		},
		"an empty cookie": func() (*http.Response, string) {
			return w.browse(callback(state, w.slack.Allow(one)), &http.Cookie{Name: cookie.Name})
		},
		"ten minutes later": func() (*http.Response, string) {
			w.a.installed.now = func() time.Time { return time.Now().Add(10 * time.Minute) }
			defer func() { w.a.installed.now = late }()
			return w.browse(callback(state, w.slack.Allow(one)), cookie)
		},
	} {
		res, page := try()
		assert.Equal(t, http.StatusForbidden, res.StatusCode, name)
		assert.Contains(t, page, "no longer valid", name)
		for header, want := range map[string]string{
			"Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin", "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
			"Content-Security-Policy": installPolicy, "Cache-Control": "no-store",
		} {
			assert.Equal(t, want, res.Header.Get(header), name)
		}
	}
	assert.Empty(t, w.slack.Calls("oauth.v2.access"))
	res, _ := w.browse(callback(state, ""), cookie)
	assert.Equal(t, http.StatusOK, res.StatusCode, "whoever was asked said no")
	res, _ = w.browse(callback(state, w.slack.Allow(one)), cookie)
	assert.Equal(t, http.StatusOK, res.StatusCode)
	res, page := w.browse(callback(state, w.slack.Allow(one)), cookie)
	assert.Equal(t, http.StatusOK, res.StatusCode)
	assert.Contains(t, page, "Installed in One", "it was used: whoever did not hear how it ended is told")
	assert.NotContains(t, page, "canary")
	assert.Len(t, w.slack.Calls("oauth.v2.access"), 1)
	assert.NotContains(t, w.log.String(), "canary")
	assert.NotContains(t, w.log.String(), state)
}

// A process that is killed between Slack's answer and the write loses the token, which Slack gives
// once. Whoever reloads the page is told, and does it again.
func TestAnInterruptedInstallationIsToldToWhoeverReloads(t *testing.T) {
	w := newMany(t, nil, "T1")
	one := slacktest.Install{Team: "T1", Name: "One"}
	state, cookie := w.begin()
	first, err := w.a.cfg.Installs.Use(t.Context(), state, time.Now().Add(time.Minute))
	require.NoError(t, err)
	require.True(t, first)
	for range 2 {
		res, page := w.browse(callback(state, w.slack.Allow(one)), cookie)
		assert.Equal(t, http.StatusConflict, res.StatusCode)
		assert.Contains(t, page, "isn&#39;t finished")
		assert.Contains(t, page, PathInstall)
		assert.Empty(t, res.Cookies(), "so that a reload tells")
	}
	assert.Empty(t, w.slack.Calls("oauth.v2.access"))
	status, page := w.install(one)
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, page, "Installed in One")
	require.Eventually(t, func() bool { in, err := w.stored("T1"); return err == nil && in.BotName != "" }, hang, time.Millisecond)
	state, cookie = w.begin()
	_, err = w.a.cfg.Installs.Use(t.Context(), state, time.Now().Add(time.Minute))
	require.NoError(t, err)
	res, _ := w.browse(callback(state, w.slack.Allow(one)), cookie)
	assert.Equal(t, http.StatusConflict, res.StatusCode, "another installation that is there says nothing of this one")
}

func TestAnInstallationThatFailsKeepsNothing(t *testing.T) {
	w := newMany(t, nil, "T1")
	for name, f := range map[string]slacktest.Fault{"refused": {Error: "invalid_code"}, "down": {Status: 503}, "cut off": {Lost: true}} {
		w.slack.Fail("oauth.v2.access", f)
		status, page := w.install(slacktest.Install{Team: "T1", Name: "One"})
		assert.Equal(t, http.StatusBadGateway, status, name)
		assert.Contains(t, page, "Not installed", name)
		_, err := w.stored("T1")
		require.ErrorIs(t, err, installs.ErrNone, name)
	}
	assert.NotContains(t, w.log.String(), "canary")
	status, _ := w.install(slacktest.Install{Team: "T1", Name: "One"})
	assert.Equal(t, http.StatusOK, status)
}

// The same user, channel and group IDs in two workspaces are somebody else's.
func TestTwoWorkspacesShareNothing(t *testing.T) {
	w := newMany(t, nil, "T1", "T2")
	w.install(slacktest.Install{Team: "T1", Name: "One"})
	w.install(slacktest.Install{Team: "T2", Name: "Two"})
	w.slack.SetUserIn("T1", slacktest.User{ID: "U1", Name: "ada", Locale: "en-US"})
	w.slack.SetUserIn("T2", slacktest.User{ID: "U1", Name: "小王", Locale: "zh-CN", Guest: true})
	for team, want := range map[string]chat.Profile{
		"T1": {Name: "ada", Locale: "en-US", Rights: chat.RightsKnown | chat.RightMeet | chat.RightPush},
		"T2": {Name: "小王", Locale: "zh-CN", Rights: chat.RightsKnown},
	} {
		got, err := w.a.Profile(w.ctx(), chat.Place{Team: team}, "U1")
		require.NoError(t, err)
		assert.Equal(t, want, got, team)
	}
	// A workspace that Slack holds back holds up no other, nor does one whose token is refused.
	w.slack.Fail("chat.postMessage", slacktest.Fault{RetryAfter: 30})
	post := func(team string) error {
		_, err := w.a.Post(w.ctx(), chat.Post{Slot: chat.SlotRoot, Place: chat.Place{Platform: Platform, Team: team, Channel: "C1"}, Reply: card})
		return err
	}
	var wait *chat.RetryAfter
	require.ErrorAs(t, post("T1"), &wait)
	require.NoError(t, post("T2"))
	w.slack.RevokeTokens("T2")
	require.ErrorIs(t, post("T2"), ErrTokenRefused)
	require.ErrorAs(t, post("T2"), &wait)
	assert.True(t, w.a.Health().Ready(), "one bad workspace is not the app")
	click, err := w.slack.Click(slacktest.Message{Team: "T2", Channel: "C1", TS: "2.0", Blocks: json.RawMessage(`[{"type":"actions","elements":[{"type":"button","action_id":"b0","value":"v1:end:systec:7"}]}]`)}, "U1", "v1:end")
	require.NoError(t, err)
	before := len(w.slack.Messages())
	w.deliver(w.http, click.From("T1", ""))
	told := w.messages(before + 1)[before]
	assert.Contains(t, told.Text, "another workspace")
	assert.Empty(t, w.bot.jobs())

	// A reply address that one of them was given is of no use to the other.
	hook := w.a.at("T1").poster.hooks.remember(origin{Hook: "https://hooks.slack.com/x", At: time.Now()})
	require.NotEmpty(t, hook)
	assert.Empty(t, w.a.at("T2").poster.hooks.recall(hook).Hook)
}

func TestAnOrganisationsTokenServesItsWorkspaces(t *testing.T) {
	store, _ := recordstest.Open(t, time.Now())
	w := newMany(t, store, "E1")
	status, page := w.install(slacktest.Install{Enterprise: "E1", Name: "Org"})
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, page, "organisation Org")
	w.deliver(w.http, w.slack.Slash("C1", "U1", "/meet", "").From("T1", "E1"))
	mention, _ := w.slack.Mention("C1", "", "U1", "<@U0BOTE1> meet weekly")
	w.deliver(w.http, mention.From("T2", "E1"))
	w.deliver(w.http, w.slack.Slash("C1", "U1", "/meet", "").From("T3", "E2"))
	w.deliver(w.http, w.slack.Slash("C1", "U1", "/meet", "").From("T3", ""))
	jobs := w.bot.jobs()
	require.Len(t, jobs, 2)
	assert.Equal(t, "T1", jobs[0].Place.Team)
	assert.Equal(t, "T2", jobs[1].Place.Team)
	assert.Equal(t, "weekly", jobs[1].Text)

	// Another replica, or this one after a restart, can answer both.
	again := manyAdapter(t, w.slack, &fakeBot{}, w.log, store, "E1")
	require.NoError(t, again.installed.read(w.ctx()))
	w.slack.SetGroupIn("T1", "S1", "U1")
	for team, want := range map[string]bool{"T1": true} {
		_, err := again.Post(w.ctx(), chat.Post{Slot: chat.SlotRoot, Place: chat.Place{Platform: Platform, Team: team, Channel: "C1"}, Reply: card})
		require.NoError(t, err)
		_, err = again.InGroup(w.ctx(), chat.Place{Team: team}, "U1", "S1")
		var failed *APIError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, "missing_scope", failed.Kind, "%v", want)
	}
	_, err := again.Post(w.ctx(), chat.Post{Slot: chat.SlotRoot, Place: chat.Place{Platform: Platform, Team: "T3", Channel: "C1"}, Reply: card})
	require.ErrorIs(t, err, chat.ErrLost)
}

func TestAWorkspaceThatRemovesTheAppIsForgotten(t *testing.T) {
	w := newMany(t, nil, "T1", "T2")
	w.install(slacktest.Install{Team: "T1", Name: "One"})
	w.install(slacktest.Install{Team: "T2", Name: "Two"})
	reports := w.slack.Uninstall("T1")
	for _, report := range reports {
		w.deliver(w.http, report)
	}
	require.Eventually(t, func() bool { _, err := w.stored("T1"); return err != nil }, hang, time.Millisecond)
	_, err := w.stored("T1")
	require.ErrorIs(t, err, installs.ErrNone, "its token is erased")
	require.Eventually(t, func() bool { return strings.Contains(w.log.String(), "has the app no more") }, hang, time.Millisecond)
	place := chat.Place{Platform: Platform, Team: "T1", Channel: "C1"}
	_, err = w.a.Post(w.ctx(), chat.Post{Slot: chat.SlotPrivate, Place: place, User: chat.User{ID: "U1"}, Reply: card})
	require.ErrorIs(t, err, chat.ErrLost, "its jobs end")
	_, err = w.a.Post(w.ctx(), chat.Post{Slot: chat.SlotEdit, Place: place, Edit: &chat.Receipt{Place: place, Message: "1.0"}, Reply: card})
	require.ErrorIs(t, err, chat.ErrGone)
	_, err = w.a.Profile(w.ctx(), place, "U1")
	require.Error(t, err, "nobody there may anything")
	require.ErrorIs(t, w.a.Claim(w.ctx(), origin{Team: "T1"}.encode()), chat.ErrTaken, "what was not begun is not carried out")
	require.NoError(t, w.a.Claim(w.ctx(), origin{Team: "T2"}.encode()))
	w.deliver(w.http, w.slack.Slash("C1", "U1", "/meet", "").From("T1", ""))
	assert.Empty(t, w.bot.jobs())

	w.install(slacktest.Install{Team: "T1", Name: "One"})
	for _, report := range reports { // Slack repeats what it thinks was not taken
		w.deliver(w.socket, report)
	}
	require.Eventually(t, func() bool { return len(w.slack.Calls("auth.test")) > 5 || len(w.a.installed.kick) == 0 }, hang, time.Millisecond)
	time.Sleep(50 * time.Millisecond)
	_, err = w.stored("T1")
	require.NoError(t, err, "it was installed again since")
	_, err = w.stored("T2")
	require.NoError(t, err)
}

// A report that was acknowledged is looked into by whoever runs next.
func TestAReportedRemovalOutlivesAKill(t *testing.T) {
	store, _ := recordstest.Open(t, time.Now())
	s := slacktest.New(slacktest.DefaultScopes...)
	t.Cleanup(s.Close)
	log := &adaptertest.Log{}
	token, _ := s.Installed(slacktest.Install{Team: "T1", Name: "One"})
	kept := installs.New(store, "slack")
	_, err := kept.Save(t.Context(), installs.Installation{ID: "T1", BotUser: "U0BOTT1", Token: secret.New(token)})
	require.NoError(t, err)
	killed := manyAdapter(t, s, &fakeBot{}, log, store, "T1")
	require.NoError(t, killed.installed.read(t.Context()))
	s.Uninstall("T1")
	require.NoError(t, killed.installed.removed(origins{team: "T1"}))

	next := manyAdapter(t, s, &fakeBot{}, log, store, "T1")
	require.NoError(t, next.installed.read(t.Context()))
	next.installed.look(t.Context(), next.installed.at("T1"))
	_, err = kept.Get(t.Context(), "T1")
	require.ErrorIs(t, err, installs.ErrNone)
	assert.Nil(t, next.installed.at("T1"))
}

// A report that comes before the process has read who has installed the app is not lost.
func TestAReportedRemovalIsTakenAtOnce(t *testing.T) {
	store, _ := recordstest.Open(t, time.Now())
	s := slacktest.New(slacktest.DefaultScopes...)
	t.Cleanup(s.Close)
	kept := installs.New(store, "slack")
	for _, id := range []string{"T1", "E1"} {
		_, err := kept.Save(t.Context(), installs.Installation{ID: id, Org: id == "E1", BotUser: "U0BOT", Token: secret.New("xoxb-canary")})
		require.NoError(t, err)
	}
	a := manyAdapter(t, s, &fakeBot{}, &adaptertest.Log{}, store, "T1", "E1")
	require.NoError(t, a.installed.removed(origins{team: "T1", enterprise: "E9"}))
	require.NoError(t, a.installed.removed(origins{team: "T9", enterprise: "E1"}))
	require.NoError(t, a.installed.removed(origins{team: "T9"}))
	for _, id := range []string{"T1", "E1"} {
		in, err := kept.Get(t.Context(), id)
		require.NoError(t, err)
		assert.False(t, in.Reported.IsZero(), id)
	}
}

func TestATokenThatEndsIsReplacedInTime(t *testing.T) {
	w := newMany(t, nil, "T1")
	w.install(slacktest.Install{Team: "T1", Name: "One", Life: time.Hour}) // less than is left ahead
	first, err := w.stored("T1")
	require.NoError(t, err)
	w.a.installed.hurry()
	var next installs.Installation
	require.Eventually(t, func() bool {
		next, err = w.stored("T1")
		return err == nil && !next.Token.Equal(first.Token)
	}, hang, time.Millisecond)
	assert.False(t, next.Refresh.Equal(first.Refresh))
	_, err = w.a.Post(w.ctx(), chat.Post{Slot: chat.SlotRoot, Place: chat.Place{Platform: Platform, Team: "T1", Channel: "C1"}, Reply: card})
	require.NoError(t, err)
	assert.NotContains(t, w.log.String(), "canary")
}

func TestOneReplicaReplacesATokenAndAKillLosesNothing(t *testing.T) {
	store, clock := recordstest.Open(t, time.Now())
	s := slacktest.New(slacktest.DefaultScopes...)
	t.Cleanup(s.Close)
	log := &adaptertest.Log{}
	replica := func() *installed {
		a := manyAdapter(t, s, &fakeBot{}, log, store, "T1")
		a.installed.now = clock.Now
		require.NoError(t, a.installed.read(t.Context()))
		return a.installed
	}
	token, refresh := s.Installed(slacktest.Install{Team: "T1", Name: "One", Life: 12 * time.Hour})
	_, err := installs.New(store, "slack").Save(t.Context(), installs.Installation{
		ID: "T1", BotUser: "U0BOTT1", Token: secret.New(token), Refresh: secret.New(refresh), Expires: clock.Now().Add(12 * time.Hour),
	})
	require.NoError(t, err)
	one, two := replica(), replica()
	refreshing := func(s *installed, ctx context.Context) error {
		i := s.at("T1")
		return s.refresh(ctx, i, i.in)
	}
	require.NoError(t, refreshing(one, t.Context()))
	assert.Empty(t, s.Calls("oauth.v2.access"), "there is time")
	clock.Advance(10*time.Hour + time.Minute)
	// The first one is killed after Slack has answered, and before it is written.
	s.Fail("oauth.v2.access", slacktest.Fault{Lost: true})
	require.Error(t, refreshing(one, t.Context()))
	require.NoError(t, refreshing(two, t.Context()))
	require.NoError(t, two.read(t.Context()))
	require.NoError(t, refreshing(two, t.Context()))
	assert.Len(t, s.Calls("oauth.v2.access"), 1, "the other one leaves it alone")
	assert.Equal(t, token, two.at("T1").in.Token.Reveal(), "and goes on with the old one")
	clock.Advance(2 * time.Minute)
	s.Grace(true)
	require.NoError(t, refreshing(two, t.Context()))
	got, err := two.store.Get(t.Context(), "T1")
	require.NoError(t, err)
	assert.NotEqual(t, token, got.Token.Reveal())
	require.NoError(t, one.read(t.Context()))
	assert.True(t, one.at("T1").in.Token.Equal(got.Token))

	// Where Slack takes the used one no more, it is said, and the old one serves to its end.
	s.Grace(false)
	clock.Advance(11 * time.Hour)
	s.Fail("oauth.v2.access", slacktest.Fault{Lost: true})
	require.Error(t, refreshing(two, t.Context()))
	clock.Advance(2 * time.Minute)
	err = refreshing(two, t.Context())
	var failed *APIError
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, "invalid_refresh_token", failed.Kind)
	got, err = two.store.Get(t.Context(), "T1")
	require.NoError(t, err)
	assert.Equal(t, "invalid_refresh_token", got.Refused)
	for name, s := range map[string]*installed{"the one that was refused": two, "the other one": one, "one that starts later": replica()} {
		require.NoError(t, s.read(t.Context()))
		assert.Contains(t, s.health()["T1"].LastError, "no next token (invalid_refresh_token)", name)
	}
	assert.NotContains(t, log.String()+fmt.Sprintf("%+v", got), "canary")
}

func TestATokenThatWasRefusedByAccidentIsTakenAgain(t *testing.T) {
	w := newMany(t, nil, "T1")
	w.install(slacktest.Install{Team: "T1", Name: "One"})
	post := func() error {
		_, err := w.a.Post(w.ctx(), chat.Post{Slot: chat.SlotRoot, Place: chat.Place{Platform: Platform, Team: "T1", Channel: "C1"}, Reply: card})
		return err
	}
	w.slack.RevokeTokens("T1")
	require.ErrorIs(t, post(), ErrTokenRefused)
	w.slack.Restore("T1") // at once: who asked before would ask again a minute later
	_, err := w.stored("T1")
	require.NoError(t, err, "nobody has reported it removed")
	w.a.installed.hurry()
	require.Eventually(t, func() bool { return post() == nil }, hang, 10*time.Millisecond)
}

func TestAnInstallationOnAnotherReplicaIsKnownAtOnce(t *testing.T) {
	store, _ := recordstest.Open(t, time.Now())
	w := newMany(t, store, "T1")
	token, _ := w.slack.Installed(slacktest.Install{Team: "T1", Name: "One"})
	_, err := installs.New(store, "slack").Save(t.Context(), installs.Installation{ID: "T1", BotUser: "U0BOTT1", Token: secret.New(token)})
	require.NoError(t, err)
	w.deliver(w.http, w.slack.Slash("C1", "U1", "/meet", "").From("T1", ""))
	assert.Len(t, w.bot.jobs(), 1)
}

func TestTheInstallationPageSpeaksTheBrowsersLanguage(t *testing.T) {
	w := newMany(t, nil, "T1")
	r := httptest.NewRequest(http.MethodGet, PathOAuth, nil)
	r.Header.Set("Accept-Language", "zh-CN,zh;q=0.9")
	rec := httptest.NewRecorder()
	w.a.Handler().ServeHTTP(rec, r)
	assert.Contains(t, rec.Body.String(), "链接已失效")
	assert.Equal(t, "zh-CN", rec.Header().Get("Content-Language"))
}
