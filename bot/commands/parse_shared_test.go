package commands_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/commands"
	"meetbot/bot/commands/commandstest"
)

func TestTheSameWishIsTheSameAskHoweverItIsWritten(t *testing.T) {
	p := commands.NewParser(commandstest.Config())
	for _, platform := range []commands.Platform{commands.Console, commands.Slack, commands.Discord} {
		for _, c := range commandstest.Cases(platform) {
			base := commands.Request{ID: "x", Place: commands.Place{Platform: platform}}
			for way, r := range c.Requests(base) {
				t.Run(string(platform)+"/"+c.Name+"/"+way, func(t *testing.T) {
					d := p.Parse(r)
					require.NotNil(t, d.Ask, "%+v %+v", d.Reply, d.Faults)
					assert.Equal(t, c.WantOf(way), *d.Ask)
					wantPublic := c.Want.Verb == commands.VerbMeet || c.Want.Verb == commands.VerbMeetShare
					assert.Equal(t, wantPublic, d.Public)
					assert.Empty(t, d.Request.Text, "the Ask has it, with its secrets as secrets")
					assert.Empty(t, d.Request.Options)
				})
			}
		}
	}
}

// What a line costs is mostly what is allocated for it, and that is the same everywhere.
func TestALineTakesFewAllocations(t *testing.T) {
	p := commands.NewParser(commandstest.Config())
	for _, c := range commandstest.Cases(commands.Slack) {
		if r, ok := c.Requests(commands.Request{Place: commands.Place{Platform: commands.Slack}})["line"]; ok {
			if c.Want.Preset != "" {
				continue // its names are looked up in every language
			}
			assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { p.Parse(r) }), 12.0, c.Name)
		}
	}
}
