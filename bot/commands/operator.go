package commands

import (
	"cmp"
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"meetbot/bot/audit"
	"meetbot/bot/chat"
	"meetbot/bot/jobs"
	"meetbot/bot/plain"
	"meetbot/bot/records"
	"meetbot/bot/registry"
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

// About is what an operator has to know to tell people of a job, and to look for what became
// of it: texts without secrets and without what could act on a terminal. What is not known
// is empty.
type About struct {
	Who     string // name and ID
	Where   string // platform, team, channel and thread
	Link    string // of the place
	Topic   string // of the meeting that was asked for or is meant
	Meeting string // its [meeting.Ref]
	Number  string // that people type
	Names   string // of the destinations
	Error   string // the last one that a step met
	// Deliveries are the messages, in their order.
	Deliveries []AboutDelivery
}

// AboutDelivery is one message of a job.
type AboutDelivery struct {
	Label string // what it is and where it goes
	State string
	Error string // why the last try failed; empty for what was sent
	Tries int    // that failed
}

// AboutJob reads what an operator has to know of a job. One that cannot be read leaves what
// is beside it.
func AboutJob(ctx context.Context, store Store, platforms chat.Kinds, j jobs.Job) About {
	a := About{Error: legible(j.Err)}
	for i, d := range j.Outbox {
		state := cmp.Or(string(d.State), "pending")
		told := AboutDelivery{Label: legible(cmp.Or(d.Label, "message "+strconv.Itoa(i+1))), State: state, Tries: d.Attempt}
		if d.State != jobs.Sent {
			told.Error = legible(d.Err)
		}
		a.Deliveries = append(a.Deliveries, told)
	}
	w, err := records.Decode[work](j.Data)
	if err != nil {
		return a
	}
	place, kind := w.Request.Place, platforms.Of(w.Request.Place.Platform)
	if place.Platform != "" {
		where := []string{cmp.Or(kind.Title, string(place.Platform))}
		for _, part := range []struct{ name, id string }{{"team", place.Team}, {"channel", place.Channel}, {"thread", place.Thread}} {
			if part.id != "" {
				where = append(where, part.name+" "+part.id)
			}
		}
		a.Where, a.Link = legible(strings.Join(where, ", ")), legible(kind.LinkTo(place))
	}
	if u := w.Request.User; u.ID != "" {
		a.Who = legible(strings.TrimSpace(u.Name + " (" + place.UserKey(u) + ")"))
	}
	a.Topic = cmp.Or(w.Instant.Topic, w.Ask.Meet.Topic)
	ref := w.Ref
	if w.Meeting != nil {
		ref, a.Topic, a.Number = w.Meeting.Ref, w.Meeting.Topic, showCode(w.Meeting.Code)
	}
	if !ref.IsZero() {
		a.Meeting = legible(ref.String())
		if reg, err := registry.New(store, nil, 0, slog.New(slog.DiscardHandler), time.Now).Get(ctx, ref); err == nil {
			a.Topic, a.Number = reg.Meeting.Topic, showCode(reg.Meeting.Code)
		}
	}
	names := w.targets()
	if len(names) == 0 {
		names = w.Ask.Names
	}
	if len(names) == 0 && w.Ask.Push.Name != "" {
		names = []string{w.Ask.Push.Name}
	}
	a.Topic, a.Number, a.Names = legible(a.Topic), legible(a.Number), legible(strings.Join(names, ", "))
	return a
}

// legible is a text as one line without anything that acts on a terminal or is not seen.
func legible(s string) string {
	return oneSpace(strings.Map(func(r rune) rune {
		switch {
		case plain.Blank(r):
			return ' '
		case plain.Hidden(r):
			return -1
		}
		return r
	}, s))
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
