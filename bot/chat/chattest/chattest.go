// Package chattest has platforms for tests of what knows none: one where people type lines,
// one where commands have typed options, and the operator's own terminal. They are called
// and shaped as the real ones, so that what is tested with them reads like the real thing.
package chattest

import (
	"regexp"

	"meetbot/bot/chat"
)

// The platforms' names.
const (
	Slack   chat.Platform = "slack"
	Discord chat.Platform = "discord"
	Console chat.Platform = "console"
)

var (
	letters = regexp.MustCompile(`^[UWCDG][A-Z0-9]*$`)
	digits  = regexp.MustCompile(`^[0-9]+$`)
)

// Kinds are the three platforms.
func Kinds() chat.Kinds {
	return chat.Kinds{
		{Name: Console, Local: true, Alone: true, Confirms: true},
		{Name: Slack, Confirms: true, Aside: true, IsID: letters.MatchString, Entries: []chat.Entry{{Kind: chat.UserEntry}, {Kind: chat.GroupEntry}, {Kind: chat.ChannelEntry}}},
		{Name: Discord, IsID: digits.MatchString, Typed: true, OneID: true, Entries: []chat.Entry{{Kind: chat.UserEntry}, {Kind: chat.RoleEntry}}},
	}
}
