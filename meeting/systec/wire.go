package systec

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/internal/lenient"
	"meetbot/meeting/internal/oneshot"
)

// typeInstant is the type of a meeting that was made to begin at once.
const typeInstant = "1"

type wireAnswer struct {
	Status  *lenient.Text   `json:"status"` // 200 or "200"
	Message lenient.Text    `json:"message"`
	Data    json.RawMessage `json:"data"`

	// A Java framework's own error page has a status and a message as well, and speaks
	// for the framework: the work may have been done when it failed. These give it away.
	Timestamp json.RawMessage `json:"timestamp"`
	Error     json.RawMessage `json:"error"`
	Path      json.RawMessage `json:"path"`
}

// decode returns the documented envelope, or false if a is something else.
func decode(a oneshot.Answer) (wireAnswer, bool) {
	var w wireAnswer
	if a.Decode(&w) != nil || w.Status == nil || w.Status.Int() == 0 {
		return w, false
	}
	page := w.Status.Int() != http.StatusOK && (w.Timestamp != nil || w.Error != nil || w.Path != nil)
	return w, !page
}

// certain reports whether a failure is SYSTEC's own word, which for a call that changes
// something means: that nothing was done. SYSTEC publishes neither codes nor the HTTP status
// of its failures, and what stands before it writes the same envelope of its own failures.
//
//	HTTP status           status in the body      message                      certain
//	200                   any but in trouble      any                          yes: no gateway puts a failure into a success
//	other, no trouble     any but in trouble      a sentence                   yes
//	any, or in trouble    in trouble, or any      a sentence                   to a call that only reads
//	any other than 200    any                     none, or HTTP's own phrase   no: as gateways write it
//	any                   in trouble              none, or HTTP's own phrase   no
//
// In trouble are 408 and 500 to 599: a server, or something before it, that failed or gave
// up, perhaps after the work was done.
func (w wireAnswer) certain(httpStatus int, mutates bool) bool {
	trouble := inTrouble(httpStatus) || inTrouble(w.Status.Int())
	msg := strings.TrimSpace(string(w.Message))
	explains := msg != "" && !strings.EqualFold(msg, http.StatusText(httpStatus)) && !strings.EqualFold(msg, http.StatusText(w.Status.Int()))
	switch {
	case trouble:
		return explains && !mutates
	case httpStatus == http.StatusOK:
		return true
	}
	return explains
}

func inTrouble(status int) bool {
	return status == http.StatusRequestTimeout || 500 <= status && status < 600
}

// classify puts a refusal of which SYSTEC's word is certain into e, which has its Code. The HTTP status decides where it says something, then
// the body's, where it is used like one; for the rest, SYSTEC's only contract is that the
// message has the details, and three things are worth reading from it.
func (w wireAnswer) classify(e *meeting.APIError, namesMeeting bool) {
	status := e.Status
	if status < 400 {
		status = e.Code
	}
	msg := strings.ToLower(string(w.Message))
	switch {
	case status == http.StatusUnauthorized, strings.Contains(msg, "api_key"), strings.Contains(msg, "api_secret"):
		e.Err = meeting.ErrCredentials
	case !namesMeeting && strings.Contains(msg, "会议室") && (strings.Contains(msg, "没有") || strings.Contains(msg, "不足")):
		e.Err, e.Reason = meeting.ErrLimit, meeting.ReasonRooms // no free room of that size
	case status == http.StatusForbidden:
		e.Err = meeting.ErrNotPermitted
	case status == http.StatusTooManyRequests:
		e.Err = meeting.ErrRateLimited
	case namesMeeting && (status == http.StatusNotFound || strings.Contains(msg, "不存在") || strings.Contains(msg, "not exist") || strings.Contains(msg, "not found")):
		e.Err, e.Reason = meeting.ErrNotFound, meeting.ReasonMeeting
	default:
		e.Err = meeting.ErrInvalid
	}
}

// isNothing reports whether data has no content: missing, null, {} or [].
func isNothing(data json.RawMessage) bool {
	switch string(bytes.TrimSpace(data)) {
	case "", "null", "{}", "[]", `""`:
		return true
	}
	return false
}

// wireMeeting is a meeting in the answers of instant, get, list and history, which spell
// some fields differently. Of the example for instant only meeting_id has always been
// there; the oldest has no URL at all.
type wireMeeting struct {
	MeetingID lenient.Text `json:"meeting_id"` // instant
	ID        lenient.Text `json:"id"`         // the others, sometimes as a number
	Topic     lenient.Text `json:"topic"`
	Status    lenient.Text `json:"status"`
	DelFlag   lenient.Text `json:"del_flag"`
	Password  lenient.Text `json:"password"`
	HostKey   lenient.Text `json:"host_key"`
	JoinURL   lenient.Text `json:"join_url"`
	StartURL  lenient.Text `json:"start_url"`
	PlayAddr  lenient.Text `json:"play_addr"`
	WatchURL  lenient.Text `json:"watch_url"`
	StartTime lenient.Text `json:"start_time"`
	Duration  lenient.Text `json:"duration"` // minutes
	Capacity  lenient.Text `json:"meeting_capacity"`
	Live      lenient.Text `json:"allow_live_streaming"`
	Type      lenient.Text `json:"type"`     // "1" instant, "2" scheduled; in lists
	UserKey   lenient.Text `json:"user_key"` // get says user_Key; encoding/json does not mind
}

// meeting converts w, or returns false if it has no usable id.
func (w wireMeeting) meeting() (meeting.Meeting, bool) {
	id := w.MeetingID.Digits()
	if id == "" {
		id = w.ID.Digits()
	}
	if id == "" {
		return meeting.Meeting{}, false
	}
	m := meeting.Meeting{
		Ref:      meeting.Ref{Provider: Kind.ID, ID: id},
		Code:     id,
		Topic:    string(w.Topic),
		State:    w.state(),
		JoinURL:  w.JoinURL.Link(),
		WatchURL: w.WatchURL.Link(),
		PlayURL:  w.PlayAddr.Link(),
		Passcode: string(w.Password),
		StartURL: secret.New(w.StartURL.Link()),
		HostKey:  secret.New(string(w.HostKey)),
		Live:     w.Live.Bool(),
		Start:    parseTime(string(w.StartTime)),

		Scheduled: w.Type != "" && w.Type != typeInstant,
		Capacity:  w.Capacity.Int(),
		UserKey:   string(w.UserKey),
	}
	if d := w.Duration.Int64(); d > 0 && d < 1<<20 && !m.Start.IsZero() {
		m.End = m.Start.Add(time.Duration(d) * time.Minute)
	}
	return m, true
}

func (w wireMeeting) state() meeting.State {
	if w.DelFlag.Bool() {
		return meeting.StateDeleted
	}
	switch w.Status {
	case "0":
		return meeting.StateReady
	case "1":
		return meeting.StateRunning
	case "2":
		return meeting.StateCancelled
	case "3":
		return meeting.StateEnded
	}
	return meeting.StateUnknown
}

// beijing is the zone of times that name none. China has had no summer time since 1991,
// so that the zone database is not needed.
var beijing = time.FixedZone("CST", 8*60*60)

// parseTime reads the two documented forms, and returns zero for anything else.
func parseTime(s string) time.Time {
	if t, err := time.ParseInLocation(time.DateTime, strings.TrimSpace(s), beijing); err == nil {
		return t
	}
	t, err := time.Parse(time.RFC3339, strings.TrimSpace(s))
	if err != nil {
		return time.Time{}
	}
	return t
}

// wirePage is a page of list or history.
type wirePage struct {
	TotalPage lenient.Text  `json:"total_page"`
	Meetings  []wireMeeting `json:"meetings"`
}

// more reports whether there is a page after page. Without a total, a full page may have
// a successor.
func (w wirePage) more(page int) bool {
	if w.TotalPage != "" {
		return w.TotalPage.AtLeast(page + 1)
	}
	return len(w.Meetings) >= pageSize
}
