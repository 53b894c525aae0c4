package commands

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"meetbot/bot/audit"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/plain"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// reports tell once, in a meeting's thread, what became of it: how long it was, when it was on
// air, and who pushed it where. It is told when the meeting is over and somebody was in it.
type reports struct {
	timers   timers
	registry reported
	clients  clients
	queue    queue
	made     made
	log      audit.Log
	attended bool // names of those who were in it are told
	now      func() time.Time
	warn     *slog.Logger
}

// reported is the part of [registry.Registry] that reports read.
type reported interface {
	known
	changes
	LastSeen(ctx context.Context, ref meeting.Ref) (time.Time, error)
}

const (
	// reportAfter leaves a provider the time to say what else it knows of the end.
	reportAfter = 30 * time.Second
	// reportUnlisted is how long a meeting that the provider does not list any more may come back.
	reportUnlisted = 10 * time.Minute
	// reportEmpty is how long after everybody left a meeting that could be entered again is taken
	// for over.
	reportEmpty = time.Hour
)

// due has a meeting be reported if it is time for that. It may be repeated.
func (h reports) due(ctx context.Context, reg registry.Registration) error {
	at := h.now().Add(reportAfter)
	switch {
	case reg.Meeting.State == meeting.StateEmpty:
		at = later(at, reg.StateAt.Add(reportEmpty))
	case reg.Unlisted():
		at = h.now().Add(reportUnlisted)
	}
	if !over(reg, at) || reg.Ran.From.IsZero() {
		return nil
	}
	if err := h.made.watch(ctx, reg); err != nil || reg.Report != "" {
		return err
	}
	return h.timers.SetTimer(ctx, jobs.Timer{Key: timerKey(timerReport, reg.Ref().String()), At: at})
}

// reportable reports whether there is something to be told of a meeting at a time, and it was
// not told.
func reportable(reg registry.Registration, at time.Time) bool {
	return over(reg, at) && !reg.Ran.From.IsZero() && reg.Report == ""
}

// over reports whether a meeting is over as far as can be told.
func over(reg registry.Registration, at time.Time) bool {
	empty := reg.Meeting.State == meeting.StateEmpty && !at.Before(reg.StateAt.Add(reportEmpty))
	return reg.Meeting.State.Over() || reg.Unlisted() || empty
}

// begin asks for the report, unless the meeting is not over after all.
func (h reports) begin(ctx context.Context, ref meeting.Ref) error {
	reg, err := h.registry.Get(ctx, ref)
	if errors.Is(err, jobs.ErrNotFound) || err == nil && !reportable(reg, h.now()) {
		return nil
	}
	if err != nil {
		return err
	}
	// If somebody comes back before the job begins it tells nothing: another is for the next end.
	req := chat.Request{ID: fmt.Sprintf("report:%s:%s:%d", ref, reg.Job, reg.Version()), At: h.now()}
	return h.queue.own(ctx, work{Request: req, Ask: grammar.Ask{Verb: grammar.VerbReport, Arg: ref.String()}})
}

// next writes the report. That it does is remembered with the meeting first, so that no other
// job ever tells it again.
func (h reports) next(ctx context.Context, r *run) (jobs.Next, error) {
	r.endAs(outcomeNotNeeded)
	ref, _ := r.kinds.ParseRef(r.w.Ask.Arg)
	reg, err := h.registry.Change(ctx, ref, func(reg *registry.Registration) bool {
		if !reportable(*reg, h.now()) {
			return false
		}
		reg.Report = r.job.ID
		return true
	})
	if errors.Is(err, jobs.ErrNotFound) || err == nil && reg.Report != r.job.ID {
		return jobs.Deliver(), nil
	}
	if err != nil {
		return jobs.Next{}, err
	}
	if len(reg.Cards) == 0 { // there is no thread any more
		return jobs.Deliver(), nil
	}
	card := reg.ThreadAt(reg.Place)
	to := delivery{Slot: chat.SlotThread, Root: card}
	if r.w.Locale = reg.Cards[0].Locale; card != nil {
		to.Place, r.w.Locale = &card.Place, reg.LocaleOf(*card)
	} else { // who sees it where it was shared may not see it where it was asked for
		to = delivery{Slot: chat.SlotDirect, Place: &reg.Place, User: &reg.Requester}
	}
	r.t = r.text(reg.Place.Platform, r.w.Locale)
	seen, err := h.registry.LastSeen(ctx, ref)
	if err != nil {
		return jobs.Next{}, err
	}
	lines, err := h.log.Of(ctx, ref)
	if err != nil {
		return jobs.Next{}, err
	}
	who, wait := h.who(ctx, r, reg)
	if wait > 0 {
		return jobs.RetryAt(r.now().Add(wait)), nil
	}
	reply := chat.Reply{Title: r.t.T("report.title", "Topic", reg.Meeting.Topic)}
	add := func(name, value string) {
		if value != "" {
			reply.Fields = append(reply.Fields, chat.Field{Name: name, Value: value})
		}
	}
	add(r.t.T("report.ran"), ranText(r.t, reg, seen))
	add(r.t.T("report.live"), livesText(r.t, reg))
	add(r.t.T("field.viewers"), audienceText(r.t, reg))
	add(r.t.T("report.who"), who)
	for _, f := range changesOf(r.t, linesOf(lines, reg), r.kind(ref.Provider).Push.Replaces) {
		add(f.Name, f.Value)
	}
	r.endAs(outcomeReported)
	to.Reply = reply
	r.put(to)
	return jobs.Deliver(), nil
}

const (
	// whoWithin is how long a provider that cannot answer is asked who was in a meeting.
	whoWithin = 5 * time.Minute
	whoShown  = 30  // names
	whoLong   = 800 // characters of all of them
)

// who says who was in a meeting, if that is to be told and the provider tells it; wait, that
// it may tell it later.
func (h reports) who(ctx context.Context, r *run, reg registry.Registration) (text string, wait time.Duration) {
	client := h.clients.of(reg.Ref().Provider)
	if !h.attended || !can[attender](client) {
		return "", 0
	}
	names, more, err := client.Participants(ctx, reg.Account, reg.Ref().ID)
	switch {
	case err != nil && passes(err) && r.now().Sub(r.job.Created) < whoWithin:
		return "", whoWithin / 5
	case err != nil:
		h.warn.WarnContext(ctx, "participants not read", "meeting_id", reg.Ref(), "err", err)
		return "", 0
	case len(names) == 0:
		return "", 0
	}
	var shown []string
	long := 0
	for _, n := range names {
		if n = printable(n); n == "" {
			continue
		}
		if long += len([]rune(n)); len(shown) == whoShown || long > whoLong {
			break
		}
		shown = append(shown, n)
	}
	id := "report.who.all"
	if more || len(shown) < len(names) {
		id = "report.who.some"
	}
	count := strconv.Itoa(len(names))
	if more {
		count += "+"
	}
	if len(shown) == 0 {
		return count, 0
	}
	return r.t.T(id, "Count", count, "Names", r.t.Join(shown)), 0
}

// printable is a name as its bearer typed it, without what shows nothing.
func printable(name string) string {
	name = strings.Map(func(c rune) rune {
		if plain.Hidden(c) {
			return -1
		}
		return c
	}, name)
	const most = 40
	if all := []rune(oneSpace(name)); len(all) > most {
		return string(all[:most]) + "…"
	}
	return oneSpace(name)
}

// ranText says how long a meeting was, and never more than is known of it.
func ranText(t texts.Text, reg registry.Registration, seen time.Time) string {
	ran := reg.Ran
	id, until := "report.ran.exact", ran.Until
	if until.IsZero() {
		until = seen
	}
	if ran.Seen || ran.Until.IsZero() {
		id = "report.ran.least"
	}
	if !until.After(ran.From) { // no more than that somebody was in
		return t.T("report.ran.from", "From", chat.Instant(ran.From))
	}
	text := t.T(id, "Time", spell(t, until.Sub(ran.From)), "From", chat.Instant(ran.From), "Until", chat.Instant(until))
	if ran.Breaks {
		text += " · " + t.T("report.breaks")
	}
	return text
}

// livesText says when a live was on air.
func livesText(t texts.Text, reg registry.Registration) string {
	var all []string
	for _, s := range reg.Lives {
		switch {
		case s.Until.IsZero():
			all = append(all, t.T("report.live.from", "From", chat.Instant(s.From)))
		case s.From.IsZero():
			all = append(all, t.T("report.live.until", "Until", chat.Instant(s.Until)))
		default:
			all = append(all, t.T("report.ran.exact", "Time", spell(t, s.Until.Sub(s.From)), "From", chat.Instant(s.From), "Until", chat.Instant(s.Until)))
		}
	}
	const shown = 5
	if more := len(all) - shown; more > 0 {
		all = append(all[:shown:shown], t.T("report.more", "Count", strconv.Itoa(more)))
	}
	return strings.Join(all, " · ")
}

// spell says a length of time, to the minute.
func spell(t texts.Text, d time.Duration) string {
	minutes := int(d.Round(time.Minute) / time.Minute)
	switch {
	case d < time.Minute:
		return t.T("report.seconds", "Seconds", strconv.Itoa(int(d/time.Second)))
	case minutes < 60:
		return t.T("report.minutes", "Minutes", strconv.Itoa(minutes))
	}
	return t.T("report.hours", "Hours", strconv.Itoa(minutes/60), "Minutes", strconv.Itoa(minutes%60))
}

// linesOf are the lines that are about the meeting, and not about another that had its number
// before.
func linesOf(lines []audit.Line, reg registry.Registration) []audit.Line {
	return slices.DeleteFunc(lines, func(l audit.Line) bool { return l.At.Before(reg.Asked) })
}

// What a report has room for on every platform: destinations, and changes of each, half of them
// the first and half the last.
const (
	maxChanged = 10
	maxChanges = 6
)

// changesOf says of each destination who had it pushed to and from when to when, and of the live
// who asked for it. replaces: what is set there is on the air only with the live.
func changesOf(t texts.Text, lines []audit.Line, replaces bool) []chat.Field {
	type change struct {
		name string
		said []string
	}
	var all []*change
	of := func(name string) *change {
		if i := slices.IndexFunc(all, func(c *change) bool { return c.name == name }); i >= 0 {
			return all[i]
		}
		all = append(all, &change{name: name})
		return all[len(all)-1]
	}
	for _, l := range lines {
		name, id := t.T("report.push", "Name", l.Destination), ""
		note, worked := "", true
		switch callOutcome(l.Outcome) {
		case callSet, "sent":
		case callUnread:
			note = "report.unread"
		case callUnclear:
			note = "report.unclear"
		default:
			worked = false
		}
		switch l.Action {
		case audit.Set, audit.On:
			id = "report.on"
			if replaces {
				id = "report.set"
			}
		case audit.Off:
			id = "report.off"
		case audit.Standby:
			id = "report.standby"
		case audit.Start, audit.Stop:
			name, id = t.T("report.asked"), "report.live."+string(l.Action)
		}
		if id == "" || !worked {
			continue
		}
		text := t.T(id, "Time", chat.Instant(l.At), "Who", whoIn(t, l))
		if note != "" {
			text += " " + t.T(note)
		}
		c := of(name)
		c.said = append(c.said, text)
	}
	var fields []chat.Field
	for _, c := range all[:min(len(all), maxChanged)] {
		if more := len(c.said) - maxChanges; more > 0 {
			c.said = slices.Replace(c.said, maxChanges/2, maxChanges/2+more, t.T("report.more", "Count", strconv.Itoa(more)))
		}
		fields = append(fields, chat.Field{Name: c.name, Value: t.Join(c.said)})
	}
	if more := len(all) - len(fields); more > 0 {
		fields = append(fields, chat.Field{Name: "…", Value: t.T("board.more_pushes", "Count", strconv.Itoa(more))})
	}
	return fields
}
