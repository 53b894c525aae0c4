package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"meetbot/config"
)

// exportCommand is `bot export`: every record as a line of JSON, on standard output.
func exportCommand(ctx context.Context, p process) error {
	if err := noArgs(p); err != nil {
		return err
	}
	return ask(ctx, p, question{Op: "export"}, p.stdout)
}

// importCommand is `bot import`: an export, from standard input, into a store that no bot
// is running on. The store is made if there is none.
func importCommand(ctx context.Context, p process) error {
	if err := noArgs(p); err != nil {
		return err
	}
	cfg, err := config.Load(only(p.lookup, storeVariables...))
	if err != nil {
		return err
	}
	if cfg.NATS.URL == "" {
		err := askRunning(ctx, cfg.DataDir, question{Op: "health"}, io.Discard)
		if !errors.Is(err, errNotRunning) {
			return errors.New("a bot is running on this DATA_DIR; stop it, import, and start it again")
		}
	}
	store, err := openStore(ctx, storeConfig(cfg, operatorLog(p)))
	if err != nil {
		return err
	}
	n, err := store.Import(ctx, p.stdin)
	err = errors.Join(err, store.Close())
	if err != nil {
		return fmt.Errorf("%w (%d records were imported; importing again goes on)", err, n)
	}
	return write(p.stdout, fmt.Sprintf("%d records imported.\n", n))
}
