package commands

import (
	"strconv"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/policy"
	"meetbot/bot/records"
	"meetbot/bot/settings"
	"meetbot/bot/texts"
	"meetbot/config/secret"
	"meetbot/meeting"
)

// work is what a job remembers between its steps. It is encrypted at rest.
type work struct {
	Request chat.Request `cbor:",omitzero"`
	Ask     grammar.Ask  `cbor:",omitzero"`
	Locale  string       `cbor:",omitzero"`
	// Since is when the wish became current: when it was typed, or approved.
	Since time.Time `cbor:",omitzero"`
	// Public is the language of what everybody sees; empty: the person's. Lists say who may
	// here. Both as they were when the command was accepted.
	Public string        `cbor:",omitzero"`
	Lists  []policy.List `cbor:",omitzero"`
	// Fault is why the command was not carried out; nil if it was.
	Fault *texts.Message `cbor:",omitzero"`
	// Repeated says that a button made it of an earlier job: it is not taken for a retype of that.
	Repeated bool `cbor:"Fresh,omitzero"`
	// Reported says that an answer was already put into the outbox: what follows corrects it.
	Reported bool `cbor:",omitzero"`

	// Creating a meeting.
	Instant meeting.Instant  `cbor:",omitzero"` // as sent, also to find it again
	Sent    time.Time        `cbor:",omitzero"` // about when, by the provider's clock
	Meeting *meeting.Meeting `cbor:",omitzero"`

	// Live push.
	Ref     meeting.Ref `cbor:",omitzero"`
	Account string      `cbor:",omitzero"` // the provider's user that acts
	Calls   []pushCall  `cbor:"Steps,omitzero"`
	// Unread says that the provider does not let this account read back what is set.
	Unread bool     `cbor:",omitzero"`
	Absent []string `cbor:",omitzero"` // what was to be switched off and is not set
	// Withdrawn are the names of what waited for a second person and is not to go on the air any more.
	Withdrawn []string   `cbor:",omitzero"`
	Approved  *chat.User `cbor:",omitzero"` // who decided about it, once somebody had to
	Decision  string     `cbor:",omitzero"` // the job in which that was done
	// Carried says that Calls come from another meeting.
	Carried bool `cbor:",omitzero"`
	// Pinned is what the second person was shown: nothing else is sent without being shown again.
	Pinned  *pinned      `cbor:",omitzero"`
	Until   time.Time    `cbor:",omitzero"` // with grammar.VerbApproval: when it is too late to decide
	Shown   []chat.Field `cbor:",omitzero"` // with grammar.VerbApproval: what would be sent
	Tell    []chat.User  `cbor:",omitzero"` // with grammar.VerbApproval: who can approve
	KeyGone bool         `cbor:",omitzero"` // Ask.Push had a key, which was dropped

	// LiveJob is the job that started the live which is to be stopped: empty if none did, nil
	// in older records.
	LiveJob *string `cbor:",omitzero"`

	Event *meeting.Event `cbor:",omitzero"` // with grammar.VerbEvent
	Card  *chat.Receipt  `cbor:",omitzero"` // with grammar.VerbCards and VerbBoards: the one to bring up to date; nil in older records: all
}

// pushCall is the call that sets or switches one destination of a push.
type pushCall struct {
	Target      meeting.PushTarget `cbor:",omitzero"`
	Destination string             `cbor:",omitzero"` // ID of the saved destination; empty for an address given by hand
	Fingerprint string             `cbor:",omitzero"`
	Outcome     callOutcome        `cbor:",omitzero"`
	Fault       *texts.Message     `cbor:",omitzero"`
	There       string             `cbor:",omitzero"` // what the address is called at the meeting, where it was set before by another name
}

type callOutcome string

const (
	callPending  callOutcome = ""
	callSent     callOutcome = "sent"     // accepted by the provider, not read back yet
	callSet      callOutcome = "set"      // read back as wanted
	callAlready  callOutcome = "already"  // was as wanted before
	callDiffers  callOutcome = "differs"  // read back, and not as wanted
	callUnread   callOutcome = "unread"   // accepted, but could not be read back
	callRefused  callOutcome = "refused"  // not sent, or refused by the provider
	callUnclear  callOutcome = "unclear"  // the outcome is unknown
	callReplaced callOutcome = "replaced" // not sent: the address is set with another key
	callKept     callOutcome = "kept"     // not switched: the provider takes no change of what is set
)

// targets returns the names of a push's destinations.
func (w *work) targets() []string {
	names := make([]string, len(w.Calls))
	for i, s := range w.Calls {
		names[i] = s.Target.Name
	}
	return names
}

// jobID names the job of a request.
func jobID(r chat.Request) string { return records.ShortHash("job", r.ID) }

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
	for i := range w.Calls {
		w.Calls[i].Target.Key = noSecret
	}
	if !offered && !w.Ask.Push.Key.IsZero() {
		w.Ask.Push.Key, w.KeyGone = noSecret, true
	}
}

// forget drops from the record of a job what it does not need once it is over for good.
func forget(j *jobs.Job) error {
	w, err := records.Decode[work](j.Data)
	if err != nil {
		return err
	}
	w.forget(false)
	data, err := records.Encode(w)
	if err == nil {
		j.Data = data
	}
	return err
}

// newJob makes the record of an accepted request, with what is set for its place.
func newJob(r chat.Request, ask grammar.Ask, here settings.Here, now time.Time) (jobs.Job, error) {
	public, _ := here.Get("language")
	r.User.Name = grammar.CleanName(r.User.Name) // people choose it, and others read it
	data, err := records.Encode(work{Request: r, Ask: ask, Since: r.At, Public: public, Lists: here.Lists()})
	if err != nil {
		return jobs.Job{}, err
	}
	return jobs.Job{ID: jobID(r), Label: string(ask.Verb), Source: string(r.Place.Platform), State: jobs.Accepted, Created: now, Data: data}, nil
}

// postKey names one delivery of a job, in at most 25 characters.
func postKey(j *jobs.Job, i int) string {
	return records.ShortHash("post", j.ID, strconv.Itoa(i))
}

var noSecret secret.String
