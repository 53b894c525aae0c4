package meeting

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// Words are one text in both languages.
type Words struct{ EN, ZH string }

// Capabilities says what a provider's API can do with a meeting.
type Capabilities struct {
	LivePush  bool // RTMP push addresses can be set
	PushRead  bool // and read back, with their keys
	StartLive bool // the live can be started and stopped, if its host need not do that in the client
	StartURL  bool // there is a start link, which can be fetched anew
	HostKey   bool // the host key can be chosen at creation
	ByCode    bool // a meeting can be looked up by the number that people type to join
	// Accounts: calls are made for one of the provider's own users, who is the creator of
	// what is made, and decides what else may be done.
	Accounts bool
	// Foreign: meetings that the bot did not make can be acted on, if the account may.
	Foreign bool
	Events  bool // the provider reports what happens to a meeting
}

// PushRules are the limits of a provider's live push; zero: none.
type PushRules struct {
	Name   int // characters of a push name
	WeChat int // WeChat Channels addresses per meeting
	Others int // other addresses per meeting
	// Replaces says that a meeting has one address, which the next takes the place of, and
	// that none can be switched off: what can be stopped is the live.
	Replaces bool
}

// Kind is all that is true of one provider, said by its package and registered once, so
// that nothing else names it.
type Kind struct {
	ID   Provider // in [Ref], options and metrics; stored, and therefore never changed
	Name Words    // in a sentence
	// Product is what a list of providers calls it.
	Product Words
	// Aliases are what else people call it, in lower case. ID and Name need not be repeated.
	Aliases []string

	Can  Capabilities
	Push PushRules
	// Parameters maps each field of [Instant] that the provider has a parameter for, as
	// [Instant.Given] names it, to that parameter. Any other is refused by name.
	Parameters  map[string]string
	MinDuration time.Duration // the shortest that may be planned, whole minutes

	// IsCode and IsID report whether a decimal number can be what people type to join, and what
	// the API knows a meeting by. With CodeIsID the two are one.
	IsCode, IsID func(digits string) bool
	CodeIsID     bool
	// Hosts are where its links live, with everything below them, and Schemes those of its
	// client's own links. Without Hosts a link may be on any host, and is asked for last.
	Hosts, Schemes []string
	// Link returns the number that a link tells, as code or ID; false for a link that tells
	// none, or is not one of its.
	Link func(*url.URL) (digits string, ok bool)

	// Prepare fills in what makes a meeting findable after a lost answer, and its host known.
	Prepare func(*Instant, Origin)
	// Same reports whether got, as [Origin]'s account lists it, is certainly the meeting that
	// was made by sending want at the given time, rather than another's.
	Same func(want Instant, sent time.Time, got Meeting) bool
	// Unlisted says that lists may not have a meeting that was made to begin at once: one whose
	// answer was lost is then mostly not found.
	Unlisted bool

	StartLinkLife time.Duration // how long a start link works; zero: there is none
	JoinWithin    time.Duration // a meeting that nobody enters by then is deleted; zero: it is not
	EndGrace      time.Duration // how long after its planned end a meeting that nobody is in is still returned; zero: not known
}

// OwnPage returns a link if it is one to a page of the provider's own, and else nothing. base is
// the API's address: without TLS, which only this machine may be without, its pages are there.
func (k Kind) OwnPage(link, base string) string {
	u, err := url.Parse(link)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return ""
	}
	if strings.HasPrefix(base, "http://") {
		return link
	}
	own := slices.ContainsFunc(k.Hosts, func(h string) bool { return u.Hostname() == h || strings.HasSuffix(u.Hostname(), "."+h) })
	if u.Scheme != "https" || u.Port() != "" && u.Port() != "443" || !own {
		return ""
	}
	return link
}

// Origin says who asks for a meeting, for [Kind.Prepare].
type Origin struct {
	// Mark is the caller's own text, which no other meeting has. It names the person too,
	// where the provider shows it in its reports.
	Mark    string
	Account string    // the provider's user who acts; empty where it has none
	Own     bool      // Account is the person's own, who is therefore the host
	At      time.Time // now
}

// A lost meeting is looked for among those that began this long before and after the call
// was made: clocks differ, and a provider that lets a meeting begin when it is made may
// make it late. Tencent refuses calls from clocks that are more than five minutes off.
const (
	sameBefore = 5 * time.Minute
	sameAfter  = 10 * time.Minute
)

// SameTime reports whether a meeting that was made by a call at sent can begin at start.
func SameTime(sent, start time.Time) bool {
	return !start.IsZero() && !start.Before(sent.Add(-sameBefore)) && !start.After(sent.Add(sameAfter))
}
