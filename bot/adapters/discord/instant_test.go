package discord

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"meetbot/bot/chat"
)

func TestATimeIsTheReaders(t *testing.T) {
	at := time.Date(2026, 11, 29, 20, 15, 0, 0, time.FixedZone("CST", 8*3600))
	assert.Equal(t, `a \*b\* until <t:1795954500:f>`, escape("a *b* until "+chat.Instant(at)))
}
