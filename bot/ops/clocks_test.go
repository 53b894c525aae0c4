package ops

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"meetbot/bot/jobs"
)

type ready struct{}

func (ready) Healthy() (jobs.Health, time.Time, error) { return jobs.Ready, time.Time{}, nil }

func TestAClockThatIsOffIsSaidOnceAndShown(t *testing.T) {
	var c Clocks
	ahead, known := 2*time.Minute, false
	c.Add("slack", func() (time.Duration, bool) { return ahead, known })
	c.Add("tencent", func() (time.Duration, bool) { return -time.Second, known })
	h := &Health{Store: ready{}, Clocks: &c}
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	look := func() string {
		out.Reset()
		c.look(t.Context(), log)
		return out.String()
	}
	assert.Empty(t, look())
	assert.NotContains(t, h.Readiness().Parts, "clock", "nothing is known yet")
	known = true
	assert.Regexp(t, `clock is wrong: set it by NTP" of=slack ahead=2m0s`, look())
	assert.Empty(t, look(), "once")
	r := h.Readiness()
	assert.Equal(t, Part{State: "off", LastError: "this machine's clock is 2m0s ahead of that of slack"}, r.Parts["clock"])
	assert.True(t, r.Ready, "it decides nothing")
	ahead = -time.Second
	assert.Contains(t, look(), "right again")
	assert.Equal(t, Part{Ready: true, State: "right"}, h.Readiness().Parts["clock"])
}
