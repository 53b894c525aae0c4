package discord

import (
	"strings"
	"testing"
	"time"

	"github.com/bwmarrin/discordgo"
	"github.com/stretchr/testify/assert"

	"meetbot/bot/chat"
)

func TestPermissionsAreReadWhateverTheirSize(t *testing.T) {
	const beyond = "340282366920938463463374607431768211456" // 2^128
	for s, want := range map[string]int64{
		"0": 0, "8": 8, "2147483647": 2147483647, "8589934592": discordgo.PermissionManageEvents,
		"9223372036854775808":  0, // 2^63
		"18446744073709551616": 0, // 2^64
		"18446744073709551624": 8, // 2^64 + 8
		beyond:                 0,
		"":                     0, "-1": 0, "+8": 0, "0x8": 0, "8.0": 0, "many": 0, strings.Repeat("9", 5000): 0,
	} {
		assert.Equal(t, want, parsePermissions(s), "%.50s", s)
	}
}

// TestANumberThatCannotBeReadAllowsNothing in any of the places that have one.
func TestANumberThatCannotBeReadAllowsNothing(t *testing.T) {
	for _, s := range []string{"18446744073709551616", "-1", "999999999999999999999999999999", "x"} {
		in := interaction{Member: &member{Permissions: s, User: person{ID: "1"}}}
		assert.Equal(t, chat.RightsKnown, in.person().Rights&^rights(parsePermissions(s))|chat.RightsKnown, s)
		assert.Zero(t, rights(parsePermissions("18446744073709551616"))&(chat.RightMeet|chat.RightPush))
	}
	in := interaction{Member: &member{Permissions: "18446744073709551616", User: person{ID: "1"}}}
	assert.Equal(t, chat.RightsKnown, in.person().Rights)
}

// An ID that no number holds is as old as one can be: what it began has expired.
func TestAnIDTooLargeIsExpired(t *testing.T) {
	for id, want := range map[string]time.Time{
		"175928847299117063":   time.UnixMilli(1462015105796), // the documents' example
		"0":                    time.UnixMilli(discordEpoch),
		"18446744073709551616": time.UnixMilli(discordEpoch),
		"99999999999999999999": time.UnixMilli(discordEpoch),
	} {
		assert.Equal(t, want, snowflakeTime(id), id)
	}
}
