package registry

import (
	"context"
	"errors"
	"slices"
	"time"

	"meetbot/bot/jobs"
	"meetbot/bot/records"
	"meetbot/meeting"
)

// Ran is when people were in a meeting, as far as its provider told.
type Ran struct {
	From time.Time // zero: nobody was ever heard of or seen in it
	// Seen says that From is when the bot looked, so that it may have begun before.
	Seen bool
	// Until is when the provider says that the last one left or it ended; zero: it did not say
	// when. See [Registry.LastSeen].
	Until  time.Time
	Breaks bool // everybody had left in between
}

// Span is a time that a live was on air; a zero end was not told.
type Span struct{ From, Until time.Time }

// maxLives bounds how many lives of a meeting are remembered.
const maxLives = 50

// note learns from a word on the state. It is told if the provider says when that was; else
// it was found so at that time. Words may come late, and in any order.
func (r *Ran) note(was, said meeting.State, at time.Time, told bool) (changed bool) {
	before := *r
	switch {
	case said == meeting.StateRunning:
		switch {
		case r.From.IsZero() || told && at.Before(r.From):
			r.From, r.Seen = at, !told
		case was == meeting.StateEmpty && at.After(r.Until):
			r.Until, r.Breaks = time.Time{}, true
		}
	case !told || said == meeting.StateUnknown || said == meeting.StateReady:
	case r.Until.IsZero() && said != meeting.StateCancelled && !at.Before(r.From):
		r.Until = at
	}
	return *r != before
}

// OnAir learns from the provider's word that a live began or ended. Words may come late, and
// in any order.
func (r *Registration) OnAir(on bool, at time.Time) {
	for i := range slices.Backward(r.Lives) {
		switch s := &r.Lives[i]; {
		case on && s.From.IsZero() && !s.Until.Before(at), on && s.From.Equal(at):
			s.From = at
			return
		case !on && s.Until.IsZero() && !at.Before(s.From):
			s.Until = at
			return
		case !on && !s.Until.IsZero() && !at.After(s.Until) && !at.Before(s.From): // said before
			return
		}
	}
	switch {
	case len(r.Lives) == maxLives:
	case on:
		r.Lives = append(r.Lives, Span{From: at})
	default:
		r.Lives = append(r.Lives, Span{Until: at})
	}
}

const docSeen = "seen" // ref → when the meeting was last found running

// Saw remembers when somebody was found to be in a meeting: how long it ran at least. That is
// no part of the registration, since no card shows it.
func (g *Registry) Saw(ctx context.Context, ref meeting.Ref, at time.Time) error {
	key := []string{docSeen, ref.String()}
	doc, err := g.store.Doc(ctx, key...)
	if err != nil && !errors.Is(err, jobs.ErrNotFound) {
		return err
	}
	value, err := records.Encode(at)
	if err != nil {
		return err
	}
	_, err = g.store.PutDoc(ctx, jobs.Doc{Key: key, Value: value, Revision: doc.Revision, Expires: g.now().Add(g.retention)})
	if errors.Is(err, jobs.ErrConflict) { // another one has just seen it
		return nil
	}
	return err
}

// LastSeen is when somebody was last found to be in a meeting; zero: never.
func (g *Registry) LastSeen(ctx context.Context, ref meeting.Ref) (time.Time, error) {
	doc, err := g.store.Doc(ctx, docSeen, ref.String())
	if errors.Is(err, jobs.ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return records.Decode[time.Time](doc.Value)
}
