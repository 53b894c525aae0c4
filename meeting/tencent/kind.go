package tencent

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"time"

	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/internal/lenient"
)

// Kind is what is true of Tencent Meeting.
var Kind = meeting.Kind{
	ID:      "tencent",
	Name:    meeting.Words{EN: "Tencent Meeting", ZH: "腾讯会议"},
	Product: meeting.Words{EN: "Tencent Meeting", ZH: "腾讯会议"},
	Aliases: []string{"wemeet", "voov", "voov meeting", "腾讯"},

	Can: meeting.Capabilities{
		LivePush: true, PushRead: true, HostKey: true, ByCode: true, Accounts: true, Foreign: true, Events: true,
	},
	Push:        meeting.PushRules{Name: meeting.MaxPushName, WeChat: meeting.MaxPushWeChat, Others: meeting.MaxPushThirdParty},
	Parameters:  parameters,
	MinDuration: time.Minute,

	IsCode:  func(digits string) bool { return lenient.IsDigits(digits, 9, 11) },
	IsID:    func(digits string) bool { return lenient.IsDigits(digits, 15, 20) },
	Hosts:   []string{"meeting.tencent.com", "wemeet.qq.com", "voovmeeting.com"},
	Schemes: []string{"wemeet", "voovmeeting"},
	Link:    joinCode,

	Prepare: prepare,
	Same:    same,

	EndGrace: time.Hour,
}

// joinCode reads a link that tells the number: /p/NUMBER is somebody's personal meeting, and
// links into the client have it as a parameter. The short names of /dm/…, /w/… and others
// tell none.
func joinCode(u *url.URL) (string, bool) {
	digits, ok := strings.CutPrefix(u.Path, "/p/")
	digits, _, _ = strings.Cut(digits, "/")
	if !ok {
		digits = u.Query().Get("meeting_code")
	}
	return digits, lenient.IsDigits(digits, 9, 11)
}

// prepare gives the meeting an end, which Tencent asks for, its creator, and, where that is
// nobody here, a host key with which the person can become its host.
func prepare(in *meeting.Instant, o meeting.Origin) {
	in.Start = o.At.Truncate(time.Second)
	if in.Duration == 0 {
		in.Duration = defaultDuration
	}
	in.Account = o.Account
	if !o.Own && in.HostKey.IsZero() {
		in.HostKey = newHostKey()
	}
}

// newHostKey returns six random digits.
func newHostKey() secret.String {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		panic(err) // unreachable: crypto/rand does not fail
	}
	return secret.New(fmt.Sprintf("%06d", n))
}

// same compares what a list of the creator's meetings tells. Tencent lets a quick meeting
// start when it is made, not when it was asked to.
func same(want meeting.Instant, sent time.Time, got meeting.Meeting) bool {
	mine := len(got.Hosts) == 0 || want.Account == "" || slices.Contains(got.Hosts, want.Account) ||
		slices.ContainsFunc(want.Hosts, func(h string) bool { return slices.Contains(got.Hosts, h) })
	return strings.TrimSpace(got.Topic) == strings.TrimSpace(want.Topic) && !got.Scheduled && mine &&
		(got.Creator == "" || want.Account == "" || got.Creator == want.Account) && meeting.SameTime(sent, got.Start)
}
