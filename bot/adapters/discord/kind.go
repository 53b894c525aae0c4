package discord

import (
	"meetbot/bot/chat"
	"net/url"
)

// Platform is Discord's name in lists, metrics and addresses.
const Platform chat.Platform = "discord"

// Kind returns what Discord is like.
func Kind() chat.Kind {
	return chat.Kind{
		Name: Platform, Title: "Discord", Typed: true, OneID: true, IsID: digits,
		Entries: []chat.Entry{
			{Kind: chat.UserEntry, Example: "1", IsID: digits, People: "person"},
			{Kind: chat.RoleEntry, Example: "1", IsID: digits, People: "members with role"},
			{Kind: chat.ChannelEntry, Example: "1", IsID: digits, People: "everybody in channel"},
			{Kind: chat.GuildEntry, Example: "1", IsID: digits, People: "everybody in server"},
		},
		Link: link,
		Members: map[chat.Rights]string{
			chat.RightMeet: "every member with Create Events or Manage Events",
			chat.RightPush: "every member with Manage Server",
		},
	}
}

// link is the address of a channel or thread.
// https://discord.com/developers/docs/reference
func link(p chat.Place) string {
	guild, channel := p.Team, p.Channel
	if guild == "" {
		guild = "@me"
	}
	if p.Thread != "" { // which is a channel there
		channel = p.Thread
	}
	return "https://discord.com/channels/" + url.PathEscape(guild) + "/" + url.PathEscape(channel)
}
