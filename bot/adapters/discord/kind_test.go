package discord

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"meetbot/bot/chat"
)

func TestAPlaceHasAnAddress(t *testing.T) {
	for want, p := range map[string]chat.Place{
		"https://discord.com/channels/10/20":  {Platform: Platform, Team: "10", Channel: "20"},
		"https://discord.com/channels/10/30":  {Platform: Platform, Team: "10", Channel: "20", Thread: "30"},
		"https://discord.com/channels/@me/20": {Platform: Platform, Channel: "20", Kind: chat.InDirect},
		"":                                    {Platform: Platform, Team: "10"},
	} {
		assert.Equal(t, want, Kind().LinkTo(p))
	}
}
