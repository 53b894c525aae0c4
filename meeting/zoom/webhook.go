package zoom

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"meetbot/bot/signed"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/internal/lenient"
)

const (
	// maxAge is how long ago an event may have been signed. Zoom repeats one after 5, 20 and
	// 60 minutes, each from the attempt before, and whether it signs it anew is not
	// documented. A repeat that is replayed is told by its ID.
	maxAge = 90 * time.Minute
	// maxAhead is how far ahead its clock may be.
	maxAhead = 5 * time.Minute
	maxPlain = 1024 // bytes of a plainToken
)

// WebhookConfig is what [NewWebhook] needs.
type WebhookConfig struct {
	Token secret.String
	// BaseURL is the API's, which says where its pages are: see [meeting.Kind.OwnPage].
	BaseURL string
	// Handle is called for what says something of a meeting; if it returns an error the event is
	// answered with 500 and Zoom sends it again.
	Handle func(context.Context, meeting.Event) error

	Now     func() time.Time    // optional
	Refused func(signed.Reason) // optional; told of every request that is refused
	Log     *slog.Logger        // optional
}

// webhook receives events.
type webhook struct{ WebhookConfig }

// NewWebhook returns a handler for Zoom's events, all of which are signed with the
// application's secret token, over the bytes of the body. It answers Zoom's validation of the
// address, which comes when it is entered and every 72 hours. What is not signed, or was
// signed more than 90 minutes ago, is answered with a bare 401.
//
// API docs: https://developers.zoom.us/docs/api/webhooks/
func NewWebhook(c WebhookConfig) (http.Handler, error) {
	if c.Token.IsZero() {
		return nil, errors.New("zoom: webhook secret token: missing")
	}
	if c.Handle == nil {
		return nil, errors.New("zoom: webhook: no receiver of events")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Refused == nil {
		c.Refused = func(signed.Reason) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	h := &webhook{c}
	take := signed.New(signed.Scheme{Sent: sent, Old: maxAge, Ahead: maxAhead, Valid: h.signed}, c.Now, c.Refused, c.Log).Handler(h.receive)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", "POST")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		take(w, r)
	}), nil
}

func (h *webhook) receive(w http.ResponseWriter, r *http.Request, body []byte, _ time.Time) {
	var e wireEvent
	if json.Unmarshal(body, &e) != nil {
		h.Log.WarnContext(r.Context(), "signed event not understood")
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if e.Event == "endpoint.url_validation" {
		h.validate(w, e)
		return
	}
	said, ok := e.neutral(h.Now(), h.BaseURL)
	if ok && h.Handle(r.Context(), said) != nil { // whoever handles it logs it
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

// sent reads when an event was signed, if it has something that looks like a signature.
func sent(h http.Header) (time.Time, bool) {
	seconds, err := strconv.ParseInt(h.Get("X-Zm-Request-Timestamp"), 10, 64)
	if seconds > 1e11 { // milliseconds, as other times of events are
		seconds /= 1000
	}
	mac, ok := strings.CutPrefix(h.Get("X-Zm-Signature"), "v0=")
	return time.Unix(seconds, 0), err == nil && ok && len(mac) == hex.EncodedLen(sha256.Size)
}

// signed reports whether the headers hold a signature over the body.
func (h *webhook) signed(r *http.Request, body []byte) bool {
	got, err := hex.DecodeString(strings.TrimPrefix(r.Header.Get("X-Zm-Signature"), "v0="))
	return err == nil && hmac.Equal(got, h.mac([]byte("v0:"+r.Header.Get("X-Zm-Request-Timestamp")+":"), body))
}

func (h *webhook) mac(parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, []byte(h.Token.Reveal()))
	for _, p := range parts {
		mac.Write(p)
	}
	return mac.Sum(nil)
}

// wireEvent is what is read of an event. Of a live it has the stream key as well, and of a
// recording passcodes and the addresses of its files, which are left alone.
type wireEvent struct {
	Event   lenient.Text `json:"event"`
	At      lenient.Text `json:"event_ts"` // milliseconds
	Payload struct {
		PlainToken lenient.Text `json:"plainToken"`
		Operation  lenient.Text `json:"operation"` // of a deletion in a series: "all", or "single" for one time of it
		Object     wireObject   `json:"object"`
	} `json:"payload"`
}

// wireObject is the meeting that an event is about; anything but an object is none.
type wireObject struct {
	id, uuid, typ, person string
	page                  string
	began                 time.Time
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
		Start       lenient.Text    `json:"start_time"`
		Began       lenient.Text    `json:"meeting_start_time"` // of a summary
		Share       lenient.Text    `json:"share_url"`          // of a recording: the page, not the file
		Doc         lenient.Text    `json:"summary_doc_url"`
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
	o.page = cmp.Or(w.Share.Link(), w.Doc.Link())
	o.began, _ = time.Parse(time.RFC3339, string(cmp.Or(w.Start, w.Began)))
	return nil
}

// neutral returns what an event says in the words of all providers, or false if it says
// nothing of a meeting's state or live, and nothing was made of it.
func (e wireEvent) neutral(now time.Time, base string) (meeting.Event, bool) {
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
		if strings.EqualFold(string(e.Payload.Operation), "single") {
			return meeting.Event{}, false
		}
		out.State = meeting.StateCancelled
	case "meeting.live_streaming_started":
		out.Live = meeting.LiveOn
	case "meeting.live_streaming_stopped":
		out.Live = meeting.LiveOff
	case "recording.completed":
		out.Made = meeting.MadeRecording
	case "recording.transcript_completed":
		out.Made = meeting.MadeTranscript
	case "meeting.summary_completed":
		out.Made = meeting.MadeSummary
	default: // that somebody left says nothing of who is still there
		return meeting.Event{}, false
	}
	if out.Made != meeting.MadeNothing {
		out.Page, out.Began = locked(Kind.OwnPage(o.page, base)), o.began
		if o.uuid != "" {
			out.Files = []string{o.uuid}
		}
	}
	return out, true
}

// locked returns the address of a page without the passcode that opens it: an account can have
// Zoom put one into the links of its recordings.
func locked(page string) string {
	u, err := url.Parse(page)
	if err != nil {
		return ""
	}
	if q := u.Query(); q.Has("pwd") {
		q.Del("pwd")
		u.RawQuery = q.Encode()
		return u.String()
	}
	return page
}
