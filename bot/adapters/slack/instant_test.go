package slack

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"meetbot/bot/chat"
)

func TestATimeIsTheReaders(t *testing.T) {
	at := time.Date(2026, 11, 29, 20, 15, 0, 0, time.FixedZone("CST", 8*3600))
	assert.Equal(t, "a &lt;b&gt; until <!date^1795954500^{date_short_pretty} {time}|2026-11-29 12:15 UTC>", escape("a <b> until "+chat.Instant(at)))
}
