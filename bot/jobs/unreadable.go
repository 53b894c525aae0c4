package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"meetbot/bot/jobs/internal/engine"
)

// mark is how a record is known again when it is put back where it was before: a write
// says which revision it replaced.
type mark struct {
	rev, prev uint64
	first     uint64 // nonce of the write that made the record, as far as it is known
}

// seen remembers the newest mark of the records that this process dealt with lately.
//
// Whoever runs a cluster can put back what a record was. Its copy is sound, but it comes
// later than what it pretends to replace.
type seen struct {
	mu       sync.Mutex
	now, old map[string]mark
}

// maxSeen is how many records each of the two generations holds.
const maxSeen = 16 << 10

var errPutBack = fmt.Errorf("%w: it was put back to what it was before", ErrUnreadable)

// check returns an error if the record is older than one that was there before it.
func (s *seen) check(key string, m mark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, ok := s.now[key]
	if !ok {
		was, ok = s.old[key]
	}
	if ok {
		switch {
		case m.rev <= was.rev:
			return nil // of a replica that lags behind, or the same
		case m.prev != 0 && m.prev < was.rev, m.prev == 0 && m.first != 0 && m.first == was.first:
			return fmt.Errorf("%s: %w", key, errPutBack)
		}
		if m.prev != 0 && m.first == 0 {
			m.first = was.first
		}
	}
	if len(s.now) >= maxSeen {
		s.old, s.now = s.now, nil
	}
	if s.now == nil {
		s.now = make(map[string]mark)
	}
	s.now[key] = m
	return nil
}

func (s *Store) decodeJob(e engine.Entry) (Job, error) {
	j, m, err := s.seal.decodeJob(e)
	return j, s.judged(e, m, err)
}

func (s *Store) decodeDoc(e engine.Entry) (Doc, error) {
	d, m, err := s.seal.decodeDoc(e)
	return d, s.judged(e, m, err)
}

func (s *Store) decodeTimer(e engine.Entry) (Timer, error) {
	t, m, err := s.seal.decodeTimer(e)
	return t, s.judged(e, m, err)
}

// judged returns why a record is not to be believed, and tells of it once.
func (s *Store) judged(e engine.Entry, m mark, err error) error {
	if err == nil && !s.engine.Exclusive() { // else nobody else can have written it
		err = s.seen.check(e.Key, m)
	}
	if err == nil {
		return nil
	}
	s.mu.Lock()
	known := s.unreadable[e.Key] == e.Rev
	if !known {
		if len(s.unreadable) >= maxUnreadable {
			clear(s.unreadable)
		}
		s.unreadable[e.Key] = e.Rev
	}
	s.mu.Unlock()
	if !known {
		kind, _, _ := engine.SplitKey(e.Key)
		s.log.Error("record cannot be read, leaving it alone: look at it with bot jobs, and drop it with --drop", "record", e.Key, "err", err)
		if f := s.cfg.Observer.Unreadable; f != nil {
			f(kind)
		}
	}
	return err
}

// maxUnreadable is how many records are remembered as told of.
const maxUnreadable = 1024

// Unreadable is a record that cannot be read.
type Unreadable struct {
	Key string // as log lines have it
	Err error
}

// Unreadable returns the records of any kind that cannot be read, at most limit of them if
// that is above zero.
func (s *Store) Unreadable(ctx context.Context, limit int) (found []Unreadable, err error) {
	for _, kind := range []string{kindJob, kindDoc, kindTimer} {
		err = errors.Join(err, s.engine.List(ctx, kind, true, func(e engine.Entry) bool {
			if err := s.decode(e); err != nil {
				found = append(found, Unreadable{e.Key, err})
			}
			return limit <= 0 || len(found) < limit
		}))
	}
	return found, err
}

// decode returns why a record cannot be read.
func (s *Store) decode(e engine.Entry) (err error) {
	kind, _, err := engine.SplitKey(e.Key)
	switch {
	case err != nil:
	case kind == kindJob:
		_, err = s.decodeJob(e)
	case kind == kindTimer:
		_, err = s.decodeTimer(e)
	default:
		_, err = s.decodeDoc(e)
	}
	return err
}

// Drop removes a record that cannot be read, by the key that [Store.Unreadable] returns. It
// refuses one that can.
func (s *Store) Drop(ctx context.Context, key string) error {
	kind, _, err := engine.SplitKey(key)
	if err != nil || kind != kindJob && kind != kindDoc && kind != kindTimer {
		return ErrNotFound
	}
	e, err := s.engine.Get(ctx, key)
	if err != nil {
		return err
	}
	if s.decode(e) == nil {
		return errors.New("the bot can read the record, and does not drop it")
	}
	return s.engine.Remove(ctx, key, e.Rev)
}
