package main

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bench/internal/rig"
	"meetbot/bot/adapters/slack/slacktest"
)

// The campaigns take minutes, of which the machine waits for most: go test alone runs a
// short one.
var (
	kills      = flag.Int("kills", 0, "how often the bot is killed in TestThePromise; 0: a few times, at instants after which nothing waits")
	inTroubles = flag.Int("troubles", 0, "how many runs of TestPartsInTrouble; 0: three")
	chaos      = flag.Bool("chaos", false, "run TestWhatIsShownIsSo, which takes a minute")
)

// The bot is killed at instants that are others each time.
func TestThePromise(t *testing.T) {
	if testing.Short() {
		t.Skip("kills the real bot")
	}
	if *kills == 0 {
		t.Parallel()
	}
	binary, err := rig.BuildKillable(t.Context(), t.TempDir())
	require.NoError(t, err)
	o := options{kills: *kills / 2, quick: true, binary: binary}
	if o.kills == 0 {
		o.kills, o.short = 4, true
	}
	for _, engine := range []string{"embedded", "cluster"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			o := o
			o.engine, o.keep = engine, t.TempDir()
			r, err := run(t.Context(), o, t.Output())
			require.NoError(t, err)
			t.Log(r.table())
			for _, f := range r.faults {
				t.Error(f)
			}
			require.NotEmpty(t, r.rows)
			if !o.short {
				assert.GreaterOrEqual(t, r.kills, o.kills)
			}
			assert.NotZero(t, r.steps, "instants are hit by name")
			for _, x := range r.rows {
				assert.NotZero(t, x.acked, "%s %s", x.engine, x.platform)
				assert.Equal(t, x.acked, x.told, "%s %s", x.engine, x.platform)
				assert.Zero(t, x.twice, "%s %s", x.engine, x.platform)
			}
		})
	}
}

// However one part is in trouble, or two: nothing is lost, made twice or said that is not so, and
// everybody hears something.
func TestPartsInTrouble(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the real bot")
	}
	t.Parallel()
	dir := t.TempDir()
	binary, err := rig.BuildKillable(t.Context(), dir)
	require.NoError(t, err)
	n := *inTroubles
	if n == 0 {
		n = 3
	}
	rows, faults, err := runTroubles(t.Context(), n, "", binary, dir, t.Output())
	require.NoError(t, err)
	t.Log("\n" + troubleTable(rows))
	for _, f := range faults {
		t.Error(f)
	}
	runs := 0
	for _, r := range rows {
		runs += r.runs
		assert.Less(t, r.longest.last, troubledLast, r.name)
	}
	assert.Equal(t, n, runs)
}

// A preparation that the bot declines, or does not acknowledge, is given again as another command.
func TestAPreparationThatIsNotTakenIsGivenAgain(t *testing.T) {
	r, err := rig.New(rig.Options{})
	require.NoError(t, err)
	t.Cleanup(r.Close)
	notTaken := map[string]func(*command) error{
		"declined at once":       func(c *command) error { return c.until(t.Context(), "it", func() bool { return false }) },
		"declined and then done": func(*command) error { return nil },
		"not acknowledged":       func(c *command) error { return c.step(false) },
	}
	for name, ends := range notTaken {
		t.Run(name, func(t *testing.T) {
			w := &world{rig: r, setting: setting{engine: embedded}}
			var given []string
			s := &scenario{platform: onSlack, prepare: func(_ context.Context, c *command) error {
				given = append(given, c.id)
				c.took()
				if len(given) > 2 {
					return nil
				}
				answer, err := http.PostForm(r.Slack.APIURL()+"chat.postEphemeral", url.Values{
					"token": {slacktest.BotToken}, "channel": {c.channel}, "user": {c.user}, "text": {text.T("accept.not_confirmed")},
				})
				if err != nil {
					return err
				}
				return errors.Join(answer.Body.Close(), ends(c))
			}}
			c, done, err := w.stage(t.Context(), s)
			require.NoError(t, err)
			defer done()
			assert.Len(t, given, 3)
			assert.Equal(t, given[2], c.id)
			assert.False(t, c.acked, "nothing of the command itself")
			c.took()
			rows, faults := count([]*world{w})
			assert.Equal(t, 1, rows[0].commands, "the two that were given up are not counted")
			require.Len(t, faults, 1)
			assert.Same(t, c, faults[0].c, "only what was taken can be lost")
		})
	}
}
