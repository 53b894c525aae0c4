package grammar

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"meetbot/meeting"
)

// MeetingTarget is what a MEETING argument says. Of Code, ID and URL exactly one is set.
type MeetingTarget struct {
	Provider meeting.Provider // empty: not said
	Code     string           // the number people type to join: 9 to 11 digits; SYSTEC's is the ID
	ID       string           // up to 20 digits
	URL      string           // a link that does not tell the number: only who saw it made knows
}

// Lengths of numbers: meeting codes of both providers have 9 to 11 digits, IDs of Tencent
// Meeting 19 or 20.
const (
	minCode = 9
	maxCode = 11
	minID   = 15
	maxID   = 20
)

// MeetingArg reads a MEETING argument: a number as people write it ("806 146 667"), an
// ID, either with "systec:" or "tencent:" before it, or a join URL. It reports whether s
// is one of them; a short URL that neither provider's shape tells apart is one.
func MeetingArg(s string) (MeetingTarget, bool) {
	s = strings.TrimSpace(s)
	if len(s) > maxURL {
		return MeetingTarget{}, false
	}
	if p, rest, ok := cutProvider(s); ok {
		digits, ok := number(rest)
		if !ok || len(digits) < minCode || len(digits) > maxID {
			return MeetingTarget{}, false
		}
		if p == meeting.Tencent && len(digits) <= maxCode {
			return MeetingTarget{Provider: p, Code: digits}, true
		}
		return MeetingTarget{Provider: p, ID: digits}, true
	}
	if digits, ok := number(s); ok {
		switch n := len(digits); {
		case minCode <= n && n <= maxCode:
			return MeetingTarget{Code: digits}, true
		case minID <= n && n <= maxID:
			return MeetingTarget{Provider: meeting.Tencent, ID: digits}, true
		}
		return MeetingTarget{}, false
	}
	return meetingURL(s)
}

func cutProvider(s string) (meeting.Provider, string, bool) {
	for _, p := range []meeting.Provider{meeting.Systec, meeting.Tencent} {
		if n := len(p); len(s) > n && strings.EqualFold(s[:n], string(p)) {
			for _, colon := range []string{":", "："} {
				if rest, ok := strings.CutPrefix(s[n:], colon); ok {
					return p, rest, true
				}
			}
		}
	}
	return "", "", false
}

// number returns the digits of a number that people wrote with blanks or dashes.
func number(s string) (string, bool) {
	var room [maxID + 1]byte
	var b []byte // nil as long as s is digits alone
	for i, r := range s {
		switch {
		case '0' <= r && r <= '9':
			if b != nil {
				b = append(b, byte(r))
			}
			continue
		case '０' <= r && r <= '９':
			if b == nil {
				b = append(room[:0], s[:i]...)
			}
			b = append(b, byte(r-'０'+'0'))
			continue
		case r == ' ', r == '-', r == '－', '\u2010' <= r && r <= '\u2015': // dashes that word processors make
			if b == nil {
				b = append(room[:0], s[:i]...)
			}
			continue
		}
		return "", false
	}
	if b != nil {
		s = string(b)
	}
	return s, s != ""
}

// asciiURL has the marks of an address as input methods make them.
var asciiURL = strings.NewReplacer("：", ":", "／", "/", "？", "?", "＝", "=", "＆", "&", "．", ".", "－", "-", "＿", "_", "＃", "#", "％", "%")

// HalfWidth undoes what input methods make of the marks in an address.
func HalfWidth(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return asciiURL.Replace(s)
		}
	}
	return s
}

// meetingURL reads a join URL: https://meeting.tencent.com/dm/…, https://wemeet.qq.com/w/…,
// or SYSTEC's https://HOST/j/NUMBER.
func meetingURL(s string) (MeetingTarget, bool) {
	s = HalfWidth(s)
	lower := strings.ToLower(s)
	switch {
	case strings.HasPrefix(lower, "https://"), strings.HasPrefix(lower, "http://"):
	case strings.HasPrefix(lower, "meeting.tencent.com/"), strings.HasPrefix(lower, "wemeet.qq.com/"):
		s = "https://" + s
	default:
		return MeetingTarget{}, false
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.ContainsAny(s, " \"<>") {
		return MeetingTarget{}, false
	}
	host := strings.ToLower(u.Hostname())
	if host == "meeting.tencent.com" || strings.HasSuffix(host, ".meeting.tencent.com") || host == "wemeet.qq.com" {
		// /p/NUMBER is somebody's personal meeting; /dm/… and /w/… are short names.
		if code, ok := strings.CutPrefix(u.Path, "/p/"); ok && isCode(strings.TrimSuffix(code, "/")) {
			return MeetingTarget{Provider: meeting.Tencent, Code: strings.TrimSuffix(code, "/")}, true
		}
		if code := u.Query().Get("meeting_code"); isCode(code) {
			return MeetingTarget{Provider: meeting.Tencent, Code: code}, true
		}
		return MeetingTarget{Provider: meeting.Tencent, URL: s}, true
	}
	if _, id, ok := strings.Cut(u.Path, "/j/"); ok && isCode(strings.TrimSuffix(id, "/")) {
		return MeetingTarget{Provider: meeting.Systec, ID: strings.TrimSuffix(id, "/")}, true
	}
	return MeetingTarget{URL: s}, true
}

func isCode(s string) bool {
	if len(s) < minCode || len(s) > maxCode {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
