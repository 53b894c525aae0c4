package tencent

import (
	"context"

	"meetbot/meeting"
)

// End ends a meeting whatever its state: one that runs is dismissed, one that has not
// begun is cancelled. A meeting that is over already is no error.
//
// It returns the errors of [Client.Get], [Client.Dismiss] and [Client.Cancel].
func (c *Client) End(ctx context.Context, account, id string) error {
	m, err := c.Get(ctx, account, id)
	switch {
	case err != nil:
		return err
	case m.State.Over():
		return nil
	case m.State == meeting.StateReady:
		return c.Cancel(ctx, account, id)
	}
	return c.Dismiss(ctx, account, id)
}
