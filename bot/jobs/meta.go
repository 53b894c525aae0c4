package jobs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"meetbot/bot/jobs/internal/engine"
)

// formatVersion is the version of the records' format. The first one did not authenticate
// what is in clear.
const (
	formatVersion = 2
	firstFormat   = 1
)

var metaKey = engine.JoinKey(kindMeta, "store")

// meta is the one record about the store itself.
type meta struct {
	Version int      `json:"version"`
	Subkey  []byte   `json:"subkey"`          // of fingerprints; sealed
	Needs   []string `json:"needs,omitempty"` // IDs of older keys that records may be sealed with
}

// openMeta reads the store's own record, or writes it at the first start.
func (s *Store) openMeta(ctx context.Context) error {
	for {
		e, err := s.engine.Get(ctx, metaKey)
		switch {
		case errors.Is(err, ErrNotFound):
			subkey := make([]byte, 32)
			_, _ = rand.Read(subkey) // never fails
			if err := s.putMeta(ctx, subkey, nil, 0); err != nil && !errors.Is(err, ErrConflict) {
				return fmt.Errorf("set up the store: %w", err)
			}
			continue
		case errors.Is(err, engine.ErrUnconfirmed) && ctx.Err() == nil: // a cluster may be electing
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		case err != nil:
			return fmt.Errorf("read the store's own record: %w", err)
		}
		m, err := readMeta(e)
		if err != nil {
			return err
		}
		subkey, err := s.seal.open(metaKey, nil, m.Subkey)
		if err != nil {
			return err
		}
		s.subkey.Store(&subkey)
		if err := s.seal.has(m.Needs); err != nil {
			return err
		}
		if s.cfg.ReadOnly {
			return nil
		}
		s.rotating = len(m.Needs) > 0
		if old := sealedWith(m.Subkey); old != s.seal.newest {
			s.rotating = true
			needs := slices.DeleteFunc(append(m.Needs, old), func(id string) bool { return id == s.seal.newest })
			if err := s.putMeta(ctx, subkey, needs, e.Rev); err != nil && !errors.Is(err, ErrConflict) {
				return fmt.Errorf("seal the store's own record with the new key: %w", err)
			}
		}
		return nil
	}
}

// readMeta decodes the store's own record.
func readMeta(e engine.Entry) (meta, error) {
	var m meta
	if err := json.Unmarshal(e.Body, &m); err != nil {
		return m, fmt.Errorf("the store's own record: %w", err)
	}
	return m, checkVersion(m.Version)
}

// checkVersion refuses a store of another format.
func checkVersion(version int) error {
	switch version {
	case formatVersion:
		return nil
	case firstFormat:
		return errFirstFormat
	}
	return fmt.Errorf("the store has format %d, this program reads format %d; start the version that wrote it", version, formatVersion)
}

var errFirstFormat = errors.New("the store has the first format, which this program does not read: export it with the version that wrote it (bot export), and import that into an empty store with this one (bot import --first-format)")

// checkMeta looks whether the store can be opened, and changes nothing.
func checkMeta(ctx context.Context, cfg Config, get func(context.Context, string) (engine.Entry, error)) error {
	seal, err := newSealer(cfg.Keys)
	if err != nil {
		return err
	}
	e, err := get(ctx, metaKey)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("read the store's own record: %w", err)
	}
	m, err := readMeta(e)
	if err != nil {
		return err
	}
	if _, err := seal.open(metaKey, nil, m.Subkey); err != nil {
		return fmt.Errorf("%w; if nobody changed a key, a file of the store is another store's: restore a backup, or save what is still readable with bot export --salvage", err)
	}
	return seal.has(m.Needs)
}

func (s *Store) putMeta(ctx context.Context, subkey []byte, needs []string, expect uint64) error {
	body, err := json.Marshal(meta{formatVersion, s.seal.seal(metaKey, nil, subkey), needs})
	if err != nil {
		return err
	}
	_, err = s.put(ctx, metaKey, body, expect, 0, false, func(e engine.Entry) bool { return string(e.Body) == string(body) })
	return err
}
