package main

import (
	"context"
	"io"

	"meetbot/bot/audit"
	"meetbot/bot/jobs"
)

// auditCommand is `bot audit`: the whole audit log as JSON lines.
func auditCommand(ctx context.Context, p process) error {
	if err := noArgs(p); err != nil {
		return err
	}
	return ask(ctx, p, question{Op: "audit"}, p.stdout)
}

func writeAudit(ctx context.Context, store *jobs.Store, w io.Writer) error {
	return audit.Write(ctx, store, w)
}
