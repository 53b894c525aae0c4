package main

import (
	"context"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bench/internal/rig"
	"meetbot/meeting/sandbox"
)

// disturb lets a part of the requests go wrong, in every way that a network has.
func disturb(r rig.Request) rig.Verdict {
	roll := rand.N(100)
	provider := ofProvider(r.Service)
	switch {
	case !provider && (r.Moment != rig.Arrived || strings.HasSuffix(r.Route, "callback")):
		return rig.Verdict{} // what people see twice or late is counted elsewhere
	case !provider && roll < 5:
		return rig.Verdict{Status: http.StatusTooManyRequests, RetryAfter: time.Second}
	case !provider && roll < 10:
		return rig.Verdict{Status: http.StatusBadGateway}
	case !provider || r.Moment == rig.Told:
		return rig.Verdict{}
	case roll < 6:
		return rig.Verdict{Cut: true} // at Done: carried out, and nobody knows
	case roll < 12:
		return rig.Verdict{Status: []int{500, 502, 503, 504}[rand.N(4)]}
	case roll < 30:
		return rig.Verdict{Delay: rand.N(800 * time.Millisecond)}
	}
	return rig.Verdict{}
}

var startLink = regexp.MustCompile(`/s/\d+\?[^\s"'>|\\]+`)

// Meetings are made, pushed and ended while a quarter of what the providers answer is
// late, lost or an error, and hosts end meetings by themselves. What everybody reads
// afterwards is so, and no key and no start link is anywhere it should not be.
func TestWhatIsShownIsSo(t *testing.T) {
	if !*chaos {
		t.Skip("runs the real bot for a minute: -chaos")
	}
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	binary, err := rig.Build(ctx, dir)
	require.NoError(t, err)
	w, err := newWorld(ctx, setting{binary: binary, dir: dir, engine: embedded})
	require.NoError(t, err)
	defer w.close()

	w.aim(disturb)
	kinds := []*scenario{
		{name: "/meet", platform: onSlack, makes: true, act: slackMeet("systec")},
		{name: "/meet", platform: onDiscord, makes: true, act: discordMeet("tencent")},
		{name: "/livepush to three", platform: onSlack, makes: true, act: show},
		{name: "End", platform: onSlack, makes: true, act: madeAndEnded},
		{name: "/meet", platform: onDiscord, makes: true, act: discordMeet("zoom")},
	}
	var wg sync.WaitGroup
	for i := range 32 {
		c := w.newCommand(kinds[i%len(kinds)])
		wg.Go(func() {
			time.Sleep(rand.N(2 * time.Second))
			assert.NoError(t, c.scenario.act(ctx, c))
			if c.findMeeting() && rand.N(3) == 0 {
				_ = w.rig.Sandbox.Join(c.meeting, sandbox.DefaultUser) // over already, perhaps
				_ = w.rig.Sandbox.End(c.meeting)
			}
		})
	}
	wg.Wait()
	w.aim(nil)
	// By chance everything may have gone wrong; these make sure that there is a start link,
	// and a card of a meeting that is over, to look at. What went wrong may be felt for a while.
	ended := func() string {
		c := w.newCommand(kinds[3])
		require.NoError(t, c.scenario.act(ctx, c))
		return c.cards()
	}
	word, _, _ := strings.Cut(text.T("state.cancelled", "Time", "\x00"), "\x00") // nobody had joined
	for end := time.Now().Add(time.Minute); !strings.Contains(ended(), word) && time.Now().Before(end); {
		time.Sleep(time.Second)
	}
	require.NoError(t, w.settle(ctx))

	over := map[bool]int{}
	for _, c := range w.commands {
		made := w.rig.Sandbox.Created(c.topic)
		private, public := strings.Join(c.private(), "\n"), c.cards()
		assert.LessOrEqual(t, made, 1, "%s: %q", c.topic, private)
		assert.True(t, c.acked, c.topic)
		assert.NotEmpty(t, private, "%s: nobody was told", c.topic)
		c.findMeeting()
		assert.Empty(t, c.untrue(private, made), "%s: %q", c.topic, private)
		m, _ := w.rig.Sandbox.Meeting(c.meeting)
		isOver := m.State == sandbox.Ended || m.State == sandbox.Cancelled || m.State == sandbox.Deleted
		for _, state := range []string{"state.ended", "state.cancelled", "state.deleted"} {
			word, _, _ := strings.Cut(text.T(state, "Time", "\x00"), "\x00")
			if strings.Contains(public, word) {
				over[isOver]++
				assert.True(t, isOver, "%s: the card says %q, and it is %s", c.topic, word, m.State)
			}
		}
		assert.NotContains(t, public, "canary-stream-key")
		assert.NotContains(t, private, "canary-stream-key")
		assert.NotRegexp(t, startLink, public)
	}
	assert.NotZero(t, over[true], "some cards say that it is over")

	secrets := append(w.rig.Secrets(), "canary-stream-key")
	for _, c := range w.commands {
		for _, link := range startLink.FindAllString(strings.Join(c.private(), "\n"), -1) {
			_, token, _ := strings.Cut(link, "?")
			secrets = append(secrets, token)
		}
	}
	require.Greater(t, len(secrets), 10, "start links were shown to those whom they are for")
	assert.Empty(t, found(t, secrets, w.bot.LogPath(), w.bot.DataDir()))
}

// cards is the text of the command's cards, without what is said in their threads.
func (c *command) cards() string {
	var b strings.Builder
	if c.scenario.platform == onDiscord {
		for _, m := range c.world.rig.Discord.In(c.channel) {
			b.WriteString(m.Text())
		}
		return b.String()
	}
	for _, m := range c.world.rig.Slack.Messages() {
		if m.Channel == c.channel && m.To == "" && m.Thread == "" {
			b.WriteString(m.Text + string(m.Blocks))
		}
	}
	return b.String()
}

// show makes a meeting and sets three pushes of it. Any of it may fail, and be told so.
func show(ctx context.Context, c *command) error {
	slack := c.world.rig.Slack
	if err := slackMeet("tencent")(ctx, c); err != nil {
		return err
	}
	for _, d := range c.destinations() {
		line := "save " + d + " --url " + ingest(d) + " --key " + c.key(d) + " --override"
		if err := c.slack(ctx, slack.Slash(c.channel, c.user, "/livepush", line), 1); err != nil {
			return err
		}
	}
	if err := c.until(ctx, "the meeting is answered", func() bool { return len(c.private()) >= 4 }); err != nil || !c.findMeeting() {
		return err
	}
	n := len(c.private())
	if err := slackPush(ctx, c); err != nil {
		return err
	}
	return c.until(ctx, "the push is answered", func() bool { return len(c.private()) > n })
}

// madeAndEnded makes a meeting and ends it by its button, if it came to that.
func madeAndEnded(ctx context.Context, c *command) error {
	if err := slackMeet("systec")(ctx, c); err != nil {
		return err
	}
	if err := c.until(ctx, "the meeting is answered", func() bool { return len(c.private()) > 0 }); err != nil {
		return err
	}
	if !strings.Contains(strings.Join(c.private(), "\n"), "is ready") {
		return nil
	}
	n := len(c.private())
	if err := slackEnd(ctx, c); err != nil {
		return err
	}
	return c.until(ctx, "the end is answered", func() bool { return len(c.private()) > n })
}

// found returns where one of the secrets is in clear.
func found(t *testing.T, secrets []string, roots ...string) (where []string) {
	t.Helper()
	for _, root := range roots {
		require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			require.NotNil(t, raw)
			for _, s := range secrets {
				if s != "" && strings.Contains(string(raw), s) {
					where = append(where, path+": "+s[:min(len(s), 20)])
				}
			}
			return nil
		}))
	}
	return where
}
