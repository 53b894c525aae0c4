package meeting

import (
	"errors"
	"fmt"
	"time"
)

// What a caller of a provider does differently. Every error of a client matches exactly
// one of them with [errors.Is], or is a context error from before anything was sent.
var (
	ErrNotFound     = errors.New("not found")
	ErrNotPermitted = errors.New("not permitted")       // the acting account lacks the right
	ErrInvalid      = errors.New("invalid input")       // refused by us or by the provider; a repeat is refused again
	ErrLimit        = errors.New("limit reached")       // a quota or a maximum; waiting a minute does not help
	ErrRateLimited  = errors.New("rate limited")        // see APIError.RetryAfter; nothing was done
	ErrCredentials  = errors.New("credentials refused") // key, secret, signature or clock
	// ErrUnavailable means that the provider could not be reached or could not answer,
	// and that nothing was done: either no byte of the request was written, or the
	// operation only reads. It is safe to repeat.
	ErrUnavailable = errors.New("unavailable")
	// ErrOutcomeUnknown means that a request that changes something was written and no
	// usable answer came back. It may have been carried out. Look before you repeat.
	ErrOutcomeUnknown = errors.New("outcome unknown")
)

// Reason refines an [APIError] where a documented error deserves its own sentence.
type Reason string

const (
	ReasonNone            Reason = ""
	ReasonPushAddress     Reason = "push_address"   // wrong, duplicate, a second WeChat address, or a wrong WeChat prefix (Tencent 400004)
	ReasonPushLimit       Reason = "push_limit"     // too many push addresses (400001)
	ReasonNotHost         Reason = "not_host"       // only the creator or the host may (400007)
	ReasonNotCreator      Reason = "not_creator"    // only the creator may (400006, 190315)
	ReasonMeeting         Reason = "meeting"        // no such meeting (400005, 9002, 9003)
	ReasonAccount         Reason = "account"        // the acting account is not registered (190001, 20001)
	ReasonAccountRight    Reason = "account_right"  // the account's plan or role lacks the right (500014, 9042)
	ReasonSensitive       Reason = "sensitive"      // the topic has a word that the provider refuses (9093)
	ReasonQuota           Reason = "quota"          // meetings created (9008, 500029, 500168)
	ReasonDaily           Reason = "daily"          // calls a day (190311, 190312)
	ReasonClock           Reason = "clock"          // our clock is more than five minutes off (190300)
	ReasonReplay          Reason = "replay"         // nonce and timestamp were used before (190301, 200002)
	ReasonSignature       Reason = "signature"      // (200003)
	ReasonUnknownSecretID Reason = "unknown_secret" // (190303)
	ReasonState           Reason = "state"          // the meeting's state forbids it: over, or not begun
	ReasonNoLive          Reason = "no_live"        // the meeting was made without a live (190316, 190317)
	ReasonStarting        Reason = "starting"       // somebody asked half a minute ago at most that the live be started (Zoom 429)
	ReasonConcurrent      Reason = "concurrent"     // as many meetings run at once as may (9098)
	ReasonRooms           Reason = "rooms"          // no free room of the wished size now (SYSTEC)
	ReasonAPI             Reason = "api"            // the application has no right to this operation, or this service does not have it (200004)
	ReasonApplication     Reason = "application"    // the meeting is not this application's (202801)
	ReasonScope           Reason = "scope"          // the application lacks the scopes that Field names (Zoom 4711)
	ReasonEnterprise      Reason = "enterprise"     // the enterprise is unknown or disabled (50000, 50001)
	ReasonNotRetrieved    Reason = "not_retrieved"  // the provider could not read the meeting itself (190318)
	ReasonNotChanged      Reason = "not_changed"    // the provider could not change the live's settings (190319)
	ReasonUnlisted        Reason = "unlisted"       // refused with Code, whose meaning is not published
	ReasonField           Reason = "field"          // Field says which
	ReasonUnsupported     Reason = "unsupported"    // the provider has no parameter for Field
	ReasonAnswer          Reason = "answer"         // the answer could not be understood
)

// Reasons returns all reasons but [ReasonNone].
func Reasons() []Reason {
	return []Reason{
		ReasonPushAddress,
		ReasonPushLimit,
		ReasonNotHost,
		ReasonNotCreator,
		ReasonMeeting,
		ReasonAccount,
		ReasonAccountRight,
		ReasonSensitive,
		ReasonQuota,
		ReasonDaily,
		ReasonClock,
		ReasonReplay,
		ReasonSignature,
		ReasonUnknownSecretID,
		ReasonState,
		ReasonNoLive,
		ReasonStarting,
		ReasonConcurrent,
		ReasonRooms,
		ReasonAPI,
		ReasonApplication,
		ReasonScope,
		ReasonEnterprise,
		ReasonNotRetrieved,
		ReasonNotChanged,
		ReasonUnlisted,
		ReasonField,
		ReasonUnsupported,
		ReasonAnswer,
	}
}

// APIError is what a provider's client returns. Its text names operation, status and
// code, and what the provider said; it never has a URL, a body, or a credential in it.
type APIError struct {
	Provider   Provider
	Op         string        // method and path template: "POST /v1/meetings/{id}/dismiss"
	Status     int           // HTTP status; 0 if there was none
	Code       int           // the provider's own error code; 0 if there was none
	TraceID    string        // the provider's trace id, for its support; empty if it gave none
	Message    string        // the provider's own words, without anything that was sent; one line of at most 200 characters, empty if it gave none
	RetryAfter time.Duration // 0 if the provider did not say
	Reason     Reason
	Field      string // with ReasonField and ReasonUnsupported: a field of Instant or PushTarget, as in "duration"; with ReasonScope: scopes
	Err        error  // one of the Err… values of this package
	Cause      error  // what the transport said, its URL removed; nil if there was an answer
}

func (e *APIError) Error() string {
	s := fmt.Sprintf("%s %s: %v", e.Provider, e.Op, e.Err)
	if e.Status != 0 {
		s += fmt.Sprintf(", HTTP %d", e.Status)
	}
	if e.Code != 0 {
		s += fmt.Sprintf(", code %d", e.Code)
	}
	if e.Reason != "" {
		s += ", " + string(e.Reason)
	}
	if e.Field != "" {
		s += " " + e.Field
	}
	if e.TraceID != "" {
		s += ", trace " + e.TraceID
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	if e.Message != "" {
		s += fmt.Sprintf(": %q", e.Message)
	}
	return s
}

// Unwrap lets [errors.Is] find the kind and the cause.
func (e *APIError) Unwrap() []error {
	if e.Cause != nil {
		return []error{e.Err, e.Cause}
	}
	return []error{e.Err}
}
