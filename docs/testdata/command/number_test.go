package commands

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
)

func TestTheNumberIsToldPrivately(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		made := w.say(ada, channel, "/meet 周会")
		posts := w.say(ada, channel, "/meet number")
		require.Equal(t, []chat.Slot{chat.SlotPrivate}, slots(posts))
		assert.Contains(t, find(t, made, chat.SlotRoot).Reply.Links[0].URL, "1591620801")
		assert.Equal(t, "159-162-0801", posts[0].Reply.Text)
	})
}

func TestANumberInATopicIsATopic(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		assert.Equal(t, "number of the day", find(t, w.say(ada, channel, "/meet number of the day"), chat.SlotRoot).Reply.Title)
	})
}
