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

const exportHelp = `Usage: bot export [--salvage] > EXPORT

Prints every record as a line of JSON, secrets staying encrypted. Records that cannot be
read are left out and named at the end; then the exit status is 1.

  --salvage  Read the files of a damaged embedded store without opening it, and print
             whatever can still be read. No bot may be running. Nothing is changed.
`

// exportCommand is `bot export`: every record as a line of JSON, on standard output.
func exportCommand(ctx context.Context, p process) error {
	f := flags(p, "export")
	f.Usage = func() { _ = write(p.stderr, exportHelp) } // its reader has gone
	salvage := f.Bool("salvage", false, "")
	switch rest, err := parseAround(f, p.args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case len(rest) > 0:
		return fmt.Errorf("unexpected %q; the export goes to standard output", rest[0])
	case !*salvage:
		return ask(ctx, p, question{Op: "export"}, p.stdout)
	}
	cfg, err := load(only(p.lookup, storeVariables...))
	if err != nil {
		return err
	}
	if cfg.NATS.URL != "" {
		return errors.New("--salvage reads the embedded store; unset NATS_URL")
	}
	n, err := jobs.Salvage(ctx, storeConfig(cfg, operatorLog(p)), p.stdout)
	if errors.Is(err, jobs.ErrInUse) {
		return errors.New("a bot is running on this DATA_DIR; stop it first")
	}
	return errors.Join(write(p.stderr, fmt.Sprintf("%d records could be read.\n", n)), err)
}

const backupHelp = `Usage: bot backup DIR

Makes a consistent copy of the embedded store in DIR, which must be new or empty, also
while the bot runs: to restore it, start the bot on it or on a copy. If the encryption key
lies beside the store, it is in the copy too.
`

// backupCommand is `bot backup DIR`. The copy goes through the socket, so that it works
// where the bot itself may write nowhere else.
func backupCommand(ctx context.Context, p process) error {
	f := flags(p, "backup")
	f.Usage = func() { _ = write(p.stderr, backupHelp) } // its reader has gone
	rest, err := parseAround(f, p.args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case len(rest) != 1:
		return errors.New("backup needs the one directory to make the copy in")
	}
	r, w := io.Pipe()
	answered := make(chan error, 1)
	go func() {
		err := ask(ctx, p, question{Op: "backup"}, w)
		answered <- err
		_ = w.CloseWithError(err) // nil is the end
	}()
	err = jobs.Restore(rest[0], r)
	_ = r.CloseWithError(err)
	if asked := <-answered; asked != nil && !errors.Is(asked, io.ErrClosedPipe) {
		return asked
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return write(p.stdout, fmt.Sprintf("The store was copied to %s.\n", rest[0]))
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
