package discord

import (
	"meetbot/bot/chat"
)

// Platform is Discord's name in lists, metrics and addresses.
const Platform chat.Platform = "discord"

// Kind returns what Discord is like.
func Kind() chat.Kind {
	return chat.Kind{
		Name: Platform, Title: "Discord", Typed: true, IsID: digits,
		Entries: []chat.Entry{
			{Kind: chat.UserEntry, Example: "1", IsID: digits, People: "person"},
			{Kind: chat.RoleEntry, Example: "1", IsID: digits, People: "members with role"},
			{Kind: chat.ChannelEntry, Example: "1", IsID: digits, People: "everybody in channel"},
		},
		Members: map[chat.Rights]string{
			chat.RightMeet: "every member with Manage Events",
			chat.RightPush: "every member with Manage Server",
		},
	}
}
