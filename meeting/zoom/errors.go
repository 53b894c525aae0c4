package zoom

import (
	"net/http"
	"regexp"
	"strings"
	"time"

	"meetbot/meeting"
	"meetbot/meeting/internal/lenient"
)

// wireError is what Zoom says of a failure: https://developers.zoom.us/docs/api/errors/.
type wireError struct {
	Code    lenient.Text `json:"code"`
	Message lenient.Text `json:"message"` // it may repeat what was sent
	Errors  []struct {
		Field   lenient.Text `json:"field"`
		Message lenient.Text `json:"message"`
	} `json:"errors"`

	// Of the token's endpoint.
	Error  lenient.Text `json:"error"`
	Reason lenient.Text `json:"reason"`
}

// said reports whether the answer is Zoom's own refusal: its status is one, and it has a code
// of Zoom's. What stands between repeats the status and its phrase, if it writes JSON at all.
func (w wireError) said(status int) bool {
	code := w.Code.Int()
	return status >= 300 && status < 500 && status != http.StatusRequestTimeout && code != 0 &&
		(code != status || !strings.EqualFold(string(w.Message), http.StatusText(status)))
}

const (
	codeToken    = 124 // the token is invalid, or it has run out
	codeScopes   = 4711
	codeNoMeet   = 3001
	codeUnderWay = 3002
	codeTooMany  = 429
)

// codes are the documented error codes of the operations that are used, from Zoom's API
// reference: https://developers.zoom.us/docs/api/meetings/.
var codes = map[int]struct {
	err    error
	reason meeting.Reason
}{
	codeToken:    {meeting.ErrCredentials, meeting.ReasonNone},
	200:          {meeting.ErrNotPermitted, meeting.ReasonAccountRight}, // only for paid users; no permission
	300:          {meeting.ErrInvalid, meeting.ReasonNone},
	1001:         {meeting.ErrNotPermitted, meeting.ReasonAccount},
	1010:         {meeting.ErrNotPermitted, meeting.ReasonAccount},
	1120:         {meeting.ErrNotPermitted, meeting.ReasonAccount},
	3000:         {meeting.ErrInvalid, meeting.ReasonNone}, // a webinar, among others
	codeNoMeet:   {meeting.ErrNotFound, meeting.ReasonMeeting},
	codeUnderWay: {meeting.ErrInvalid, meeting.ReasonState}, // it is in progress
	3003:         {meeting.ErrNotPermitted, meeting.ReasonNotHost},
	3007:         {meeting.ErrInvalid, meeting.ReasonState}, // it has ended
	3161:         {meeting.ErrNotPermitted, meeting.ReasonAccountRight},
	codeScopes:   {meeting.ErrNotPermitted, meeting.ReasonScope},
	codeTooMany:  {meeting.ErrRateLimited, meeting.ReasonNone},
}

// scopesIn finds the scopes that a refusal names: "…, does not contain scopes:[a, b]."
var scopesIn = regexp.MustCompile(`scopes?:? ?\[([a-z0-9_:, ]{1,200})\]`)

// classify puts the failure into e. A code is Zoom's word that it refused, whatever it is.
func (w wireError) classify(e *meeting.APIError, h http.Header) {
	e.Code = w.Code.Int()
	k, listed := codes[e.Code]
	switch {
	case listed:
		e.Err, e.Reason = k.err, k.reason
	case e.Status == http.StatusTooManyRequests:
		e.Err = meeting.ErrRateLimited
	default:
		e.Err, e.Reason = meeting.ErrInvalid, meeting.ReasonUnlisted
	}
	text := strings.ToLower(string(w.Message))
	if m := scopesIn.FindStringSubmatch(text); m != nil { // the code differs from one API to the next
		e.Err, e.Reason, e.Field = meeting.ErrNotPermitted, meeting.ReasonScope, strings.Join(strings.Fields(m[1]), " ")
	}
	// The number of meetings that a user may make a day is told in two ways: with status
	// 429, and with code 300.
	daily := strings.Contains(text, "daily rate limit") || strings.Contains(text, "in one day") || strings.EqualFold(h.Get("X-RateLimit-Type"), "Daily-limit")
	if daily && (e.Code == 300 || e.Status == http.StatusTooManyRequests) {
		e.Err, e.Reason = meeting.ErrLimit, meeting.ReasonDaily
		if e.Op == opCreate {
			e.Reason = meeting.ReasonQuota
		}
		return
	}
	// "Too many requests submitted to start the live stream … retry … after 30 seconds", without
	// a header. Every operation's limits are told in other words, and with those nobody has asked.
	if e.Op == opStatus && e.Status == http.StatusTooManyRequests && !strings.Contains(text, "rate limit") {
		e.Reason, e.RetryAfter = meeting.ReasonStarting, max(e.RetryAfter, startAgain)
	}
}

// startAgain is how long Zoom wants nobody to ask again that a live be started.
const startAgain = 30 * time.Second

// traceID returns the id under which Zoom's support finds the call.
func traceID(h http.Header) string {
	id := h.Get("X-Zm-Trackingid")
	if len(id) > 128 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return id
}
