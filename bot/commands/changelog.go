package commands

import (
	"context"
	"strings"

	"meetbot/bot/audit"
	"meetbot/bot/chat"
	"meetbot/bot/jobs"
)

// changeLog shows who changed what of a meeting.
type changeLog struct {
	targets targets
	log     audit.Log
}

// logShown is how many lines of the audit log a message has room for.
const logShown = 15

func (h changeLog) next(ctx context.Context, r *run) (jobs.Next, error) {
	// Where no meeting is named it is one that can be pushed, as with the commands it tells of.
	t, err := h.targets.resolve(ctx, r, want{push: r.w.Ask.Meeting == "", vouched: true, over: true})
	if err != nil {
		return jobs.Next{}, err
	}
	lines, err := h.log.Of(ctx, t.ref)
	if err != nil {
		return jobs.Next{}, err
	}
	name := t.ref.ID
	if t.reg != nil {
		name = t.reg.Meeting.Topic
	}
	reply := chat.Reply{Title: r.t.T("log.title", "Topic", name)}
	if len(lines) == 0 {
		reply.Text = r.t.T("log.none")
	}
	for _, l := range lines[max(0, len(lines)-logShown):] {
		who := l.WhoName
		switch {
		case l.Who == audit.Operator:
			who = r.t.T("log.operator")
		case who == "":
			who = l.Who
		}
		reply.Fields = append(reply.Fields, chat.Field{
			Name:  l.At.Local().Format("01-02 15:04 MST"),
			Value: oneSpace(r.t.T("log.line", "Who", who, "Action", r.t.T("audit."+string(l.Action)), "Name", l.Destination, "Fingerprint", l.Fingerprint, "Outcome", r.t.T("outcome."+l.Outcome))),
		})
	}
	return r.answer(outcomeShown, reply)
}

// oneSpace closes the gaps that missing parts leave.
func oneSpace(s string) string { return strings.Join(strings.Fields(s), " ") }

// auditor appends to the log.
type auditor struct{ log audit.Log }

// add appends a line to the log, complete with who asked for it and where.
func (h auditor) add(ctx context.Context, r *run, l audit.Line) error {
	req := r.w.Request
	l.At, l.Asked, l.Job = r.now(), req.At, r.job.ID
	l.Who, l.WhoName = req.Place.UserKey(req.User), req.User.Name
	l.Where, l.Thread = req.Place.Key(), req.Place.Thread
	if r.w.Approved != nil {
		l.Approved = req.Place.UserKey(*r.w.Approved)
	}
	return h.log.Append(ctx, l)
}
