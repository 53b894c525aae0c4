package slack

import "context"

// CheckSocket asks Slack once for a Socket Mode connection, and does not open it. An
// adapter without an app-level token has nothing to check.
//
// https://docs.slack.dev/reference/methods/apps.connections.open
func (a *Adapter) CheckSocket(ctx context.Context) error {
	if a.cfg.AppToken.IsZero() {
		return nil
	}
	return a.call(ctx, "apps.connections.open", "", func() error {
		_, _, err := a.api.StartSocketModeContext(ctx)
		return err
	})
}
