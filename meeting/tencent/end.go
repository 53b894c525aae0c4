package tencent

import (
	"context"
	"errors"

	"meetbot/meeting"
)

// End ends a meeting whatever its state: one that runs is dismissed, one that has not
// begun is cancelled. A meeting that is over already is no error, if Tencent still
// returns it; mostly it is [meeting.ErrNotFound].
//
// A series and somebody's own number are never cancelled: a cancellation that names no sub-meeting
// is of all that are to come. While nobody is in one of them there is nothing to end, and the error
// is [meeting.ErrInvalid] with [meeting.ReasonState].
//
// It returns the errors of [Client.Get], [Client.Dismiss] and [Client.Cancel].
func (c *Client) End(ctx context.Context, account, id string) error {
	m, w, err := c.get(ctx, account, id)
	if err != nil || m.State.Over() {
		return err
	}
	if w.lasts() && m.State == meeting.StateReady {
		return c.http.Refuse(opCancel, meeting.ReasonState, "")
	}
	if m.State == meeting.StateReady {
		err = c.Cancel(ctx, account, id)
		// A refusal for its state: somebody has entered in between.
		if e, ok := errors.AsType[*meeting.APIError](err); !ok || e.Reason != meeting.ReasonState {
			return err
		}
	}
	return c.Dismiss(ctx, account, id)
}
