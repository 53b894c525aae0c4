package commands

import (
	"context"

	"meetbot/bot/chat"
	"meetbot/bot/jobs"
)

// number tells a meeting's number.
type number struct{ targets targets }

// next changes nothing, so there is no call: it answers and is done. It may be asked twice,
// after a crash.
func (h number) next(ctx context.Context, r *run) (jobs.Next, error) {
	t, err := h.targets.resolve(ctx, r, want{}) // finds the meeting, and checks whose it is
	if err != nil {
		return jobs.Next{}, err // what is wrong is said in one place, for all verbs
	}
	number := t.ref.ID
	if t.reg != nil {
		number = t.reg.Meeting.Code
	}
	return r.answer(outcomeShown, chat.Reply{Title: r.t.T("number.title"), Text: showCode(number)})
}
