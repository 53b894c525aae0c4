package jobs

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"meetbot/bot/jobs/internal/engine"
)

// Salvage writes what can still be read of a damaged store in cfg.Dir, as [Store.Export]
// does, and returns how many records that were. It reads the files without the database,
// and changes nothing. The error at the end names what could not be read. A record that
// was removed lately may be back, if what said so is lost.
//
// Nothing may be at work on the directory: else it returns [ErrInUse].
func Salvage(ctx context.Context, cfg Config, w io.Writer) (n int, err error) {
	cfg = withDefaults(cfg)
	lock, err := engine.LockDir(filepath.Join(cfg.Dir, lockFile))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, engine.Unlock(lock)) }()
	if len(cfg.Keys) == 0 {
		if cfg.Keys, err = readKeyFile(filepath.Join(cfg.Dir, keyFile), false); err != nil {
			return 0, err
		}
	}
	seal, err := newSealer(cfg.Keys)
	if err != nil {
		return 0, err
	}
	var bad badRecords
	var own *meta
	if err := engine.ReadNewest(ctx, cfg.Dir, func(r engine.Raw) error {
		if r.Key != metaKey {
			return nil
		}
		m, err := readMeta(r.Entry)
		if err == nil {
			_, err = seal.open(metaKey, nil, m.Subkey)
		}
		if err == nil {
			own = &m
		}
		return nil
	}, func(file string, err error) { bad.add(fmt.Errorf("%s: %w", file, err)) }); err != nil {
		return 0, fmt.Errorf("salvage: %w", err)
	}
	if own == nil {
		bad.add(errors.New("the store's own record is lost: the fingerprints of stream keys change"))
		subkey := make([]byte, 32)
		_, _ = rand.Read(subkey) // never fails
		own = &meta{Version: formatVersion, Subkey: seal.seal(metaKey, nil, subkey), Needs: seal.others()}
	}
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	if err := lines.Encode(exportLine{Kind: kindMeta, Store: own}); err != nil {
		return 0, err
	}
	err = engine.ReadNewest(ctx, cfg.Dir, func(r engine.Raw) error {
		line, err := toLine(r.Entry)
		switch {
		case line.Kind == kindMeta:
			return nil
		case err == nil && line.Kind == kindJob:
			_, _, err = seal.decodeJob(r.Entry)
		case err == nil && line.Kind == kindTimer:
			_, _, err = seal.decodeTimer(r.Entry)
		case err == nil:
			_, _, err = seal.decodeDoc(r.Entry)
		}
		if err != nil {
			bad.add(fmt.Errorf("%s: %w", r.File, err))
			return nil
		}
		n++
		return lines.Encode(line)
	}, func(string, error) {}) // told above
	return n, errors.Join(err, out.Flush(), bad.err("salvage"))
}

// others returns the IDs of the keys beside the newest.
func (s *sealer) others() (ids []string) {
	for id := range s.aeads {
		if id != s.newest {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
