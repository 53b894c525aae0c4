package zoom

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/internal/lenient"
)

const (
	maxEvent = 1 << 20 // bytes
	// maxAge is how long ago an event may have been signed. Zoom repeats one after 5, 20 and
	// 60 minutes, each from the attempt before, and whether it signs it anew is not
	// documented. A repeat that is replayed is told by its ID.
	maxAge = 90 * time.Minute
	// maxAhead is how far ahead its clock may be.
	maxAhead = 5 * time.Minute
	maxPlain = 1024 // bytes of a plainToken
)

// webhook receives events.
type webhook struct {
	token  secret.String
	now    func() time.Time
	handle func(context.Context, meeting.Event) error
}

// NewWebhook returns a handler for Zoom's events, all of which are signed with the
// application's secret token, over the bytes of the body. It answers Zoom's validation of the
// address, which comes when it is entered and every 72 hours. What is not signed, or was
// signed more than 90 minutes ago, is answered with a bare 401.
//
// handle is called for what says something of a meeting; if it returns an error the event is
// answered with 500 and Zoom sends it again. now is optional.
//
// API docs: https://developers.zoom.us/docs/api/webhooks/
func NewWebhook(token secret.String, now func() time.Time, handle func(context.Context, meeting.Event) error) (http.Handler, error) {
	if token.IsZero() {
		return nil, errors.New("zoom: webhook secret token: missing")
	}
	if handle == nil {
		return nil, errors.New("zoom: webhook: no receiver of events")
	}
	if now == nil {
		now = time.Now
	}
	return &webhook{token, now, handle}, nil
}

func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEvent))
	if err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	if !h.signed(r.Header, body) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var e wireEvent
	if json.Unmarshal(body, &e) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if e.Event == "endpoint.url_validation" {
		h.validate(w, e)
		return
	}
	said, ok := e.neutral(h.now())
	if ok && h.handle(r.Context(), said) != nil { // whoever handles it logs it
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// validate proves that the address is ours.
func (h *webhook) validate(w http.ResponseWriter, e wireEvent) {
	plain := string(e.Payload.PlainToken)
	if plain == "" || len(plain) > maxPlain {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = json.NewEncoder(w).Encode(map[string]string{ // whoever asked is gone
		"plainToken": plain, "encryptedToken": hex.EncodeToString(h.mac([]byte(plain))),
	})
}

// signed reports whether the headers hold a fresh signature over the body.
func (h *webhook) signed(header http.Header, body []byte) bool {
	stamp := header.Get("X-Zm-Request-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return false
	}
	if seconds > 1e11 { // milliseconds, as other times of events are
		seconds /= 1000
	}
	age := h.now().Sub(time.Unix(seconds, 0))
	got, err := hex.DecodeString(strings.TrimPrefix(header.Get("X-Zm-Signature"), "v0="))
	same := hmac.Equal(got, h.mac([]byte("v0:"+stamp+":"), body))
	return err == nil && same && -maxAhead <= age && age <= maxAge
}

func (h *webhook) mac(parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, []byte(h.token.Reveal()))
	for _, p := range parts {
		mac.Write(p)
	}
	return mac.Sum(nil)
}

// wireEvent is what is read of an event. Of a live it has the stream key as well, and of a
// recording links and passcodes, which are left alone.
type wireEvent struct {
	Event   lenient.Text `json:"event"`
	At      lenient.Text `json:"event_ts"` // milliseconds
	Payload struct {
		PlainToken lenient.Text `json:"plainToken"`
		Object     wireObject   `json:"object"`
	} `json:"payload"`
}

// wireObject is the meeting that an event is about; anything but an object is none.
type wireObject struct {
	id, uuid, typ, person string
}

// UnmarshalJSON implements [json.Unmarshaler].
func (o *wireObject) UnmarshalJSON(b []byte) error {
	var w struct {
		ID          lenient.Text    `json:"id"`
		MeetingID   lenient.Text    `json:"meeting_id"` // of a summary
		UUID        lenient.Text    `json:"uuid"`
		MeetingUUID lenient.Text    `json:"meeting_uuid"`
		Type        lenient.Text    `json:"type"`
		Participant json.RawMessage `json:"participant"`
	}
	_ = json.Unmarshal(b, &w)
	var p struct {
		UserID lenient.Text `json:"user_id"` // new each time that somebody enters
	}
	_ = json.Unmarshal(w.Participant, &p)
	*o = wireObject{id: w.ID.Digits(), uuid: string(w.UUID), typ: string(w.Type), person: string(p.UserID)}
	if o.id == "" {
		o.id = w.MeetingID.Digits()
	}
	if o.uuid == "" {
		o.uuid = string(w.MeetingUUID)
	}
	return nil
}

// neutral returns what an event says in the words of all providers, or false if it says
// nothing of a meeting's state or live, and nothing was made of it.
func (e wireEvent) neutral(now time.Time) (meeting.Event, bool) {
	o := e.Payload.Object
	if !isNumber(o.id) {
		return meeting.Event{}, false
	}
	out := meeting.Event{
		ID: strings.Join([]string{string(e.At), string(e.Event), o.id, o.uuid, o.person}, ":"), At: now,
		Ref: meeting.Ref{Provider: Kind.ID, ID: o.id},
	}
	if ms := e.At.Int64(); ms > 0 && ms < 1<<50 {
		out.At = time.UnixMilli(ms)
	}
	switch e.Event {
	case "meeting.started", "meeting.participant_joined":
		out.State = meeting.StateRunning
	case "meeting.ended":
		out.State = meeting.StateEnded
		if o.typ != "1" && o.typ != "" { // it may be started again
			out.State = meeting.StateEmpty
		}
	case "meeting.deleted":
		out.State = meeting.StateCancelled
	case "meeting.live_streaming_started":
		out.Live = meeting.LiveOn
	case "meeting.live_streaming_stopped":
		out.Live = meeting.LiveOff
	case "recording.completed":
		out.Made = meeting.MadeRecording
	case "meeting.summary_completed":
		out.Made = meeting.MadeSummary
	default: // that somebody left says nothing of who is still there
		return meeting.Event{}, false
	}
	return out, true
}
