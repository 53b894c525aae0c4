// Package meeting is the neutral vocabulary of the bot: a meeting, the request for an
// instant one, a live push target, and the errors that callers act on.
//
// Each provider's client, in a package below this one, translates its wire format at its
// own edge. Where they differ, the comment on the field
// here says which and how. A client tries once; retrying is for the caller, who knows
// from the error whether anything can have happened ([ErrUnavailable]: no;
// [ErrOutcomeUnknown]: perhaps).
package meeting

import (
	"reflect"
	"regexp"
	"strings"
	"time"

	"meetbot/config/secret"
)

// Provider is the ID of a meeting provider, as "tencent": see [Kind]. Where the bot has several
// accounts there it is that of one of them, as "tencent@school", and a meeting of one account
// is never another's.
type Provider string

// At is the ID of an account of the provider. Without a name it is p.
func (p Provider) At(account string) Provider {
	if account == "" {
		return p
	}
	return p.Kind() + "@" + Provider(account)
}

// Kind is the ID of the provider whose account p is.
func (p Provider) Kind() Provider {
	kind, _, _ := strings.Cut(string(p), "@")
	return Provider(kind)
}

// Account is the account's name; empty for the one that the provider's own ID means.
func (p Provider) Account() string {
	_, account, _ := strings.Cut(string(p), "@")
	return account
}

// Covers reports whether q is p, or an account of the provider p.
func (p Provider) Covers(q Provider) bool { return p == q || p == q.Kind() }

var accountName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// IsAccount reports whether an account can have that name: 1 to 32 lower-case letters, digits
// and dashes. It is a part of keys, of buttons and of metrics.
func IsAccount(name string) bool { return accountName.MatchString(name) }

// Ref names one meeting across providers. Its text form is "systec:1591620888".
type Ref struct {
	Provider Provider
	ID       string
}

func (r Ref) String() string { return string(r.Provider) + ":" + r.ID }

// IsZero reports whether r names no meeting.
func (r Ref) IsZero() bool { return r == Ref{} }

// State is how far a meeting has come.
type State string

const (
	StateUnknown   State = ""          // nobody has said; never shown as ended
	StateReady     State = "ready"     // nobody is in; as far as is known nobody was
	StateRunning   State = "running"   // somebody is in
	StateEmpty     State = "empty"     // somebody was in, and everybody has left; it can be entered until its end
	StateExpired   State = "expired"   // past its planned end, and nobody is in
	StateEnded     State = "ended"     // for everybody
	StateCancelled State = "cancelled" //
	StateDeleted   State = "deleted"   // by the provider, since nobody joined in time: SYSTEC after 30 minutes
	StateRecycled  State = "recycled"  // its number was taken back: Tencent 30 days after the planned start
	StateUnlisted  State = "unlisted"  // the provider no longer lists it, which is not a word on how it ended
)

// Over reports whether the provider has said that the meeting is over. [StateUnknown] and
// [StateUnlisted] say nothing of that.
func (s State) Over() bool {
	switch s {
	case StateExpired, StateEnded, StateCancelled, StateDeleted, StateRecycled:
		return true
	}
	return false
}

// Next returns the state of a meeting that was in s when its provider says that it is in
// said. No provider says of an empty meeting whether anybody has been in it, so what is
// known decides. What has ended stays so, but for a meeting past its planned end, which
// may be entered once more; a meeting that was only lost from sight may be in any state.
func (s State) Next(said State) State {
	switch {
	case said == StateUnknown:
		return s
	case s == StateExpired && (said == StateRunning || said == StateEnded):
		return said
	case s.Over():
		return s
	case said == StateReady && (s == StateRunning || s == StateEmpty):
		return StateEmpty
	}
	return said
}

// Meeting is a meeting as a provider described it. A field that the provider has no
// word for, or left out of its answer, is zero.
type Meeting struct {
	Ref   Ref    `cbor:",omitzero"`
	Code  string `cbor:",omitzero"` // the number people type to join: 9 to 11 digits; SYSTEC's is the ID itself
	Topic string `cbor:",omitzero"`
	State State  `cbor:",omitzero"`

	JoinURL  string `cbor:",omitzero"`
	WatchURL string `cbor:",omitzero"` // a page for viewers; Tencent: only with live enabled, and only its creator is told
	PlayURL  string `cbor:",omitzero"` // the stream itself (HLS); SYSTEC only
	Passcode string `cbor:",omitzero"` // goes with the join URL

	// StartURL lets any holder start the meeting as its host for about two hours. Tencent
	// has none.
	StartURL secret.String `cbor:",omitzero"`
	// HostKey lets a participant claim the host's role.
	HostKey secret.String `cbor:",omitzero"`

	Live      bool      `cbor:",omitzero"` // live streaming was enabled when it was created
	Scheduled bool      `cbor:",omitzero"` // it was made to begin later; false also where nothing was said of it
	Start     time.Time `cbor:",omitzero"` // of a meeting that was made to begin at once: when it was made
	End       time.Time `cbor:",omitzero"` // planned
	Creator   string    `cbor:",omitzero"` // the provider's account it belongs to; Tencent and Zoom
	Hosts     []string  `cbor:",omitzero"` // the provider's users who are its hosts; Tencent and Zoom
	Capacity  int       `cbor:",omitzero"` // SYSTEC only
	UserKey   string    `cbor:",omitzero"` // the correlation text given at creation; SYSTEC and Zoom
}

// Recording says where a meeting is recorded.
type Recording string

const (
	RecordingDefault Recording = ""
	RecordingNone    Recording = "none"
	RecordingCloud   Recording = "cloud"
)

// Instant is the wish for a meeting that starts now. A nil flag leaves the choice to
// the provider. A client refuses, with [ErrInvalid], a field that its provider has no
// parameter for; it does not drop it.
type Instant struct {
	Topic    string        `cbor:",omitzero"`
	Capacity int           `cbor:",omitzero"` // participants; SYSTEC requires it, Tencent has none
	Duration time.Duration `cbor:",omitzero"` // whole minutes; SYSTEC: strictly more than 30 minutes, or zero; Tencent needs an end and gets 60 minutes for zero

	JoinBeforeHost    *bool     `cbor:",omitzero"`
	Mute              *bool     `cbor:",omitzero"`
	HostVideo         *bool     `cbor:",omitzero"` // SYSTEC and Zoom
	ParticipantsVideo *bool     `cbor:",omitzero"` // SYSTEC and Zoom
	PMI               *bool     `cbor:",omitzero"` // the account's personal meeting number; SYSTEC and Zoom
	WaitingRoom       *bool     `cbor:",omitzero"`
	Live              *bool     `cbor:",omitzero"`
	Recording         Recording `cbor:",omitzero"`
	HostName          string    `cbor:",omitzero"` // SYSTEC only
	Passcode          string    `cbor:",omitzero"` // that people type to join; Zoom only

	// UserKey marks the meeting with the caller's own text, by which it can be found
	// again after a lost answer. SYSTEC, at most 200 bytes, and Zoom, at most 250 characters.
	UserKey string `cbor:",omitzero"`
	// Start is the start time to send, whole seconds. For Tencent subject, start and end as
	// sent are all that a lost meeting can be found by; Zoom has it for scheduled meetings.
	Start time.Time `cbor:",omitzero"`
	// Account is the provider's user who becomes the creator. Tencent and Zoom; empty for
	// the account the client was configured with.
	Account string `cbor:",omitzero"`
	// Hosts are the provider's users who are to be hosts from the beginning. Tencent's paid
	// editions, where without them the creator is, and Zoom, where the creator stays one.
	Hosts []string `cbor:",omitzero"`
	// HostKey is the six-digit key with which the host's role can be claimed. Tencent only.
	HostKey secret.String `cbor:",omitzero"`
}

// Given returns the names of the fields of in that ask for something, in the words of
// [APIError.Field] and [Kind.Parameters].
func (in Instant) Given() []string {
	var given []string
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"topic", in.Topic != ""},
		{"capacity", in.Capacity != 0},
		{"duration", in.Duration != 0},
		{"join_before_host", in.JoinBeforeHost != nil},
		{"mute", in.Mute != nil},
		{"host_video", in.HostVideo != nil},
		{"participants_video", in.ParticipantsVideo != nil},
		{"pmi", in.PMI != nil},
		{"waiting_room", in.WaitingRoom != nil},
		{"live", in.Live != nil},
		{"recording", in.Recording != RecordingDefault},
		{"host_name", in.HostName != ""},
		{"passcode", in.Passcode != ""},
		{"user_key", in.UserKey != ""},
		{"start", !in.Start.IsZero()},
		{"account", in.Account != ""},
		{"hosts", len(in.Hosts) > 0},
		{"host_key", !in.HostKey.IsZero()},
	} {
		if f.set {
			given = append(given, f.name)
		}
	}
	return given
}

// Unsupported returns the first field of in that parameters has no name for, empty if
// there is none.
func (in Instant) Unsupported(parameters map[string]string) string {
	for _, f := range in.Given() {
		if parameters[f] == "" {
			return f
		}
	}
	return ""
}

// Or returns in with what it leaves to others filled in from usual.
func (in Instant) Or(usual Instant) Instant {
	mine, theirs := reflect.ValueOf(&in).Elem(), reflect.ValueOf(usual)
	for i := range mine.NumField() {
		if mine.Field(i).IsZero() {
			mine.Field(i).Set(theirs.Field(i))
		}
	}
	return in
}

// Live is what a provider said of a live stream.
type Live string

const (
	LiveUnsaid Live = ""
	LiveOn     Live = "on"
	LiveOff    Live = "off"
)

// Event is a provider's word on a meeting, as it reports it by itself.
type Event struct {
	ID    string    `cbor:",omitzero"` // the same when it is sent again
	At    time.Time `cbor:",omitzero"`
	Ref   Ref       `cbor:",omitzero"`
	State State     `cbor:",omitzero"` // [StateUnknown]: nothing was said of it
	Live  Live      `cbor:",omitzero"`
	Made  Made      `cbor:",omitzero"`
	// Files are the provider's names of what was made, the same whenever it tells of them;
	// Page is where people see it, empty if it did not say.
	Files []string `cbor:",omitzero"`
	Page  string   `cbor:",omitzero"`
	// Began is when the meeting began that it is about, if the number may be another's by now;
	// zero: not said.
	Began time.Time `cbor:",omitzero"`
}

// Made is what a provider has made of a meeting, and now has ready for its host.
type Made string

const (
	MadeNothing    Made = ""
	MadeRecording  Made = "recording"
	MadeSummary    Made = "summary"
	MadeTranscript Made = "transcript"
	MadeReplay     Made = "replay" // of the live
)

// Page is where a provider shows what it has made of a meeting, to whom it lets in.
type Page struct {
	Made Made
	File string // as in [Event]
	URL  string // never of the file itself
}
