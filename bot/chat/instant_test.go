package chat

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestAnInstantIsWrittenInTheReadersZone(t *testing.T) {
	at := time.Date(2026, 11, 29, 20, 15, 7, 0, time.UTC)
	text := "until " + Instant(at) + ", or " + Instant(at.Add(time.Hour)) + "."
	assert.Equal(t, text, "until "+Instant(at.In(time.FixedZone("CST", 8*3600)))+", or "+Instant(at.Add(time.Hour))+".", "whatever the zone of the process")
	shanghai := time.FixedZone("CST", 8*3600)
	for now, want := range map[time.Time]string{
		at:                                  "until 20:15, or 21:15.",
		at.In(shanghai):                     "until 04:15, or 05:15.",
		at.Add(-5 * time.Hour).In(shanghai): "until 2026-11-30 04:15, or 2026-11-30 05:15.",
	} {
		assert.Equal(t, want, WriteInstants(text, func(t time.Time) string { return Clock(t, now) }))
	}
	for _, s := range []string{"\ue000", "\ue001", "\ue000\ue001"} {
		assert.Empty(t, WriteInstants(s, func(time.Time) string { return "x" }))
	}
	assert.Equal(t, "a12", WriteInstants("a\ue00012", func(time.Time) string { return "x" }), "half a mark")
}
