package commands

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"meetbot/bot/jobs"
	"meetbot/meeting"
)

// AuditLine is one change, as the append-only log keeps it. Nothing secret is in it, and
// it is never removed by age.
type AuditLine struct {
	At          time.Time   `json:"at"`    // when it was done
	Asked       time.Time   `json:"asked"` // when it was asked for
	Who         string      `json:"who"`   // [Place.UserKey]
	WhoName     string      `json:"who_name,omitempty"`
	Where       string      `json:"where"` // [Place.Key]
	Thread      string      `json:"thread,omitempty"`
	Meeting     string      `json:"meeting,omitempty"` // [meeting.Ref]
	Destination string      `json:"destination,omitempty"`
	Fingerprint string      `json:"fingerprint,omitempty"` // of the key
	Action      AuditAction `json:"action"`
	Outcome     string      `json:"outcome"`
	Approved    string      `json:"approved_by,omitempty"`
	Job         string      `json:"job"`
	// Step is the same for the same step of a job, however often it is carried out, and
	// another one for every other thing the job did.
	Step string `json:"step"`
}

// AuditAction is what was done.
type AuditAction string

const (
	AuditSet     AuditAction = "set"     // a push address at a meeting
	AuditOff     AuditAction = "off"     // a push address switched off
	AuditSave    AuditAction = "save"    // a destination
	AuditKey     AuditAction = "key"     // a new key for a destination
	AuditForget  AuditAction = "forget"  // a destination
	AuditRevoke  AuditAction = "revoke"  // a destination's key
	AuditApprove AuditAction = "approve" // somebody else's change
	AuditReject  AuditAction = "reject"  //
	AuditSettle  AuditAction = "settle"  // a command, by the bot's operator
)

// Operator is who settles jobs: whoever may run the bot's own commands on its machine.
const Operator = "operator"

// Settled is to be told of a job that an operator has settled, before it is saved: what
// need not be kept of one that is over is dropped. One that cannot be read is left alone.
func Settled(j *jobs.Job) {
	if !j.State.Finished() {
		return
	}
	for i := range j.Outbox {
		j.Outbox[i].Body = nil
	}
	_ = forget(j) // what cannot be read is left
}

// AuditSettled writes down that an operator has settled a job in one of the ways "done",
// "failed" and "retry". j is the job as it was saved.
func AuditSettled(ctx context.Context, store Store, j jobs.Job, as string, at time.Time) error {
	l := AuditLine{
		At: at, Asked: at, Who: Operator, Where: Operator, Action: AuditSettle, Outcome: "settled_" + as,
		Job: j.ID, Step: "settle" + strconv.FormatUint(j.Revision, 10),
	}
	if w, err := decode[work](j.Data); err == nil { // else the job's ID is all that is known
		l.Destination = strings.Join(w.targets(), ", ")
		switch {
		case !w.Ref.IsZero():
			l.Meeting = w.Ref.String()
		case w.Meeting != nil:
			l.Meeting = w.Meeting.Ref.String()
		}
	}
	return audit{store}.append(ctx, l)
}

// audit is the log. It has no way to change or remove a line.
type audit struct{ store Store }

const (
	auditKey = "audit"
	// Lines are found by meeting; those without one are kept together.
	auditNoMeeting = "-"
	auditTime      = "20060102T150405.000000000Z"
)

func auditDocKey(l AuditLine) []string {
	m := l.Meeting
	if m == "" {
		m = auditNoMeeting
	}
	return []string{auditKey, m, l.Asked.UTC().Format(auditTime), shortHash("audit", l.Job, l.Step)}
}

// append writes a line. A line of the same step of the same job is written once: the
// first one stays.
func (a audit) append(ctx context.Context, l AuditLine) error {
	if l.Job == "" || l.Step == "" || l.Asked.IsZero() {
		return errors.New("an audit line needs its job, step and time")
	}
	value, err := encode(l)
	if err != nil {
		return err
	}
	_, err = a.store.PutDoc(ctx, jobs.Doc{Key: auditDocKey(l), Value: value})
	if err != nil && !errors.Is(err, jobs.ErrConflict) {
		return fmt.Errorf("write audit line: %w", err)
	}
	return nil
}

// of returns the lines of a meeting; the zero [meeting.Ref] has those of none. They come
// in the order in which they were asked for.
func (a audit) of(ctx context.Context, ref meeting.Ref) ([]AuditLine, error) {
	m := auditNoMeeting
	if !ref.IsZero() {
		m = ref.String()
	}
	return a.read(ctx, auditKey, m)
}

func (a audit) read(ctx context.Context, prefix ...string) ([]AuditLine, error) {
	docs, err := a.store.Docs(ctx, 0, prefix...)
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	lines := make([]AuditLine, 0, len(docs))
	for _, doc := range docs {
		l, err := decode[AuditLine](doc.Value)
		if err != nil {
			return nil, err
		}
		lines = append(lines, l)
	}
	slices.SortFunc(lines, func(a, b AuditLine) int {
		return cmp.Or(a.Asked.Compare(b.Asked), a.At.Compare(b.At), cmp.Compare(a.Job, b.Job), cmp.Compare(a.Step, b.Step))
	})
	return lines, nil
}

// WriteAudit writes the whole audit log to w as JSON lines, in the order in which
// the changes were asked for.
func WriteAudit(ctx context.Context, store Store, w io.Writer) error {
	lines, err := audit{store}.read(ctx, auditKey)
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
