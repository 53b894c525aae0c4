package commands

import (
	"context"
	"strings"

	"meetbot/bot/chat"
	"meetbot/bot/jobs"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// sharing shows a meeting once more: its card elsewhere, its link as a QR code, its data as
// text to be pasted.
type sharing struct {
	targets targets
	cards   cards
}

// share posts the meeting's card here as well. All its cards are edited together.
func (h sharing) share(ctx context.Context, r *run) (jobs.Next, error) {
	t, err := h.targets.resolve(ctx, r, want{vouched: true})
	if err == nil && t.reg == nil {
		err = texts.NewMessage("share.foreign")
	}
	if err != nil {
		return jobs.Next{}, err
	}
	r.endAs(outcomeShared)
	r.put(delivery{Slot: chat.SlotRoot, Reply: h.cards.card(r.t, *t.reg, r.w.Request.Place.Platform), Card: t.ref, Of: t.reg.Job})
	r.tell(chat.Reply{Tone: chat.Good, Title: r.t.T("share.done", "Topic", t.reg.Meeting.Topic)})
	return jobs.Deliver(), nil
}

func (h sharing) qr(ctx context.Context, r *run) (jobs.Next, error) {
	reg, err := h.targets.seenHere(ctx, r)
	if err != nil {
		return jobs.Next{}, err
	}
	if reg.Meeting.WatchURL == "" && reg.Meeting.JoinURL == "" {
		return jobs.Next{}, texts.NewMessage("repeat.gone")
	}
	url, caption := reg.Meeting.WatchURL, r.t.T("qr.watch", "Topic", reg.Meeting.Topic)
	if url == "" {
		url, caption = reg.Meeting.JoinURL, r.t.T("qr.join", "Topic", reg.Meeting.Topic)
	}
	r.endAs(outcomeShown)
	d := delivery{Slot: chat.SlotThread, Reply: chat.Reply{QR: url, QRCaption: caption}, Root: reg.ThreadAt(r.w.Request.Place)}
	r.put(d)
	r.tell(chat.Reply{Tone: chat.Good, Title: r.t.T("qr.done")}) // a platform may be waiting with a private placeholder
	return jobs.Deliver(), nil
}

// copy gives a block of plain text to be pasted into another chat.
func (h sharing) copy(ctx context.Context, r *run) (jobs.Next, error) {
	reg, err := h.targets.seenHere(ctx, r)
	if err != nil {
		return jobs.Next{}, err
	}
	r.endAs(outcomeShown)
	r.tell(chat.Reply{Title: r.t.T("copy.title"), Copy: copyBlock(r, reg.Meeting)})
	return jobs.Deliver(), nil
}

func copyBlock(r *run, m meeting.Meeting) string {
	lines := []string{m.Topic}
	for _, l := range []struct{ id, value string }{
		{"field.number", showCode(m.Code)}, {"field.passcode", m.Passcode}, {"link.join", m.JoinURL}, {"link.watch", m.WatchURL},
	} {
		if l.value != "" {
			lines = append(lines, r.t.T("copy.line", "Name", r.t.T(l.id), "Value", l.value))
		}
	}
	return strings.Join(lines, "\n")
}
