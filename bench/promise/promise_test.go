package main

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var kills = flag.Int("kills", 100, "how often the bot is killed in TestThePromise")

// A hundred kills, at instants that are others each time.
func TestThePromise(t *testing.T) {
	if testing.Short() {
		t.Skip("kills the real bot a hundred times")
	}
	for _, engine := range []string{"embedded", "cluster"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			r, err := run(t.Context(), options{kills: *kills / 2, engine: engine, quick: true, keep: t.TempDir()}, t.Output())
			require.NoError(t, err)
			t.Log(r.table())
			for _, f := range r.faults {
				t.Error(f)
			}
			require.NotEmpty(t, r.rows)
			assert.GreaterOrEqual(t, r.kills, *kills/2)
			assert.NotZero(t, r.steps, "instants are hit by name")
			for _, x := range r.rows {
				assert.NotZero(t, x.acked, "%s %s", x.engine, x.platform)
				assert.Equal(t, x.acked, x.told, "%s %s", x.engine, x.platform)
				assert.Zero(t, x.twice, "%s %s", x.engine, x.platform)
			}
		})
	}
}
