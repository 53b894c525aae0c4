package slack

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/kit"
)

// Slack says how many connections an app has. More than one's own are another bot's.
func TestAnotherBotOnTheSameTokenIsNoticed(t *testing.T) {
	w := newWorld(t)
	assert.NotContains(t, w.log.String(), "another bot")
	w.slack.Strangers(2)
	w.slack.Refresh()
	require.Eventually(t, func() bool { return w.a.Health().LastError == kit.ErrOtherBot.Error() }, hang, hang/1000)
	assert.Contains(t, w.log.String(), "another bot seems to use this Slack token")
	assert.True(t, w.a.Health().Ready())
}
