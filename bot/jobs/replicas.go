package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"

	"meetbot/bot/jobs/internal/engine"
)

// Of a store that several processes share each says every two seconds that it runs, in a
// record of its own, and whose people are still to hear something. So the others take over
// what is left of one that does not any more, before a server gives its jobs to them. One that runs and cannot say so ends its calls, so that
// nobody looks up what may still be sent.
const (
	beatEvery = 2 * time.Second
	callsFor  = 2 * beatEvery // after the last word that was heard
	goneAfter = 3 * beatEvery
	beatKept  = 30 * time.Second // the record of one that is gone
)

// replicasKey is where their records are.
var replicasKey = engine.JoinKey(kindMeta, "replica")

// replicas are the processes that share the store.
type replicas struct {
	mu sync.Mutex
	by map[string]*replica // by owner; nil until they were looked for

	heard  context.Context // ends when others may take over from this process; nil: none knows it
	unsaid *time.Timer     // ends it
	until  time.Time       // when
}

// said notes that this process could say, at the earliest at a moment, that it runs.
func (p *replicas) said(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hear(at)
}

// hear is called with mu held.
func (p *replicas) hear(at time.Time) {
	p.until = at.Add(callsFor)
	left := time.Until(p.until)
	if p.heard != nil {
		p.unsaid.Reset(left)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.heard = ctx
	p.unsaid = time.AfterFunc(left, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.heard == ctx && !time.Now().Before(p.until) {
			p.heard = nil
			cancel()
		}
	})
}

// whileHeard has end be called when others may take over a call that begins now, until stop is.
func (p *replicas) whileHeard(end func()) (stop func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.until.IsZero(): // nobody knows this process
		return func() bool { return true }
	case p.heard == nil: // that the call begins is in its record, which is as good
		p.hear(time.Now())
	}
	return context.AfterFunc(p.heard, end)
}

type replica struct {
	rev  uint64
	seen time.Time // when its record changed last, by this process's store clock
	gone bool
}

// keepPresence says that this process runs, and watches the others, until ctx is done.
func (s *Store) keepPresence(ctx context.Context) {
	var rev uint64
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		rev = s.beat(ctx, rev)
		select {
		case <-ctx.Done():
			if rev != 0 {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
				defer cancel()
				_ = s.engine.Remove(ctx, engine.JoinKey(kindMeta, "replica", s.owner), rev) // else it expires
			}
			return
		case <-tick.C:
		}
	}
}

// beat is what a replica said last.
type beat struct {
	rev     uint64
	unheard []unheard
}

// beat is one beat. It returns the revision of the process's own record.
func (s *Store) beat(ctx context.Context, rev uint64) uint64 {
	ctx, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	key := engine.JoinKey(kindMeta, "replica", s.owner)
	began := time.Now()
	body, err := cbor.Marshal(s.unheard())
	if err != nil {
		return rev
	}
	next, err := s.engine.Put(ctx, key, s.seal.seal(key, nil, body), rev, beatKept, false)
	if errors.Is(err, ErrConflict) { // an answer was lost, or it was away for long
		if e, err := s.engine.Get(ctx, key); err == nil {
			return e.Rev
		}
		return 0
	}
	if err != nil {
		return rev
	}
	s.replicas.said(began)
	there := make(map[string]beat)
	err = s.engine.List(ctx, replicasKey, false, func(e engine.Entry) bool {
		if _, segments, err := engine.SplitKey(e.Key); err == nil && len(segments) == 2 {
			if body, err := s.seal.open(e.Key, nil, e.Body); err == nil {
				said := beat{rev: e.Rev}
				_ = cbor.Unmarshal(body, &said.unheard) // of an older version it is empty
				there[segments[1]] = said
			}
		}
		return true
	})
	if err == nil {
		s.sawReplicas(there)
	}
	return next
}

// sawReplicas notes which replicas there are, with what they said last, and takes over from
// those that are gone.
func (s *Store) sawReplicas(there map[string]beat) {
	now := s.cfg.Now()
	p := &s.replicas
	p.mu.Lock()
	if p.by == nil {
		p.by = make(map[string]*replica)
	}
	for owner, said := range there {
		known := p.by[owner]
		if owner == s.owner || known != nil && known.rev == said.rev {
			continue
		}
		p.by[owner] = &replica{rev: said.rev, seen: now}
		s.promiseFor(said.unheard)
	}
	lost := false
	for owner, known := range p.by {
		silent := now.Sub(known.seen)
		if gone := there[owner].rev == 0 || silent > goneAfter; gone && !known.gone {
			known.gone, lost = true, true
			if silent <= goneAfter { // it took its record away
				s.log.Info("another replica stopped")
			} else {
				s.log.Warn("another replica is gone, taking over its jobs", "silent", silent.Round(time.Second))
			}
		}
		if there[owner].rev == 0 && silent > time.Hour {
			delete(p.by, owner)
		}
	}
	p.mu.Unlock()
	if r := s.running.Load(); lost && r != nil {
		r.promiseAll()
	}
}

// silentSince returns since when a replica that is gone was not heard of.
func (s *Store) silentSince(owner string) (time.Time, bool) {
	s.replicas.mu.Lock()
	defer s.replicas.mu.Unlock()
	known := s.replicas.by[owner]
	if known == nil || !known.gone {
		return time.Time{}, false
	}
	return known.seen, true
}

// Alone reports whether it is known that no other process shares the store.
func (s *Store) Alone() bool {
	if s.engine.Exclusive() {
		return true
	}
	s.replicas.mu.Lock()
	defer s.replicas.mu.Unlock()
	for _, known := range s.replicas.by {
		if !known.gone {
			return false
		}
	}
	return s.replicas.by != nil
}
