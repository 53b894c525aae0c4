package commands

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/grammar"
)

func TestARoomThatCannotBeWrittenToHoldsUpNoOther(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x")
		for i := range 39 {
			w.say(ada, chat.Place{Platform: chattest.Slack, Team: "T1", Channel: fmt.Sprintf("R%02d", i)}, "/meet share 1591620801")
		}
		broken := func(p chat.Place) bool { return strings.HasPrefix(p.Channel, "R0") }
		var down atomic.Bool
		down.Store(true)
		w.room.fail = func(p chat.Post) error {
			switch {
			case p.Slot != chat.SlotEdit || !broken(p.Place) || !down.Load():
				return nil
			case strings.HasSuffix(p.Place.Channel, "1"):
				return &chat.RetryAfter{After: time.Minute, Err: errors.New("rate limited")}
			case strings.HasSuffix(p.Place.Channel, "2"):
				return chat.ErrLost
			}
			return errors.New("503")
		}
		r := w.request(ada, channel, chat.Request{Action: &chat.Action{Name: "endyes", Arg: "systec:1591620801"}})
		require.NotNil(t, grammar.AskOf(w.bot.Parse(r)))
		w.bot.Accept(w.t.Context(), w.bot.Parse(r))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		var edited []string
		for _, p := range w.room.take() {
			if p.Slot == chat.SlotEdit {
				assert.Contains(t, p.Reply.Fields[1].Value, "Ended")
				edited = append(edited, p.Place.Channel)
			}
		}
		slices.Sort(edited)
		assert.Len(t, slices.Compact(edited), 30, "every room but the ten that are broken")

		down.Store(false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		edited = nil
		for _, p := range w.room.take() {
			edited = append(edited, p.Place.Channel)
		}
		slices.Sort(edited)
		assert.Len(t, slices.Compact(edited), 9, "all but the one that is lost")
	})
}
