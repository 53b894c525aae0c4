package tencent

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"meetbot/bot/signed"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/internal/lenient"
)

// EventKind says what an [Event] is about.
type EventKind string

const (
	EventCreated    EventKind = "created"
	EventUpdated    EventKind = "updated"
	EventCancelled  EventKind = "cancelled"
	EventStarted    EventKind = "started" // the host has entered
	EventEnded      EventKind = "ended"   // see Event.EndType; may come more than once
	EventJoined     EventKind = "joined"  // a participant
	EventLeft       EventKind = "left"    // a participant
	EventLiveStart  EventKind = "live_started"
	EventLiveEnd    EventKind = "live_ended"
	EventLiveConfig EventKind = "live_config" // the live's settings were changed
	EventRecorded   EventKind = "recorded"    // the recording can be watched
	EventTranscript EventKind = "transcript"  // of the recording
	EventMinutes    EventKind = "minutes"     // of the recording
	EventOther      EventKind = "other"
)

// EndType is why a meeting ended.
type EndType int

const (
	EndByHost       EndType = 0
	EndLastLeft     EndType = 1 // the last participant left after the planned end
	EndEmptyLate    EndType = 2 // nobody was there after the planned end
	EndEmptyEarly   EndType = 3 // nobody was there before the planned end: the meeting may be entered again
	EndTypeNotGiven EndType = -1
)

// Event is something that happened to a meeting. One callback may hold several.
type Event struct {
	Kind EventKind
	Name string // as Tencent calls it: "meeting.started"
	// TraceID names the callback, and is the same when Tencent repeats it: whoever
	// receives events takes each TraceID and Ref once.
	TraceID string
	At      time.Time // when it happened
	Ref     meeting.Ref
	Code    string
	Topic   string
	EndType EndType  // with EventEnded
	Account string   // who did it (userid); empty for people outside the enterprise
	Files   []string // IDs of the files of a recording
}

// Neutral returns what e says in the words of all providers, or false if it says nothing of
// a meeting's state or live.
func (e Event) Neutral() (meeting.Event, bool) {
	id := e.TraceID
	if id == "" { // as told apart as can be
		id = strconv.FormatInt(e.At.UnixMilli(), 10)
	}
	out := meeting.Event{ID: id + ":" + e.Name + ":" + e.Ref.ID, At: e.At, Ref: e.Ref}
	switch e.Kind {
	case EventStarted, EventJoined: // the first may tell only that its host has come
		out.State = meeting.StateRunning
	case EventCancelled:
		out.State = meeting.StateCancelled
	case EventEnded:
		out.State = meeting.StateEnded
		if e.EndType == EndEmptyEarly { // it may be entered again
			out.State = meeting.StateEmpty
		}
	case EventLiveStart:
		out.Live = meeting.LiveOn
	case EventLiveEnd:
		out.Live = meeting.LiveOff
	case EventRecorded:
		out.Made, out.Files = meeting.MadeRecording, e.Files
	case EventTranscript:
		out.Made, out.Files = meeting.MadeTranscript, e.Files
	case EventMinutes:
		out.Made, out.Files = meeting.MadeSummary, e.Files
	default:
		return meeting.Event{}, false
	}
	return out, true
}

const (
	// maxAge is how long ago a callback may have been signed. Tencent repeats one after 1, 3
	// and 6 minutes, and whether it signs it anew is not documented; a repeat that is replayed
	// is told by its TraceID.
	maxAge = 15 * time.Minute
	// maxAhead is how far ahead its clock may be.
	maxAhead = 5 * time.Minute
	received = "successfully received callback"
)

// WebhookConfig is what [NewWebhook] needs.
type WebhookConfig struct {
	Token  secret.String
	AESKey secret.String // the EncodingAESKey, 43 characters; empty if callbacks are not encrypted
	// Handle is called for each event of a callback, in order; if it returns an error the
	// callback is answered with 500 and Tencent sends all of it again. Tencent also repeats a
	// callback whose answer it did not get.
	Handle func(context.Context, Event) error

	Now     func() time.Time    // optional
	Refused func(signed.Reason) // optional; told of every request that is refused
	Log     *slog.Logger        // optional
}

// webhook receives callbacks.
type webhook struct {
	WebhookConfig
	block cipher.Block // nil if callbacks are not encrypted
	iv    []byte
}

// NewWebhook returns a handler for Tencent's event callbacks. A GET with a check_str
// proves that the address is ours, a POST brings events. What is not signed with the
// token, or was signed more than 15 minutes ago, is answered with a bare 401.
//
// API docs: https://cloud.tencent.com/document/product/1095/51608,
// https://cloud.tencent.com/document/product/1095/51612,
// https://cloud.tencent.com/document/product/1095/54658
func NewWebhook(c WebhookConfig) (http.Handler, error) {
	if c.Token.IsZero() {
		return nil, errors.New("tencent: webhook token: missing")
	}
	if c.Handle == nil {
		return nil, errors.New("tencent: webhook: no receiver of events")
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
	h := &webhook{WebhookConfig: c}
	if !c.AESKey.IsZero() {
		// Not strict: the bits that the 43rd character has too many need not be zero.
		key, err := base64.RawStdEncoding.DecodeString(c.AESKey.Reveal())
		if err != nil || len(key) != 32 {
			return nil, errors.New("tencent: webhook AES key: must be 43 letters and digits")
		}
		if h.block, err = aes.NewCipher(key); err != nil {
			return nil, errors.New("tencent: webhook AES key: not usable")
		}
		h.iv = key[:aes.BlockSize]
	}
	gate := signed.New(signed.Scheme{Sent: sent, Old: maxAge, Ahead: maxAhead, Valid: h.signed}, c.Now, c.Refused, c.Log)
	take := gate.Handler(func(w http.ResponseWriter, r *http.Request, body []byte, _ time.Time) {
		plain, err := h.open(dataOf(r, body))
		switch {
		case err != nil:
			c.Log.WarnContext(r.Context(), "signed callback not decrypted", "err", err)
			w.WriteHeader(http.StatusUnauthorized)
		case r.Method == http.MethodGet:
			prove(w, plain)
		default:
			h.receive(w, r, plain)
		}
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodPost {
			w.Header().Set("Allow", "GET, POST")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		take(w, r)
	}), nil
}

// prove answers a check_str with its plaintext, for which Tencent waits three seconds. It
// sends one when the address is entered, and later from time to time.
func prove(w http.ResponseWriter, plain []byte) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(plain)
}

func (h *webhook) receive(w http.ResponseWriter, r *http.Request, plain []byte) {
	events, err := parseEvents(plain)
	if err != nil {
		h.Log.WarnContext(r.Context(), "signed callback not understood")
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, e := range events {
		if h.Handle(r.Context(), e) != nil { // whoever handles it logs it
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, received)
}

// sent reads when a callback was signed, if it has something that looks like a signature.
func sent(h http.Header) (time.Time, bool) {
	ms, err := strconv.ParseInt(h.Get("timestamp"), 10, 64)
	return time.UnixMilli(ms), err == nil && h.Get("nonce") != "" && len(h.Get("signature")) == hex.EncodedLen(sha1.Size)
}

// dataOf is what a signature is over: a value of the query, or of the body, which for that has
// to be parsed before it is known who sent it.
func dataOf(r *http.Request, body []byte) string {
	if r.Method == http.MethodGet {
		return r.URL.Query().Get("check_str")
	}
	var envelope struct {
		Data string `json:"data"`
	}
	if json.Unmarshal(body, &envelope) != nil {
		return ""
	}
	return envelope.Data
}

// signed reports whether the headers hold a signature over the callback's data.
func (h *webhook) signed(r *http.Request, body []byte) bool {
	data := dataOf(r, body)
	want := callbackSignature(h.Token.Reveal(), r.Header.Get("timestamp"), r.Header.Get("nonce"), data)
	same := subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(r.Header.Get("signature")))) == 1
	return same && data != ""
}

// callbackSignature sorts the values, not names with values.
func callbackSignature(token, timestamp, nonce, data string) string {
	values := []string{token, timestamp, nonce, data}
	slices.Sort(values)
	sum := sha1.Sum([]byte(strings.Join(values, ""))) // the protocol's choice
	return hex.EncodeToString(sum[:])
}

// open returns the plaintext of data.
func (h *webhook) open(data string) ([]byte, error) {
	b, err := decodeBase64(data)
	if err != nil || h.block == nil {
		return b, err
	}
	if len(b) == 0 || len(b)%aes.BlockSize != 0 {
		return nil, errors.New("not whole blocks")
	}
	cipher.NewCBCDecrypter(h.block, h.iv).CryptBlocks(b, b)
	// The samples unpad blocks of 16 as well as of 32. That a forger could learn something
	// from the difference does not matter here: only what is signed is decrypted.
	n := int(b[len(b)-1])
	if n < 1 || n > 32 || n > len(b) {
		return nil, errors.New("not padded")
	}
	for _, c := range b[len(b)-n:] {
		if int(c) != n {
			return nil, errors.New("not padded")
		}
	}
	return b[:len(b)-n], nil
}

type wireCallback struct {
	Event    string       `json:"event"`
	TraceID  lenient.Text `json:"trace_id"`
	Sequence lenient.Text `json:"unique_sequence"` // what trace_id was called in 2020
	Payload  []struct {
		OperateTime lenient.Text  `json:"operate_time"` // milliseconds; in 2020 "2020-12-29 17:41:06"
		Operator    wireUser      `json:"operator"`
		EndType     *lenient.Text `json:"meeting_end_type"`
		Files       wireFiles     `json:"recording_files"`
		Meeting     struct {
			ID      lenient.Text  `json:"meeting_id"`
			Code    lenient.Text  `json:"meeting_code"`
			Subject lenient.Text  `json:"subject"`
			EndType *lenient.Text `json:"meeting_end_type"`
		} `json:"meeting_info"`
	} `json:"payload"`
}

// wireUser is the userid of an object that has one, empty for anything else.
type wireUser string

// UnmarshalJSON implements [json.Unmarshaler].
func (u *wireUser) UnmarshalJSON(b []byte) error {
	var w struct {
		UserID lenient.Text `json:"userid"`
	}
	_ = json.Unmarshal(b, &w)
	*u = wireUser(w.UserID)
	return nil
}

// wireFiles are the IDs of files, of which anything else is left alone.
type wireFiles []string

// maxFiles bounds how many files of one recording are told apart.
const maxFiles = 50

// UnmarshalJSON implements [json.Unmarshaler].
func (f *wireFiles) UnmarshalJSON(b []byte) error {
	var all []struct {
		ID lenient.Text `json:"record_file_id"`
	}
	_ = json.Unmarshal(b, &all)
	for _, w := range all[:min(len(all), maxFiles)] {
		if id := string(w.ID); id != "" && len(id) <= maxFileID {
			*f = append(*f, id)
		}
	}
	return nil
}

const maxFileID = 64 // bytes

// parseEvents returns an event for each meeting of a callback.
func parseEvents(plain []byte) ([]Event, error) {
	var w wireCallback
	if err := json.Unmarshal(plain, &w); err != nil {
		return nil, err
	}
	trace := w.TraceID
	if trace == "" {
		trace = w.Sequence
	}
	kind := kindOf(w.Event)
	var out []Event
	for _, p := range w.Payload {
		id := p.Meeting.ID.Digits()
		if id == "" {
			continue // about an account, a room, an upload
		}
		e := Event{
			Kind: kind, Name: w.Event, TraceID: string(trace), At: eventTime(string(p.OperateTime)),
			Ref:  meeting.Ref{Provider: Kind.ID, ID: id},
			Code: p.Meeting.Code.Digits(), Topic: string(p.Meeting.Subject),
			EndType: EndTypeNotGiven, Account: string(p.Operator), Files: p.Files,
		}
		end := p.EndType
		if end == nil {
			end = p.Meeting.EndType
		}
		if end != nil && kind == EventEnded {
			if n, err := strconv.Atoi(string(*end)); err == nil {
				e.EndType = EndType(n)
			}
		}
		if !e.joins(out) {
			out = append(out, e)
		}
	}
	return out, nil
}

// joins adds the files of e to what was said before of the same meeting, if it is about files: of
// one meeting a callback makes one event.
func (e Event) joins(before []Event) bool {
	i := slices.IndexFunc(before, func(b Event) bool { return b.Ref == e.Ref })
	if i < 0 || e.Kind != EventRecorded && e.Kind != EventTranscript && e.Kind != EventMinutes {
		return false
	}
	for _, f := range e.Files {
		if had := before[i].Files; len(had) < maxFiles && !slices.Contains(had, f) {
			before[i].Files = append(had, f)
		}
	}
	return true
}

func kindOf(name string) EventKind {
	switch name {
	case "meeting.created":
		return EventCreated
	case "meeting.updated":
		return EventUpdated
	case "meeting.canceled":
		return EventCancelled
	case "meeting.started":
		return EventStarted
	case "meeting.end":
		return EventEnded
	case "meeting.participant-joined":
		return EventJoined
	case "meeting.participant-left":
		return EventLeft
	case "meeting.live-started":
		return EventLiveStart
	case "meeting.live-stopped":
		return EventLiveEnd
	case "meeting.live-config-update":
		return EventLiveConfig
	case "recording.completed":
		return EventRecorded
	case "smart.transcripts":
		return EventTranscript
	case "smart.fullsummary", "smart.minutes":
		return EventMinutes
	}
	return EventOther
}

var beijing = time.FixedZone("CST", 8*60*60)

// eventTime reads milliseconds, seconds as in some events of recordings, or, as in events of
// 2020, a time in Beijing.
func eventTime(s string) time.Time {
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil && ms > 0 && ms < 1<<50 {
		if ms < 1e11 {
			return time.Unix(ms, 0)
		}
		return time.UnixMilli(ms)
	}
	t, err := time.ParseInLocation(time.DateTime, s, beijing)
	if err != nil {
		return time.Time{}
	}
	return t
}
