package commands

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"meetbot/bot/jobs"
	"meetbot/config/secret"
	"meetbot/meeting"
)

// work is what a job remembers between its steps. It is encrypted at rest.
type work struct {
	Request Request
	Ask     Ask
	Locale  string
	// Since is when the wish became current: when it was typed, or approved.
	Since time.Time
	// Fault is why the command was not carried out; nil if it was.
	Fault *fault
	// Again marks the answer to a command that was made anew from an earlier job.
	Fresh bool
	// Reported says that an answer was already put into the outbox: what follows corrects it.
	Reported bool

	// Creating a meeting.
	Instant meeting.Instant // as sent, also to find it again
	Meeting *meeting.Meeting

	// Live push.
	Ref      meeting.Ref
	Account  string // the provider's user that acts
	Steps    []step
	Absent   []string  // what was to be switched off and is not set
	Approved *User     // who decided about it, once somebody had to
	Decision string    // the job in which that was done
	Until    time.Time // with verbApproval: when it is too late to decide
	KeyGone  bool      // Ask.Push had a key, which was dropped

	Event *Event // with verbEvent
}

// step is one destination of a push, set or switched off in a call of its own.
type step struct {
	Target      meeting.PushTarget
	Destination string // ID of the saved destination; empty for an address given by hand
	Fingerprint string
	Outcome     stepOutcome
	Fault       *fault
}

type stepOutcome string

const (
	stepPending  stepOutcome = ""
	stepSent     stepOutcome = "sent"     // accepted by the provider, not read back yet
	stepSet      stepOutcome = "set"      // read back as wanted
	stepAlready  stepOutcome = "already"  // was as wanted before
	stepDiffers  stepOutcome = "differs"  // read back, and not as wanted
	stepUnread   stepOutcome = "unread"   // accepted, but could not be read back
	stepRefused  stepOutcome = "refused"  // not sent, or refused by the provider
	stepUnclear  stepOutcome = "unclear"  // the outcome is unknown
	stepReplaced stepOutcome = "replaced" // not sent: the address is set with another key
)

// targets returns the names of a push's destinations.
func (w *work) targets() []string {
	names := make([]string, len(w.Steps))
	for i, s := range w.Steps {
		names[i] = s.Target.Name
	}
	return names
}

// fault is a sentence to be said in the reader's language.
type fault struct {
	ID   string
	Args []string // pairs of name and value; nothing secret
}

func newFault(id string, pairs ...string) *fault { return &fault{id, pairs} }

// notPermitted reports whether somebody else could do what was refused.
func (f *fault) notPermitted() bool {
	return f != nil && (f.ID == "fault.not_host" || f.ID == "fault.not_creator" || f.ID == "fault.not_permitted")
}

func (f *fault) text(t Text) string {
	args := make([]any, len(f.Args))
	for i, a := range f.Args {
		args[i] = a
	}
	return t.T(f.ID, args...)
}

// The record encoding. CBOR is the one encoding in which a secret keeps its value.
var (
	encoding, _ = cbor.EncOptions{Time: cbor.TimeRFC3339Nano}.EncMode()
	decoding, _ = cbor.DecOptions{}.DecMode()
)

func encode(v any) ([]byte, error) {
	b, err := encoding.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return b, nil
}

// errUnreadable: written by another version of the program. A repeat reads the same.
var errUnreadable = errors.New("record cannot be read")

func decode[T any](b []byte) (T, error) {
	var v T
	if err := decoding.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("decode %T: %w: %w", v, errUnreadable, err)
	}
	return v, nil
}

// shortHash is a name for s that is short, safe in every wire format, and not to be
// guessed back: 24 characters, 120 bits.
func shortHash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:15]))
}

// jobID names the job of a request.
func jobID(r Request) string { return shortHash("job", r.ID) }

// forget drops what a job that is over does not need. With offered its command can still
// be carried out by a button, and keeps the key that it came with.
func (w *work) forget(offered bool) {
	w.Request.Origin = nil
	if w.Meeting != nil {
		m := *w.Meeting
		m.StartURL, m.HostKey = noSecret, noSecret
		w.Meeting = &m
	}
	w.Instant.HostKey = noSecret
	for i := range w.Steps {
		w.Steps[i].Target.Key = noSecret
	}
	if !offered && !w.Ask.Push.Key.IsZero() {
		w.Ask.Push.Key, w.KeyGone = noSecret, true
	}
}

// forget drops from the record of a job what it does not need once it is over for good.
func forget(j *jobs.Job) error {
	w, err := decode[work](j.Data)
	if err != nil {
		return err
	}
	w.forget(false)
	data, err := encode(w)
	if err == nil {
		j.Data = data
	}
	return err
}

// newJob makes the record of an accepted request.
func newJob(d Decision, now time.Time) (jobs.Job, error) {
	data, err := encode(work{Request: d.Request, Ask: *d.Ask, Since: d.Request.At})
	if err != nil {
		return jobs.Job{}, err
	}
	return jobs.Job{ID: jobID(d.Request), Label: string(d.Ask.Verb), State: jobs.Accepted, Created: now, Data: data}, nil
}

// postKey names one delivery of a job, in at most 25 characters.
func postKey(j *jobs.Job, i int) string {
	return shortHash("post", j.ID, strconv.Itoa(i))
}

var noSecret secret.String
