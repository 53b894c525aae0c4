package zoom

import (
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"meetbot/meeting"
	"meetbot/meeting/internal/lenient"
)

// Kind is what is true of Zoom.
var Kind = meeting.Kind{
	ID:      "zoom",
	Name:    meeting.Words{EN: "Zoom", ZH: "Zoom"},
	Product: meeting.Words{EN: "Zoom Meetings", ZH: "Zoom 会议"},
	Aliases: []string{"zoom.us", "zoom会议"},

	Can: meeting.Capabilities{
		LivePush: true, PushRead: true, StartLive: true, StartURL: true, ByCode: true, Accounts: true, Foreign: true, Events: true,
	},
	Push:        meeting.PushRules{Replaces: true},
	Parameters:  parameters,
	MinDuration: time.Minute,

	IsCode:  isNumber,
	IsID:    isNumber,
	Hosts:   []string{"zoom.us", "zoom.com", "zoom.com.cn", "zoomgov.com"},
	Schemes: []string{"zoommtg", "zoomus"},
	Link:    joinNumber,

	Prepare:  prepare,
	Same:     same,
	Unlisted: true,

	StartLinkLife: 2 * time.Hour,
}

// isNumber reports whether digits can be a meeting's number, or a personal one:
// https://support.zoom.com/hc/en/article?id=zm_kb&sysparm_article=KB0065196. The API knows
// a meeting by the same number, except for one that was made with the personal number.
func isNumber(digits string) bool { return lenient.IsDigits(digits, 9, 11) }

// joinNumber reads a link that tells the number: /j/NUMBER and /s/NUMBER, those of the web
// client, and links into the client. /my/NAME tells none.
func joinNumber(u *url.URL) (string, bool) {
	for segment := range strings.SplitSeq(u.Path, "/") {
		if isNumber(segment) {
			return segment, true
		}
	}
	digits := u.Query().Get("confno")
	return digits, isNumber(digits)
}

// prepare marks the meeting with the caller's text, which Zoom keeps as its agenda, and
// names its host.
func prepare(in *meeting.Instant, o meeting.Origin) {
	mark := o.Mark
	for utf8.RuneCountInString(mark) > maxAgenda {
		_, n := utf8.DecodeLastRuneInString(mark)
		mark = mark[:len(mark)-n]
	}
	in.UserKey, in.Account = mark, o.Account
	if scheduled(*in) {
		in.Start = o.At.Truncate(time.Second)
	}
}

// same goes by the mark alone, which no other meeting has: it is certain.
func same(want meeting.Instant, _ time.Time, got meeting.Meeting) bool {
	return want.UserKey != "" && got.UserKey == want.UserKey
}
