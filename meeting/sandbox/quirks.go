package sandbox

import "time"

// Repost is what Tencent Meeting does when an address that is set is posted again
// with the other value of enable_push_addres. The document only says that addresses
// must not repeat (400004), and names no other way to turn one off.
type Repost int

const (
	RepostUpdates Repost = iota // the address is turned off, or on again
	RepostRefused               // error 400004, as for any repeated address
	RepostIgnored               // success, and nothing changes
)

// Quirks are the behaviours that no document settles. The zero value is the likeliest
// reading of each; a client has to survive all of them.
type Quirks struct {
	// IgnoreUnknown: parameters that no document names are ignored. Otherwise they are
	// refused, which catches a misspelling.
	IgnoreUnknown bool

	// Label is the Content-Type of both APIs' answers, which are JSON all the same. Empty: as
	// documented.
	Label string

	// ListDelay is how long a created meeting takes to appear in lists. Zero: at once.
	ListDelay time.Duration

	// SystecFailureStatus is the HTTP status of SYSTEC's failures. Zero: 200, and only
	// the body tells; -1: the HTTP status repeats the body's.
	SystecFailureStatus int

	// SystecSwapNumbers: numbers come as strings and numeric strings as numbers.
	// Otherwise as in each endpoint's example.
	SystecSwapNumbers bool

	// Systec2018: instant answers as in 2018, with an 11-digit number, empty host_id
	// and token, and no URL. Otherwise the present shape.
	Systec2018 bool

	// SystecForgetsDeleted: a deleted meeting is unknown to get. Otherwise get answers
	// with del_flag 1.
	SystecForgetsDeleted bool

	// SystecListsAll: lists heed no user_key. Otherwise they are filtered by it.
	SystecListsAll bool

	// TencentEmptyObject: the answer of a success without data is {}. Otherwise it has
	// no body.
	TencentEmptyObject bool

	// TencentErrorStatus is the HTTP status of all errors; 200 puts an error_info into
	// a success. Zero: as documented.
	TencentErrorStatus int

	// NoNewErrorCode: error_info has no new_error_code. Otherwise it has.
	NoNewErrorCode bool

	// RecordingsForbidden: the application may not read recordings, as a new one without an
	// STS token. Otherwise it may.
	RecordingsForbidden bool

	// Repost: what posting a set address again with the other enable_push_addres does.
	Repost Repost

	// PushDelay is how long a set address takes to be read back. Zero: at once.
	PushDelay time.Duration

	// HideDisabled: the read-back leaves out addresses that are off. Otherwise it
	// shows them with false.
	HideDisabled bool

	// RefuseRTMPS: rtmps:// addresses are error 400004. Otherwise they are taken.
	RefuseRTMPS bool

	// WideNames: in the ten characters of a platform name, one outside of ASCII counts
	// twice. Otherwise all count once.
	WideNames bool

	// ChannelsPrefix is what a WeChat Channels address (platform_type 1) has to begin
	// with, else 400004; the document names the rule but not the prefix. Empty: any.
	ChannelsPrefix string

	// PeopleAsStrings: hosts and participants are userids. Otherwise {"userid": …}.
	PeopleAsStrings bool

	// EndedStaysVisible: an ended or cancelled meeting is still found by id, with its
	// state. Otherwise it is error 9003.
	EndedStaysVisible bool

	// DismissNotRunning is the error code for dismissing a meeting nobody is in. Zero: 9003.
	DismissNotRunning int

	// SensitiveWord in a subject is error 9093. Empty: none is.
	SensitiveWord string

	// NoLiveAddr: create's answer lacks live_addr, as in the official SDK's model. Otherwise
	// it has it, as in the document's example.
	NoLiveAddr bool

	// QuickKeepsStart: a quick meeting starts when it was asked to. Otherwise when it is made,
	// as documented.
	QuickKeepsStart bool

	// KeyTellsAddresses: an address that is set may be set once more with another key.
	// Otherwise the address alone must not repeat.
	KeyTellsAddresses bool

	// MostAtOnce is how many meetings of a user may run or wait at once: error 9098. Zero: any
	// number.
	MostAtOnce int

	// WebhookSignedOnce: a repeated event has the signature, and so the time, of its first
	// delivery. Otherwise each is signed anew.
	WebhookSignedOnce bool

	// WebhookPadded: unencrypted webhook data is base64 with padding. Otherwise
	// without, as in the published example.
	WebhookPadded bool

	// ZoomListsInstants: lists have instant meetings too. Otherwise scheduled ones only, as
	// documented.
	ZoomListsInstants bool

	// ZoomNoLiveCode is the error code of asking where a meeting is streamed to that has no
	// address. Zero: an answer without one.
	ZoomNoLiveCode int

	// ZoomLocksLive: the address cannot be changed while the live is on. Otherwise it can.
	ZoomLocksLive bool

	// ZoomNeverLive: a live that is to be started does not come on air. Otherwise it does.
	ZoomNeverLive bool

	// ZoomCreatesPerDay is how many meetings of a user Zoom allows a day. Zero: 100, as
	// documented; -1: any number.
	ZoomCreatesPerDay int

	// CallsPerMinute, CallsPerDay (errors 190310, 190311), CreatesPerHour for each user
	// (500029) and CreatesPerMonth (500168) are Tencent Meeting's limits. Zero: as
	// documented, 300, 200,000 and 2,000, and no monthly one; -1: none.
	CallsPerMinute, CallsPerDay, CreatesPerHour, CreatesPerMonth int
}

func (q *Quirks) setDefaults() {
	or := func(v *int, preset int) {
		if *v == 0 {
			*v = preset
		}
	}
	or(&q.CallsPerMinute, 300)
	or(&q.CallsPerDay, 200_000)
	or(&q.CreatesPerHour, 2000)
	or(&q.CreatesPerMonth, -1)
	or(&q.SystecFailureStatus, 200)
	or(&q.DismissNotRunning, codeNotExist)
	or(&q.ZoomCreatesPerDay, 100)
}
