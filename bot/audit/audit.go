// Package audit is the append-only log of who changed which live push, saved which
// destination, decided which approval and set what for a channel. It has no way to change or remove a line.
//
// A line is one document under audit/MEETING/TIME/HASH. The hash is of the job and its step,
// so a step that is carried out again after a crash writes no second line.
package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"meetbot/bot/jobs"
	"meetbot/bot/records"
	"meetbot/meeting"
)

// Line is one change, as the append-only log keeps it. Nothing secret is in it, and
// it is never removed by age.
type Line struct {
	At          time.Time `json:"at"`    // when it was done
	Asked       time.Time `json:"asked"` // when it was asked for
	Who         string    `json:"who"`   // [chat.Place.UserKey]
	WhoName     string    `json:"who_name,omitempty"`
	Where       string    `json:"where"` // [chat.Place.Key]
	Thread      string    `json:"thread,omitempty"`
	Meeting     string    `json:"meeting,omitempty"` // [meeting.Ref]
	Destination string    `json:"destination,omitempty"`
	Fingerprint string    `json:"fingerprint,omitempty"` // of the key
	Action      Action    `json:"action"`
	// Setting is what was changed for Where, a channel or every channel of a team; From and To
	// are empty where nothing is set.
	Setting  string `json:"setting,omitempty"`
	From     string `json:"from,omitempty"`
	To       string `json:"to,omitempty"`
	Outcome  string `json:"outcome"`
	Approved string `json:"approved_by,omitempty"`
	Job      string `json:"job"`
	// Step is the same for the same step of a job, however often it is carried out, and
	// another one for every other thing the job did.
	Step string `json:"step"`
}

// Action is what was done.
type Action string

const (
	Set     Action = "set"     // a push address at a meeting
	Standby Action = "standby" // a push address that is not switched on yet
	On      Action = "on"      // a push address that was set, switched on
	Off     Action = "off"     // a push address switched off
	Start   Action = "start"   // a meeting's live
	Stop    Action = "stop"    // a meeting's live
	Save    Action = "save"    // a destination
	Key     Action = "key"     // a new key for a destination
	Forget  Action = "forget"  // a destination
	Revoke  Action = "revoke"  // a destination's key
	Approve Action = "approve" // somebody else's change
	Reject  Action = "reject"  //
	Settle  Action = "settle"  // a command, by the bot's operator

	Settings  Action = "settings"  // what a place has set
	Uninstall Action = "uninstall" // the app from a workspace, by the bot's operator
)

// Operator is who settles jobs: whoever may run the bot's own commands on its machine.
const Operator = "operator"

// Log is the log. It has no way to change or remove a line.
type Log struct{ store records.Store }

// New returns the log in a store.
func New(store records.Store) Log { return Log{store} }

const (
	auditKey = "audit"
	// Lines are found by meeting; those without one are kept together.
	auditNoMeeting = "-"
	auditTime      = "20060102T150405.000000000Z"
)

func auditDocKey(l Line) []string {
	m := l.Meeting
	if m == "" {
		m = auditNoMeeting
	}
	return []string{auditKey, m, l.Asked.UTC().Format(auditTime), records.ShortHash("audit", l.Job, l.Step)}
}

// Append writes a line. A line of the same step of the same job is written once: the
// first one stays.
func (a Log) Append(ctx context.Context, l Line) error {
	if l.Job == "" || l.Step == "" || l.Asked.IsZero() {
		return errors.New("an audit line needs its job, step and time")
	}
	value, err := records.Encode(l)
	if err != nil {
		return err
	}
	_, err = a.store.PutDoc(ctx, jobs.Doc{Key: auditDocKey(l), Value: value})
	if err != nil && !errors.Is(err, jobs.ErrConflict) {
		return fmt.Errorf("write audit line: %w", err)
	}
	return nil
}

// Of returns the lines of a meeting; the zero [meeting.Ref] has those of none. They come
// in the order in which they were asked for.
func (a Log) Of(ctx context.Context, ref meeting.Ref) ([]Line, error) {
	m := auditNoMeeting
	if !ref.IsZero() {
		m = ref.String()
	}
	return a.read(ctx, auditKey, m)
}

func (a Log) read(ctx context.Context, prefix ...string) ([]Line, error) {
	docs, err := a.store.Docs(ctx, 0, prefix...)
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	lines := make([]Line, 0, len(docs))
	for _, doc := range docs {
		l, err := records.Decode[Line](doc.Value)
		if err != nil {
			return nil, err
		}
		lines = append(lines, l)
	}
	slices.SortFunc(lines, func(a, b Line) int {
		return cmp.Or(a.Asked.Compare(b.Asked), a.At.Compare(b.At), cmp.Compare(a.Job, b.Job), cmp.Compare(a.Step, b.Step))
	})
	return lines, nil
}

// Write writes the whole audit log to w as JSON lines, in the order in which
// the changes were asked for.
func Write(ctx context.Context, store records.Store, w io.Writer) error {
	lines, err := Log{store}.read(ctx, auditKey)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	for _, l := range lines {
		if err := enc.Encode(l); err != nil {
			return fmt.Errorf("write audit log: %w", err)
		}
	}
	return nil
}
