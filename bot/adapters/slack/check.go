package slack

import (
	"context"
	"slices"
)

// Check asks Slack once whether it takes the bot token, and fills [Adapter.Scopes].
func (a *Adapter) Check(ctx context.Context) error { return a.whoAmI(ctx) }

// CheckSocket asks Slack once whether it takes the app-level token and lets the app
// connect. It opens no connection. Without such a token there is nothing to check.
func (a *Adapter) CheckSocket(ctx context.Context) error {
	if a.cfg.AppToken.IsZero() {
		return nil
	}
	_, err := a.openSocket(ctx)
	return err
}

// Scopes returns what the app was granted, sorted; nil until Slack has been asked.
func (a *Adapter) Scopes() []string {
	id := a.self.Load()
	if id == nil {
		return nil
	}
	return slices.Sorted(slices.Values(id.scopes))
}
