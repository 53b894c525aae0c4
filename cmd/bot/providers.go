package main

import (
	"context"

	"meetbot/bot/commands"
	"meetbot/meeting"
	"meetbot/meeting/systec"
	"meetbot/meeting/tencent"
)

// systecProvider is SYSTEC's client in the shape that commands expect of every provider.
// It has no accounts to act as.
type systecProvider struct{ *systec.Client }

func (p systecProvider) Get(ctx context.Context, _, id string) (meeting.Meeting, error) {
	return p.Client.Get(ctx, id)
}

func (p systecProvider) List(ctx context.Context, _, userKey string) ([]meeting.Meeting, error) {
	return p.Client.List(ctx, systec.ListOptions{UserKey: userKey})
}

func (p systecProvider) End(ctx context.Context, _, id string) error { return p.Client.End(ctx, id) }

// tencentProvider is Tencent Meeting's client in that shape. It has no user keys.
type tencentProvider struct{ *tencent.Client }

func (p tencentProvider) List(ctx context.Context, account, _ string) ([]meeting.Meeting, error) {
	return p.Client.List(ctx, account)
}

var (
	_ commands.Provider = systecProvider{}
	_ commands.Provider = tencentProvider{}
)

// heard translates what Tencent Meeting reports into what the bot remembers. Events that
// change nothing on a card are not passed on.
func heard(e tencent.Event) (commands.Event, bool) {
	// One callback may be about several meetings, and about several things.
	got := commands.Event{ID: e.TraceID + ":" + e.Name + ":" + e.Ref.ID, At: e.At, Ref: e.Ref}
	switch e.Kind {
	case tencent.EventStarted:
		got.State = meeting.StateRunning
	case tencent.EventEnded:
		if e.EndType == tencent.EndEmptyEarly { // everybody left before the planned end: they may come back
			return got, false
		}
		got.State = meeting.StateEnded
	case tencent.EventCancelled:
		got.State = meeting.StateCancelled
	case tencent.EventLiveStart:
		got.Live = commands.LiveOn
	case tencent.EventLiveEnd:
		got.Live = commands.LiveOff
	default:
		return got, false
	}
	return got, true
}
