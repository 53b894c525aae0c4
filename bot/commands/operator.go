package commands

import (
	"context"
	"strconv"
	"strings"
	"time"

	"meetbot/bot/audit"
	"meetbot/bot/jobs"
	"meetbot/bot/records"
)

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
	l := audit.Line{
		At: at, Asked: at, Who: audit.Operator, Where: audit.Operator, Action: audit.Settle, Outcome: "settled_" + as,
		Job: j.ID, Step: "settle" + strconv.FormatUint(j.Revision, 10),
	}
	if w, err := records.Decode[work](j.Data); err == nil { // else the job's ID is all that is known
		l.Destination = strings.Join(w.targets(), ", ")
		switch {
		case !w.Ref.IsZero():
			l.Meeting = w.Ref.String()
		case w.Meeting != nil:
			l.Meeting = w.Meeting.Ref.String()
		}
	}
	return audit.New(store).Append(ctx, l)
}
