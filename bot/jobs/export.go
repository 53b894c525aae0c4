package jobs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fxamacker/cbor/v2"
	"golang.org/x/sync/errgroup"

	"meetbot/bot/jobs/internal/engine"
)

const (
	maxExportLine   = 16 << 20
	importersAtOnce = 128
)

// exportLine is one line of an export. What is private stays sealed.
type exportLine struct {
	Kind  string     `json:"kind"` // "store", "job", "doc", "timer"
	Key   []string   `json:"key,omitempty"`
	Store *meta      `json:"store,omitempty"` // always the first line
	Job   *wireJob   `json:"job,omitempty"`
	Doc   *wireDoc   `json:"doc,omitempty"`
	Timer *wireTimer `json:"timer,omitempty"`
}

// Export writes every record as a line of JSON, secrets staying encrypted: a store that
// imports them needs the same keys. What is written meanwhile may be in it or not; to
// move a store, stop the process that works on it first.
func (s *Store) Export(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	e, err := s.engine.Get(ctx, metaKey)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	var m meta
	if err := json.Unmarshal(e.Body, &m); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := lines.Encode(exportLine{Kind: kindMeta, Store: &m}); err != nil {
		return err
	}
	for _, kind := range []string{kindJob, kindDoc, kindTimer} {
		var failed error
		err := s.engine.List(ctx, kind, true, func(e engine.Entry) bool {
			var line exportLine
			if line, failed = toLine(e); failed == nil {
				failed = lines.Encode(line)
			}
			return failed == nil
		})
		if err := errors.Join(err, failed); err != nil {
			return fmt.Errorf("export: %w", err)
		}
	}
	return out.Flush()
}

func toLine(e engine.Entry) (line exportLine, err error) {
	if line.Kind, line.Key, err = engine.SplitKey(e.Key); err != nil {
		return line, err
	}
	return line, cbor.Unmarshal(e.Body, line.record())
}

// record makes room for the line's record and returns it.
func (l *exportLine) record() any {
	switch l.Kind {
	case kindJob:
		l.Job = &wireJob{}
		return l.Job
	case kindDoc:
		l.Doc = &wireDoc{}
		return l.Doc
	default:
		l.Timer = &wireTimer{}
		return l.Timer
	}
}

// Import stores the records of an [Store.Export], and returns how many. Records that are
// there already are left as they are, so an import that broke off can be repeated.
//
// It returns [ErrWrongKey] if the export was made with keys that this store does not
// have, and [ErrConflict] if this store has records of another origin: then nothing was
// changed.
func (s *Store) Import(ctx context.Context, r io.Reader) (int, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxExportLine)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(importersAtOnce)
	var stored atomic.Int64
	n := 0
	for lines.Scan() {
		n++
		var line exportLine
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&line); err != nil {
			return int(stored.Load()), errors.Join(fmt.Errorf("import, line %d: %w", n, err), group.Wait())
		}
		if n == 1 {
			if err := s.importMeta(ctx, line); err != nil {
				return 0, fmt.Errorf("import: %w", err)
			}
			continue
		}
		group.Go(func() error {
			done, err := s.importLine(ctx, line)
			if err != nil {
				return fmt.Errorf("import, line %d: %w", n, err)
			}
			if done {
				stored.Add(1)
			}
			return nil
		})
	}
	err := errors.Join(lines.Err(), group.Wait())
	if err == nil && n == 0 {
		err = errors.New("import: there is nothing in it")
	}
	return int(stored.Load()), err
}

// importMeta takes over the other store's fingerprints.
func (s *Store) importMeta(ctx context.Context, line exportLine) error {
	if line.Kind != kindMeta || line.Store == nil {
		return errors.New("this is no export of a store")
	}
	if line.Store.Version != formatVersion {
		return fmt.Errorf("the export has format %d, this program reads format %d", line.Store.Version, formatVersion)
	}
	if err := s.seal.has(line.Store.Needs); err != nil {
		return err
	}
	subkey, err := s.seal.open(metaKey, line.Store.Subkey)
	if err != nil || bytes.Equal(subkey, *s.subkey.Load()) {
		return err
	}
	for _, kind := range []string{kindJob, kindDoc, kindTimer} {
		empty := true
		if err := s.engine.List(ctx, kind, false, func(engine.Entry) bool { empty = false; return false }); err != nil {
			return err
		}
		if !empty {
			return fmt.Errorf("this store has records of its own: %w", ErrConflict)
		}
	}
	e, err := s.engine.Get(ctx, metaKey)
	if err != nil {
		return err
	}
	if err := s.putMeta(ctx, subkey, line.Store.Needs, e.Rev); err != nil {
		return err
	}
	s.subkey.Store(&subkey)
	return nil
}

// importLine stores one record, and reports whether it was not there yet.
func (s *Store) importLine(ctx context.Context, line exportLine) (bool, error) {
	now := s.cfg.Now()
	var ttl time.Duration
	var sealed []byte
	var record any
	var key string
	var err error
	switch {
	case line.Kind == kindJob && line.Job != nil && len(line.Key) == 1:
		record, sealed = line.Job, line.Job.Sealed
		key, err = jobKey(line.Key[0])
		if line.Job.State.Finished() {
			if ttl = fromUnix(line.Job.Updated).Add(s.cfg.Retention).Sub(now); ttl <= 0 {
				return false, nil
			}
		}
	case line.Kind == kindDoc && line.Doc != nil:
		record, sealed = line.Doc, line.Doc.Sealed
		key, err = docKey(line.Key)
		if line.Doc.Expires != 0 {
			if ttl = fromUnix(line.Doc.Expires).Sub(now); ttl <= 0 {
				return false, nil
			}
		}
	case line.Kind == kindTimer && line.Timer != nil && len(line.Key) == 1:
		record, sealed = line.Timer, line.Timer.Sealed
		key, err = timerKey(line.Key[0])
	default:
		return false, fmt.Errorf("unknown kind of record %q", line.Kind)
	}
	if err != nil {
		return false, err
	}
	if _, err := s.seal.open(key, sealed); err != nil {
		return false, err
	}
	body, err := cbor.Marshal(record)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.StepTimeout)
	defer cancel()
	_, err = s.put(ctx, key, body, 0, ttl, false, func(e engine.Entry) bool { return bytes.Equal(e.Body, body) })
	if errors.Is(err, ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// reseal seals every record that an older key sealed with the newest one, so that the
// older keys can be taken away. A job that is under way is left for the next time.
func (s *Store) reseal(ctx context.Context) error {
	left := 0
	for _, kind := range []string{kindJob, kindDoc, kindTimer} {
		var old []engine.Entry
		err := s.engine.List(ctx, kind, false, func(e engine.Entry) bool {
			line, err := toLine(e)
			if err != nil || sealedWith(line.sealed()) != s.seal.newest {
				old = append(old, e)
			}
			return true
		})
		if err != nil {
			return err
		}
		for _, e := range old {
			switch err := s.resealOne(ctx, e); {
			case errors.Is(err, errUnderWay), errors.Is(err, ErrConflict):
				left++
			case err != nil:
				return err
			}
		}
	}
	if left > 0 {
		s.log.InfoContext(ctx, "records of jobs under way still need an older encryption key", "records", left)
		return nil
	}
	e, err := s.engine.Get(ctx, metaKey)
	if err != nil {
		return err
	}
	if err := s.putMeta(ctx, *s.subkey.Load(), nil, e.Rev); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "every record is sealed with the newest encryption key; the older ones can be taken away")
	return nil
}

var errUnderWay = errors.New("the job is under way")

func (s *Store) resealOne(ctx context.Context, e engine.Entry) error {
	line, err := toLine(e)
	if err != nil {
		return err
	}
	plain, err := s.seal.open(e.Key, line.sealed())
	if err != nil {
		return err
	}
	again := s.seal.seal(e.Key, plain)
	var ttl time.Duration
	var record any
	switch line.Kind {
	case kindJob:
		if !line.Job.State.Finished() {
			return errUnderWay
		}
		ttl = max(fromUnix(line.Job.Updated).Add(s.cfg.Retention).Sub(s.cfg.Now()), time.Second)
		line.Job.Sealed, record = again, line.Job
	case kindDoc:
		if line.Doc.Expires != 0 {
			ttl = max(fromUnix(line.Doc.Expires).Sub(s.cfg.Now()), time.Second)
		}
		line.Doc.Sealed, record = again, line.Doc
	default:
		line.Timer.Sealed, record = again, line.Timer
	}
	body, err := cbor.Marshal(record)
	if err != nil {
		return err
	}
	_, err = s.put(ctx, e.Key, body, e.Rev, ttl, false, func(there engine.Entry) bool { return bytes.Equal(there.Body, body) })
	return err
}

func (l *exportLine) sealed() []byte {
	switch {
	case l.Job != nil:
		return l.Job.Sealed
	case l.Doc != nil:
		return l.Doc.Sealed
	case l.Timer != nil:
		return l.Timer.Sealed
	}
	return nil
}

// has returns ErrWrongKey unless every named key is there.
func (s *sealer) has(ids []string) error {
	i := slices.IndexFunc(ids, func(id string) bool { return s.aeads[id] == nil })
	if i < 0 {
		return nil
	}
	return fmt.Errorf("records still need key %q, beside the newer ones: %w", ids[i], ErrWrongKey)
}
