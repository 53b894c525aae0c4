package grammar_test

import (
	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/grammar"
	"meetbot/bot/grammar/grammartest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheSameWishIsTheSameAskHoweverItIsWritten(t *testing.T) {
	p := grammar.New(grammartest.Config())
	for _, platform := range []chat.Platform{chattest.Console, chattest.Slack, chattest.Discord} {
		for _, c := range grammartest.Cases(platform) {
			base := chat.Request{ID: "x", Place: chat.Place{Platform: platform}}
			for way, r := range c.Requests(base) {
				t.Run(string(platform)+"/"+c.Name+"/"+way, func(t *testing.T) {
					d := p.Parse(r)
					require.NotNil(t, d.Ask, "%+v %+v", d.Reply, d.Faults)
					assert.Equal(t, c.WantOf(way), *grammar.AskOf(d))
					wantPublic := c.Want.Verb == grammar.VerbMeet || c.Want.Verb == grammar.VerbMeetShare
					assert.Equal(t, wantPublic, d.Public)
					assert.Empty(t, d.Request.Text, "the Ask has it, with its secrets as secrets")
					assert.Empty(t, d.Request.Options)
				})
			}
		}
	}
}
