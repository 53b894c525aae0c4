package commands

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/meeting"
)

func TestTheWatchPageIsSharedWhereViewersLook(t *testing.T) {
	const page = "https://live.bilibili.com/12345"
	watch := chat.Link{Label: "Watch on bili", URL: page}
	inWorld(t, nil, func(w *world) {
		made := w.say(ada, channel, "/meet Show --provider tencent --live")
		w.say(ada, channel, "/livepush save bili --url rtmp://live-push.bilivideo.com/live-bvc/ --key ?streamname=live_1_2&key=a1234567890 --page "+page)
		w.say(ada, channel, "/livepush save raw --url rtmp://ingest.example.com/live --key k12345678")
		posts := w.say(ada, channel, "/livepush to bili, raw")
		assert.Equal(t, []chat.Link{watch}, find(t, posts, chat.SlotThread).Reply.Links, "in the announcement")
		card := find(t, posts, chat.SlotEdit).Reply
		assert.Contains(t, card.Links, watch, "on the card")
		assert.Contains(t, w.press(ada, channel, made, grammar.VerbCopy)[0].Reply.Copy, "\nWatch on bili: "+page)
		shared := w.say(ada, chat.Place{Platform: channel.Platform, Team: "T1", Channel: "C9"}, "/meet share 806146601")
		assert.Contains(t, find(t, shared, chat.SlotRoot).Reply.Links, watch, "where it is shared")

		w.press(ada, channel, w.say(ada, channel, "/livepush forget bili"), grammar.VerbForgetYes)
		w.say(ada, channel, "/livepush status")
		assert.Contains(t, w.press(ada, channel, made, grammar.VerbCopy)[0].Reply.Copy, page, "it is still pushed there")

		off := w.say(ada, channel, "/livepush off bili")
		assert.Empty(t, find(t, off, chat.SlotThread).Reply.Links)
		assert.NotContains(t, find(t, off, chat.SlotEdit).Reply.Links, watch)
		assert.NotContains(t, w.press(ada, channel, made, grammar.VerbCopy)[0].Reply.Copy, page)
	})
}

func TestTheWatchPageIsSharedWhereNothingCanBeReadBack(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet Show --provider tencent --live")
		w.say(ada, channel, "/livepush save raw --url rtmp://ingest.example.com/live --key k12345678 --page https://watch.example/raw")
		w.tencent.failing(func(op string) error {
			if op == "pushes" {
				return &meeting.APIError{Provider: "tencent", Op: op, Code: 1, Err: meeting.ErrNotPermitted}
			}
			return nil
		})
		posts := w.say(ada, channel, "/livepush to raw")
		require.Len(t, find(t, posts, chat.SlotThread).Reply.Links, 1)
		assert.Equal(t, "https://watch.example/raw", find(t, posts, chat.SlotThread).Reply.Links[0].URL)
	})
}
