package jobs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"meetbot/bot/jobs/internal/engine"
)

// promises are the jobs that this process knows to be under way, each with the moment at
// which the person hears that it takes longer. What a job waits for then does not matter: a
// directory, a call, its turn, a platform, another replica.
type promises struct {
	mu    sync.Mutex
	by    map[string]*promised // by the record's key
	slots chan struct{}        // of notices that are given side by side
}

type promised struct {
	created time.Time
	timer   *time.Timer
	told    bool // by this process or another; the record may not say so yet
	other   bool // another replica has it
}

// begin is called with mu held, before a timer is set.
func (p *promises) begin() {
	if p.by == nil {
		p.by, p.slots = make(map[string]*promised), make(chan struct{}, maxNotices)
	}
}

// maxNotices is how many people are told side by side that it takes longer.
const maxNotices = 64

// promise has the job's person hear in time that it takes longer.
func (s *Store) promise(key string, j *Job) {
	if j.Noticed || j.State == AwaitingApproval { // whoever is to decide knows
		return
	}
	p := &s.promised
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin()
	known := p.by[key]
	if known != nil && (known.told || !known.other && !j.Created.After(known.created)) {
		return
	}
	if known != nil { // a second person has agreed, which is when it began, or it was another's
		known.timer.Stop()
	}
	created := j.Created
	// One that should have heard already may be about to hear the end.
	wait := max(created.Add(s.cfg.NoticeAfter).Sub(s.cfg.Now()), min(time.Second, s.cfg.NoticeAfter))
	there := clone(j)
	p.by[key] = &promised{created: created, timer: time.AfterFunc(wait, func() { s.remind(key, there) })}
}

// unheard is a job of another replica whose person is still to hear something.
type unheard struct {
	Key     string        `cbor:"1,keyasint"`
	Created int64         `cbor:"2,keyasint"` // milliseconds since 1970
	Left    time.Duration `cbor:"3,keyasint"` // until the person hears that it takes longer
}

const (
	maxUnheard   = 256         // in one heartbeat; what is more waits until the replica is known to be gone
	unheardAfter = time.Second // most jobs are over by then
	firstSay     = 300 * time.Millisecond
)

// unheard returns the jobs that this process has had for a second and whose people heard
// nothing, the oldest first.
func (s *Store) unheard() (all []unheard) {
	p := &s.promised
	now := s.cfg.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, known := range p.by {
		if !known.told && !known.other && now.Sub(known.created) >= unheardAfter {
			all = append(all, unheard{key, known.created.UnixMilli(), known.created.Add(s.cfg.NoticeAfter).Sub(now)})
		}
	}
	slices.SortFunc(all, func(a, b unheard) int { return cmp.Compare(a.Created, b.Created) })
	return all[:min(len(all), maxUnheard)]
}

// promiseFor has the people of another replica's jobs hear in time even if it cannot say
// anything any more. It is given as long as it takes to come first.
func (s *Store) promiseFor(jobs []unheard) {
	p := &s.promised
	now := s.cfg.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin()
	for _, u := range jobs[:min(len(jobs), maxUnheard)] {
		if p.by[u.Key] != nil {
			continue
		}
		// Between the two, whatever the clocks say: the heartbeat is at most one old.
		created := time.UnixMilli(u.Created)
		wait := min(max(created.Add(s.cfg.NoticeAfter).Sub(now), u.Left-beatEvery, 0), max(u.Left, 0), s.cfg.NoticeAfter)
		p.by[u.Key] = &promised{created: created, other: true, timer: time.AfterFunc(wait+firstSay, func() { s.remind(u.Key, Job{}) })}
	}
}

// kept forgets a job that is over.
func (s *Store) kept(key string) {
	p := &s.promised
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.by[key]; known != nil {
		known.timer.Stop()
		delete(p.by, key)
	}
}

// told reports whether this process has told the person that the job takes longer.
func (s *Store) told(key string) bool {
	p := &s.promised
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.by[key] != nil && p.by[key].told
}

// promiseAll takes over what a process left that is gone.
func (r *runner) promiseAll() {
	err := r.engine.Queued(r.ctx, kindJob, false, func(e engine.Entry) bool {
		if j, err := r.decodeJob(e); err == nil && !j.State.Finished() {
			r.promise(e.Key, &j)
		}
		return r.taking.Err() == nil
	})
	if err != nil && r.ctx.Err() == nil {
		r.log.Warn("jobs under way not listed", "err", err)
	}
}

// remind tells the person that the job takes longer, if that is so. known is what this
// process knows of it, for when the store does not answer.
func (s *Store) remind(key string, known Job) {
	r := s.running.Load()
	if r == nil { // nothing runs yet
		s.promised.mu.Lock()
		defer s.promised.mu.Unlock()
		if p := s.promised.by[key]; p != nil && !s.stopping.Load() {
			p.timer.Reset(time.Second)
		}
		return
	}
	select {
	case s.promised.slots <- struct{}{}:
	case <-r.taking.Done():
		return
	}
	defer func() { <-s.promised.slots }()
	if !r.join() {
		return
	}
	defer r.running.Done()
	if r.taking.Err() != nil || s.told(key) || !r.stillOpen(key, &known) {
		s.kept(key)
		return
	}
	mine := r.claim(known.ID)
	s.promised.mu.Lock()
	if p := s.promised.by[key]; p != nil { // else it ended this moment
		p.told = true
		p.timer.Reset(noticedFor) // should another replica end it
	} else {
		mine = false
	}
	s.promised.mu.Unlock()
	if !mine {
		return
	}
	if err := r.do(&known, &noticing, func(ctx context.Context) error { r.h.Notice(ctx, &known); return nil }); err != nil {
		r.log.Error("notice that a job takes longer not sent", "job", known.ID, "err", err)
	}
}

// storeWithin is how long a notice waits for the store.
const storeWithin = 2 * time.Second

// stillOpen reports whether the person is to hear that the job takes longer, and brings j up
// to date. A store that does not answer is a reason to say so, if it is known to whom.
func (r *runner) stillOpen(key string, j *Job) bool {
	ctx, cancel := context.WithTimeout(r.ctx, storeWithin)
	defer cancel()
	e, err := r.engine.Get(ctx, key)
	if errors.Is(err, ErrNotFound) || err != nil && j.ID == "" {
		return false
	}
	if err == nil {
		now, err := r.decodeJob(e)
		if err != nil {
			return false
		}
		*j = now
	}
	return !j.State.Finished() && j.State != AwaitingApproval && !j.Noticed
}

// noticedFor is how long it is remembered that a person was told.
const noticedFor = time.Hour

// claim reports whether this replica is the one that tells the person, which is whoever
// writes first that it does. Where the store does not answer, once too often beats never.
func (r *runner) claim(id string) bool {
	if r.engine.Exclusive() {
		return true
	}
	ctx, cancel := context.WithTimeout(r.ctx, storeWithin)
	defer cancel()
	key := engine.JoinKey(kindMeta, "noticed", id)
	body := r.seal.seal(key, nil, nil)
	_, err := r.put(ctx, key, body, 0, noticedFor, false, func(e engine.Entry) bool { return bytes.Equal(e.Body, body) })
	return !errors.Is(err, ErrConflict)
}
