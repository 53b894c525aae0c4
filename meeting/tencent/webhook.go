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
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

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
	EndType EndType // with EventEnded
	Account string  // who did it (userid); empty for people outside the enterprise
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
	case EventStarted:
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
	default:
		return meeting.Event{}, false
	}
	return out, true
}

const (
	maxCallback = 1 << 20
	// maxAge is how long ago a callback may have been signed. Tencent repeats one after 1, 3
	// and 6 minutes, and whether it signs it anew is not documented; a repeat that is replayed
	// is told by its TraceID.
	maxAge = 15 * time.Minute
	// maxAhead is how far ahead its clock may be.
	maxAhead = 5 * time.Minute
	received = "successfully received callback"
)

// webhook receives callbacks.
type webhook struct {
	token  secret.String
	block  cipher.Block // nil if callbacks are not encrypted
	iv     []byte
	now    func() time.Time
	handle func(context.Context, Event) error
}

// NewWebhook returns a handler for Tencent's event callbacks. A GET with a check_str
// proves that the address is ours, a POST brings events. What is not signed with the
// token, or was signed more than 15 minutes ago, is answered with a bare 401.
//
// handle is called for each event of a callback, in order; if it returns an error the
// callback is answered with 500 and Tencent sends all of it again. Tencent also repeats a
// callback whose answer it did not get. now is optional.
//
// The aesKey is the EncodingAESKey, 43 characters, or empty if callbacks are not
// encrypted.
//
// API docs: https://cloud.tencent.com/document/product/1095/51608,
// https://cloud.tencent.com/document/product/1095/51612,
// https://cloud.tencent.com/document/product/1095/54658
func NewWebhook(token, aesKey secret.String, now func() time.Time, handle func(context.Context, Event) error) (http.Handler, error) {
	if token.IsZero() {
		return nil, errors.New("tencent: webhook token: missing")
	}
	if handle == nil {
		return nil, errors.New("tencent: webhook: no receiver of events")
	}
	if now == nil {
		now = time.Now
	}
	h := &webhook{token: token, now: now, handle: handle}
	if !aesKey.IsZero() {
		// Not strict: the bits that the 43rd character has too many need not be zero.
		key, err := base64.RawStdEncoding.DecodeString(aesKey.Reveal())
		if err != nil || len(key) != 32 {
			return nil, errors.New("tencent: webhook AES key: must be 43 letters and digits")
		}
		if h.block, err = aes.NewCipher(key); err != nil {
			return nil, errors.New("tencent: webhook AES key: not usable")
		}
		h.iv = key[:aes.BlockSize]
	}
	return h, nil
}

func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		h.check(w, r)
	case http.MethodPost:
		h.receive(w, r)
	default:
		w.Header().Set("Allow", "GET, POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// check answers a check_str with its plaintext, for which Tencent waits three seconds. It
// sends one when the address is entered, and later from time to time.
func (h *webhook) check(w http.ResponseWriter, r *http.Request) {
	data := r.URL.Query().Get("check_str")
	if !h.signed(r.Header, data) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	plain, err := h.open(data)
	if err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(plain)
}

func (h *webhook) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallback))
	if err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	// The signature is over the value of data, so this much is parsed before it is known
	// who sent it.
	var envelope struct {
		Data string `json:"data"`
	}
	if json.Unmarshal(body, &envelope) != nil || !h.signed(r.Header, envelope.Data) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	plain, err := h.open(envelope.Data)
	if err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	events, err := parseEvents(plain)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, e := range events {
		if h.handle(r.Context(), e) != nil { // whoever handles it logs it
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, received)
}

// signed reports whether the headers hold a fresh signature over data.
func (h *webhook) signed(header http.Header, data string) bool {
	timestamp, nonce := header.Get("timestamp"), header.Get("nonce")
	ms, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || data == "" || nonce == "" {
		return false
	}
	age := h.now().Sub(time.UnixMilli(ms))
	fresh := -maxAhead <= age && age <= maxAge
	want := callbackSignature(h.token.Reveal(), timestamp, nonce, data)
	same := subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(header.Get("signature")))) == 1
	return same && fresh
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
			continue // about an account, a room, a recording
		}
		e := Event{
			Kind: kind, Name: w.Event, TraceID: string(trace), At: eventTime(string(p.OperateTime)),
			Ref:  meeting.Ref{Provider: Kind.ID, ID: id},
			Code: p.Meeting.Code.Digits(), Topic: string(p.Meeting.Subject),
			EndType: EndTypeNotGiven, Account: string(p.Operator),
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
		out = append(out, e)
	}
	return out, nil
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
	}
	return EventOther
}

var beijing = time.FixedZone("CST", 8*60*60)

// eventTime reads milliseconds or, as in events of 2020, a time in Beijing.
func eventTime(s string) time.Time {
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil && ms > 0 && ms < 1<<50 {
		return time.UnixMilli(ms)
	}
	t, err := time.ParseInLocation(time.DateTime, s, beijing)
	if err != nil {
		return time.Time{}
	}
	return t
}
