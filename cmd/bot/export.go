package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"meetbot/bot/jobs"
)

const exportHelp = `Usage: bot export [--salvage] > EXPORT

Prints every record as a line of JSON; its secrets stay encrypted. It leaves out records that it
cannot read, names them at the end, and exits with 1.

  --salvage  Read the files of a damaged embedded store without opening it, and print
             whatever is still readable. It changes nothing. Stop the bot first.
`

// exportCommand is `bot export`: every record as a line of JSON, on standard output.
func exportCommand(ctx context.Context, p process) error {
	f := flags("export")
	salvage := f.Bool("salvage", false, "")
	switch rest, err := parseAround(f, p, exportHelp); {
	case err != nil:
		return err
	case len(rest) > 0:
		return fmt.Errorf("%q: unexpected argument; the export goes to standard output, as in bot export > FILE", rest[0])
	case !*salvage:
		return ask(ctx, p, question{Op: "export"}, p.stdout)
	}
	cfg, err := load(only(p.lookup, storeVariables...))
	if err != nil {
		return err
	}
	if cfg.NATS.URL != "" {
		return errors.New("--salvage reads the embedded store only; unset NATS_URL")
	}
	n, err := jobs.Salvage(ctx, storeConfig(cfg, operatorLog(p)), p.stdout)
	if errors.Is(err, jobs.ErrInUse) {
		return errors.New("a bot uses this DATA_DIR; stop it first")
	}
	return errors.Join(write(p.stderr, fmt.Sprintf("Read %d records.\n", n)), err)
}

const backupHelp = `Usage: bot backup DIR

Makes a consistent copy of the embedded store in DIR, which must be new or empty, also while the
bot runs. To restore it, start the bot on the copy. If the encryption key is beside the store,
the copy has it too.
`

// backupCommand is `bot backup DIR`. The copy goes through the socket, so that it works
// where the bot itself may write nowhere else.
func backupCommand(ctx context.Context, p process) error {
	rest, err := parseAround(flags("backup"), p, backupHelp)
	switch {
	case err != nil:
		return err
	case len(rest) != 1:
		return errors.New("backup: name one new directory, as in bot backup DIR")
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
	asked := <-answered
	switch {
	case err != nil && errors.Is(asked, err): // the answer broke off because nobody could write it down
		return fmt.Errorf("backup: %w", err)
	case asked != nil && !errors.Is(asked, io.ErrClosedPipe):
		return asked
	case err != nil:
		return fmt.Errorf("backup: %w", err)
	}
	return write(p.stdout, fmt.Sprintf("Copied the store to %s.\n", rest[0]))
}

const importHelp = `Usage: bot import [--first-format] < EXPORT

Stores the records of a bot export. Stop the bot first. It leaves out lines that it cannot read,
names them at the end, and exits with 1.

  --first-format  Read an export of a version before v0.9.0. Nothing in such an export shows
                  whether somebody has changed it: use one only from a place where nobody
                  else can write.
`

// importCommand is `bot import`: an export, from standard input, into a store that no bot
// is running on. The store is made if there is none.
func importCommand(ctx context.Context, p process) error {
	f := flags("import")
	first := f.Bool("first-format", false, "")
	switch rest, err := parseAround(f, p, importHelp); {
	case err != nil:
		return err
	case len(rest) > 0:
		return fmt.Errorf("%q: unexpected argument; the export comes from standard input, as in bot import < FILE", rest[0])
	}
	cfg, err := load(only(p.lookup, storeVariables...))
	if err != nil {
		return err
	}
	if cfg.NATS.URL == "" {
		err := askRunning(ctx, cfg.DataDir, question{Op: "health"}, io.Discard)
		if !errors.Is(err, errNotRunning) {
			return errors.New("a bot uses this DATA_DIR; stop it, import, and start it again")
		}
	}
	entries, _ := os.ReadDir(cfg.DataDir) // none there is as good as an empty one
	fresh := cfg.NATS.URL == "" && len(entries) == 0
	if fresh && len(cfg.EncryptionKey) == 0 {
		return fmt.Errorf("DATA_DIR %s is empty, so there is no key; set ENCRYPTION_KEY to the key of the exported store, or copy that store's file \"key\" there", cfg.DataDir)
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
		return fmt.Errorf("ENCRYPTION_KEY: %w; set it to the key of the exported store, or copy that store's file \"key\" to DATA_DIR", err)
	}
	if err != nil {
		if n == 0 {
			return err
		}
		return fmt.Errorf("%w (%d records are imported; import again to go on)", err, n)
	}
	return write(p.stdout, fmt.Sprintf("Imported %d records.\n", n))
}
