package tencent

import (
	"net/http"

	"meetbot/meeting"
	"meetbot/meeting/internal/lenient"
	"meetbot/meeting/internal/oneshot"
)

// wireError is the error_info of an answer.
type wireError struct {
	Code    lenient.Text `json:"error_code"`
	NewCode lenient.Text `json:"new_error_code"` // 200190303: HTTP 200 and the code
	Message lenient.Text `json:"message"`        // it may repeat what was sent
}

// kind is what an error code means to a caller.
type kind struct {
	err    error
	reason meeting.Reason
	field  string
}

// codes are the documented error codes, from
// https://cloud.tencent.com/document/product/1095/43704 and the pages of the operations.
var codes = map[int]kind{
	// Live push.
	400001: {err: meeting.ErrLimit, reason: meeting.ReasonPushLimit},
	400004: {err: meeting.ErrInvalid, reason: meeting.ReasonPushAddress},
	400005: {err: meeting.ErrNotFound, reason: meeting.ReasonMeeting},
	400006: {err: meeting.ErrNotPermitted, reason: meeting.ReasonNotCreator},
	400007: {err: meeting.ErrNotPermitted, reason: meeting.ReasonNotHost},
	190316: {err: meeting.ErrInvalid, reason: meeting.ReasonNoLive},       // no information about a live
	190317: {err: meeting.ErrInvalid, reason: meeting.ReasonNoLive},       // no live was enabled
	190318: {err: meeting.ErrInvalid, reason: meeting.ReasonNotRetrieved}, // the meeting's details
	190319: {err: meeting.ErrInvalid, reason: meeting.ReasonNotChanged},   // the live's settings

	// Meetings.
	9002:   {err: meeting.ErrNotFound, reason: meeting.ReasonMeeting},
	9003:   {err: meeting.ErrNotFound, reason: meeting.ReasonMeeting},
	9007:   {err: meeting.ErrInvalid, reason: meeting.ReasonState}, // it was cancelled
	9008:   {err: meeting.ErrLimit, reason: meeting.ReasonQuota},
	9042:   {err: meeting.ErrNotPermitted, reason: meeting.ReasonAccountRight},
	9061:   {err: meeting.ErrRateLimited},
	9093:   {err: meeting.ErrInvalid, reason: meeting.ReasonSensitive, field: "topic"},
	9098:   {err: meeting.ErrLimit, reason: meeting.ReasonConcurrent}, // meetings at once, not calls
	9099:   {err: meeting.ErrNotPermitted, reason: meeting.ReasonAccountRight},
	9100:   {err: meeting.ErrNotPermitted, reason: meeting.ReasonAccountRight},
	9101:   {err: meeting.ErrNotPermitted, reason: meeting.ReasonAccountRight},
	9102:   {err: meeting.ErrNotPermitted, reason: meeting.ReasonAccountRight},
	9103:   {err: meeting.ErrInvalid, reason: meeting.ReasonState}, // a Rooms device cannot be put into the waiting room
	9104:   {err: meeting.ErrInvalid, reason: meeting.ReasonState}, // its video cannot be stopped
	10005:  {err: meeting.ErrNotPermitted, reason: meeting.ReasonAccountRight},
	13602:  {err: meeting.ErrInvalid, reason: meeting.ReasonState}, // it has begun
	13603:  {err: meeting.ErrInvalid, reason: meeting.ReasonState},
	500029: {err: meeting.ErrLimit, reason: meeting.ReasonQuota},
	500168: {err: meeting.ErrLimit, reason: meeting.ReasonQuota},

	// Accounts and their rights.
	20001:  {err: meeting.ErrNotPermitted, reason: meeting.ReasonAccount},
	20003:  {err: meeting.ErrNotPermitted, reason: meeting.ReasonAccount}, // it is disabled
	50000:  {err: meeting.ErrCredentials, reason: meeting.ReasonEnterprise},
	50001:  {err: meeting.ErrCredentials, reason: meeting.ReasonEnterprise}, // it is disabled
	190001: {err: meeting.ErrNotPermitted, reason: meeting.ReasonAccount},
	190308: {err: meeting.ErrNotPermitted, reason: meeting.ReasonAccount},
	190315: {err: meeting.ErrNotPermitted, reason: meeting.ReasonNotCreator},
	190441: {err: meeting.ErrNotPermitted, reason: meeting.ReasonAccountRight},
	202801: {err: meeting.ErrNotPermitted, reason: meeting.ReasonApplication},
	500014: {err: meeting.ErrNotPermitted, reason: meeting.ReasonAccountRight},

	// Requests, signatures, limits.
	190004: {err: meeting.ErrInvalid},
	200001: {err: meeting.ErrInvalid},
	200004: {err: meeting.ErrNotPermitted, reason: meeting.ReasonAPI},
	200005: {err: meeting.ErrInvalid},
	200006: {err: meeting.ErrInvalid},
	190300: {err: meeting.ErrCredentials, reason: meeting.ReasonClock},
	190303: {err: meeting.ErrCredentials, reason: meeting.ReasonUnknownSecretID},
	200003: {err: meeting.ErrCredentials, reason: meeting.ReasonSignature},
	190310: {err: meeting.ErrRateLimited},
	190313: {err: meeting.ErrRateLimited},
	190311: {err: meeting.ErrLimit, reason: meeting.ReasonDaily},
	190312: {err: meeting.ErrLimit, reason: meeting.ReasonDaily},
}

// open are the codes that do not say that nothing was done. The first three are Tencent's
// own network and internal errors, somewhere behind its front door. A nonce is random and
// used once, so that "used before" means that something on the way sent our request twice,
// and the other copy may have been carried out.
var open = map[int]meeting.Reason{
	41:     meeting.ReasonNone,
	5108:   meeting.ReasonNone,
	960000: meeting.ReasonNone,
	190301: meeting.ReasonReplay,
	200002: meeting.ReasonReplay,
}

// code is the error code; 0 for none.
func (w wireError) code() int {
	if n := w.Code.Int(); n != 0 {
		return n
	}
	return w.NewCode.Int() % 1_000_000
}

// classify puts the failure into e. Tencent answers a refusal with HTTP 400, 403 or 500,
// and its list of codes is known to be incomplete: a code, listed or not, is its word that
// it refused, whatever the status. Only the codes in open, and an error_info without one,
// leave it open what was done.
func (w wireError) classify(e *meeting.APIError, mutates bool) {
	e.Code = w.code()
	reason, isOpen := open[e.Code]
	k, listed := codes[e.Code]
	switch {
	case (isOpen || e.Code == 0) && mutates:
		e.Err, e.Reason = meeting.ErrOutcomeUnknown, reason
	case isOpen || e.Code == 0:
		e.Err, e.Reason = meeting.ErrUnavailable, reason
	case listed:
		e.Err, e.Reason, e.Field = k.err, k.reason, k.field
	default:
		e.Err, e.Reason = meeting.ErrInvalid, meeting.ReasonUnlisted
	}
}

// traceID returns the id under which Tencent's support finds the call.
func traceID(h http.Header) string {
	id := h.Get("X-TC-Trace")
	if len(id) > 128 || !oneshot.Printable(id) {
		return ""
	}
	return id
}
