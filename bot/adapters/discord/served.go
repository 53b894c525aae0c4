package discord

import (
	"context"
	"slices"

	"meetbot/bot/chat"
	"meetbot/bot/texts"
)

// servedGuilds is the servers that the bot serves. Empty, it serves every server that it is in.
type servedGuilds []string

func (s servedGuilds) serves(guild string) bool { return len(s) == 0 || slices.Contains(s, guild) }

// outside returns what somebody is told whom the bot does not serve: in another server, or, in
// a direct message, a member of none of its own. It returns nil for everybody else. Whether
// somebody is a member is asked again after a minute at the latest.
func (a *Adapter) outside(ctx context.Context, in *interaction, t texts.Text) *chat.Reply {
	if a.served.serves(in.GuildID) {
		return nil
	}
	refusal := func(text string) *chat.Reply { return &chat.Reply{Tone: chat.Bad, Text: t.T(text)} }
	if in.GuildID != "" {
		if a.strangers.First(in.GuildID) {
			a.log.WarnContext(ctx, "interaction of a server that is not served", "guild_id", in.GuildID)
		}
		return refusal("discord.elsewhere")
	}
	for _, guild := range a.served {
		m, err := a.membership(ctx, guild, in.user().ID)
		if err != nil {
			a.log.WarnContext(ctx, "member not looked up", "guild_id", guild, "err", err)
			return refusal("fault.directory")
		}
		if m.member {
			return nil
		}
	}
	return refusal("discord.stranger")
}
