package policy

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
)

func TestAListCanNameAWholeTeamOrServer(t *testing.T) {
	p := Policy{
		Platforms: chattest.Kinds(),
		Meet:      []Entry{{Platform: chattest.Slack, Kind: chat.TeamEntry, ID: "T1"}, {Platform: chattest.Discord, Kind: chat.GuildEntry, ID: "1"}},
		Push:      []Entry{{Platform: chattest.Discord, Kind: chat.RoleEntry, ID: "7"}, {Platform: chattest.Slack, Kind: chat.TeamEntry, ID: "T1"}},
	}
	u := chat.User{ID: "U1", Roles: []string{"7"}, Rights: chat.RightsKnown}
	for name, tt := range map[string]struct {
		place chat.Place
		right chat.Rights
		want  verdict
	}{
		"Team":          {chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "C1"}, chat.RightMeet, Yes},
		"OtherTeam":     {chat.Place{Platform: chattest.Slack, Team: "T2", Channel: "T1"}, chat.RightMeet, No},
		"Server":        {chat.Place{Platform: chattest.Discord, Team: "1", Channel: "5"}, chat.RightMeet, Yes},
		"OtherServer":   {chat.Place{Platform: chattest.Discord, Team: "2", Channel: "1"}, chat.RightMeet, No},
		"NoServer":      {chat.Place{Platform: chattest.Discord, Channel: "1", Kind: chat.InDirect}, chat.RightMeet, No},
		"SameElsewhere": {chat.Place{Platform: chattest.Discord, Team: "T1", Channel: "5"}, chat.RightMeet, No},
		"ServersRole":   {chat.Place{Platform: chattest.Discord, Team: "2", Channel: "5"}, chat.RightPush, Yes},
	} {
		assert.Equal(t, tt.want, p.Judge(tt.place, u, tt.right), name)
	}
	named, err := p.Named(t.Context(), nil, chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "C1"}, u, chat.RightPush)
	require.NoError(t, err)
	assert.False(t, named, "a team names nobody in particular")
}

func TestTheNearestEntryOfAPlaceCounts(t *testing.T) {
	list := []Entry{{Platform: chattest.Slack}, {Platform: chattest.Slack, Kind: chat.TeamEntry, ID: "T1"}, {Platform: chattest.Slack, Kind: chat.ChannelEntry, ID: "C1"}, {Platform: chattest.Slack, Kind: chat.UserEntry, ID: "U1"}}
	at := func(list []Entry, team, channel string) int {
		return Nearness(list, chat.Place{Platform: chattest.Slack, Team: team, Channel: channel})
	}
	assert.Equal(t, []int{3, 2, 1}, []int{at(list, "T1", "C1"), at(list, "T1", "C2"), at(list, "T2", "U1")})
	assert.Zero(t, at(list[1:], "T2", "C2"))
	assert.Zero(t, at(nil, "T1", "C1"))
	assert.Zero(t, Nearness(list, chat.Place{Platform: chattest.Discord, Team: "T1", Channel: "C1"}))
}
