package slack

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"meetbot/bot/chat"
)

func TestAPlaceHasAnAddress(t *testing.T) {
	k := Kind(nil, false)
	assert.Equal(t, "https://slack.com/app_redirect?channel=C1&team=T1", k.LinkTo(chat.Place{Platform: Platform, Team: "T1", Channel: "C1", Thread: "1.2"}))
	assert.Empty(t, k.LinkTo(chat.Place{Platform: Platform, Team: "T1"}))
}
