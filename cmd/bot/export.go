package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"meetbot/bot/jobs"
)

// exportCommand is `bot export`: every record as a line of JSON, on standard output.
func exportCommand(ctx context.Context, p process) error {
	if err := noArgs(p); err != nil {
		return err
	}
	return ask(ctx, p, question{Op: "export"}, p.stdout)
}

const importHelp = `Usage: bot import [--first-format] < EXPORT

Stores the records of a bot export. The bot must not be running. Lines that cannot be
read are left out and named at the end; then the exit status is 1.

  --first-format  The export was made by a version before the store had its present
                  format. Nothing in it shows whether somebody has changed it since: take
                  one only from where nobody else could write.
`

// importCommand is `bot import`: an export, from standard input, into a store that no bot
// is running on. The store is made if there is none.
func importCommand(ctx context.Context, p process) error {
	f := flags(p, "import")
	f.Usage = func() { _ = write(p.stderr, importHelp) } // its reader has gone
	first := f.Bool("first-format", false, "")
	switch rest, err := parseAround(f, p.args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case len(rest) > 0:
		return fmt.Errorf("unexpected %q; the export is read from standard input", rest[0])
	}
	cfg, err := load(only(p.lookup, storeVariables...))
	if err != nil {
		return err
	}
	if cfg.NATS.URL == "" {
		err := askRunning(ctx, cfg.DataDir, question{Op: "health"}, io.Discard)
		if !errors.Is(err, errNotRunning) {
			return errors.New("a bot is running on this DATA_DIR; stop it, import, and start it again")
		}
	}
	entries, _ := os.ReadDir(cfg.DataDir) // none there is as good as an empty one
	fresh := cfg.NATS.URL == "" && len(entries) == 0
	if fresh && len(cfg.EncryptionKey) == 0 {
		return fmt.Errorf("DATA_DIR %s is new: set ENCRYPTION_KEY to the key of the exported store, or copy its file \"key\" there", cfg.DataDir)
	}
	store, err := openStore(ctx, storeConfig(cfg, operatorLog(p)))
	if err != nil {
		return err
	}
	in := store.Import
	if *first {
		in = store.ImportFirstFormat
	}
	n, err := in(ctx, p.stdin)
	err = errors.Join(err, store.Close())
	if n == 0 && errors.Is(err, jobs.ErrWrongKey) {
		if fresh { // it was made just now, with the wrong key, and would refuse the right one
			err = errors.Join(err, os.RemoveAll(cfg.DataDir))
		}
		return fmt.Errorf("ENCRYPTION_KEY: %w; set the key of the exported store, or copy its file \"key\" to DATA_DIR", err)
	}
	if err != nil {
		return fmt.Errorf("%w (%d records were imported; importing again goes on)", err, n)
	}
	return write(p.stdout, fmt.Sprintf("%d records imported.\n", n))
}
