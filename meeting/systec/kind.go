package systec

import (
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"meetbot/meeting"
	"meetbot/meeting/internal/lenient"
)

// Kind is what is true of SYSTEC umeeting.
var Kind = meeting.Kind{
	ID:      "systec",
	Name:    meeting.Words{EN: "SYSTEC", ZH: "SYSTEC"},
	Product: meeting.Words{EN: "SYSTEC umeeting", ZH: "SYSTEC umeeting"},
	Aliases: []string{"umeeting", "umeet"},

	Can:         meeting.Capabilities{StartURL: true, Foreign: true},
	Parameters:  parameters,
	MinDuration: minDuration + time.Minute,

	IsCode:   func(digits string) bool { return lenient.IsDigits(digits, 9, 11) },
	IsID:     func(digits string) bool { return lenient.IsDigits(digits, 9, 20) },
	CodeIsID: true,
	Link:     joinNumber,

	Prepare: prepare,
	Same:    same,

	StartLinkLife: 2 * time.Hour, // its token says so; the documents say nothing
	JoinWithin:    30 * time.Minute,
}

// joinNumber reads a join URL, https://HOST/j/NUMBER, whatever the host: customers have their
// own.
func joinNumber(u *url.URL) (string, bool) {
	_, id, ok := strings.Cut(u.Path, "/j/")
	id = strings.TrimSuffix(id, "/")
	return id, ok && lenient.IsDigits(id, 9, 11)
}

// prepare marks the meeting with the caller's text, by which SYSTEC's reports and lists can
// be asked for it.
func prepare(in *meeting.Instant, o meeting.Origin) {
	mark := o.Mark
	for len(mark) > maxUserKey {
		_, n := utf8.DecodeLastRuneInString(mark)
		mark = mark[:len(mark)-n]
	}
	in.UserKey = mark
}

// same compares what the rows of a list tell. They have no user_key, and whether the
// server filters by it is not known, so that it can speak against a meeting and never for
// it alone.
func same(want meeting.Instant, sent time.Time, got meeting.Meeting) bool {
	return strings.TrimSpace(got.Topic) == strings.TrimSpace(want.Topic) && !got.Scheduled &&
		(got.UserKey == "" || got.UserKey == want.UserKey) && meeting.SameTime(sent, got.Start)
}
