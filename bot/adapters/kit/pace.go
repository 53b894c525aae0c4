package kit

import (
	"context"
	"meetbot/bot/chat"
	"sync"
	"time"
)

// Pace lets one call per interval through for each key, in the order in which they were
// asked for, and none before the time until which a key is held.
type Pace struct {
	interval time.Duration
	patience time.Duration
	waited   func(time.Duration)

	mu   sync.Mutex
	next map[string]time.Time // when the key's next call may go
	tidy time.Time
}

// NewPace returns a Pace. A call that would have to wait longer than patience is refused
// instead. The function waited, if not nil, is told each wait.
func NewPace(interval, patience time.Duration, waited func(time.Duration)) *Pace {
	return &Pace{interval: interval, patience: patience, waited: waited, next: map[string]time.Time{}}
}

// Wait returns when a call with this key may go. It returns a *[chat.RetryAfter] at once
// if that is longer away than the Pace's patience.
func (p *Pace) Wait(ctx context.Context, key string) error {
	now := time.Now()
	p.mu.Lock()
	p.forget(now)
	at := p.next[key]
	if at.Before(now) {
		at = now
	}
	wait := at.Sub(now)
	if wait > p.patience {
		p.mu.Unlock()
		p.tell(wait)
		return &chat.RetryAfter{After: wait, Err: errPaced}
	}
	p.next[key] = at.Add(p.interval)
	p.mu.Unlock()
	if wait == 0 {
		return nil
	}
	p.tell(wait)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Hold lets no call with this key go for the given time: the platform said so.
func (p *Pace) Hold(key string, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(d); until.After(p.next[key]) {
		p.next[key] = until
	}
}

func (p *Pace) tell(d time.Duration) {
	if p.waited != nil {
		p.waited(d)
	}
}

// forget drops keys that hold nothing back any more, once a minute.
func (p *Pace) forget(now time.Time) {
	if now.Sub(p.tidy) < time.Minute {
		return
	}
	p.tidy = now
	for key, at := range p.next {
		if at.Before(now) {
			delete(p.next, key)
		}
	}
}

type pacedError struct{}

func (pacedError) Error() string { return "rate limited" }

var errPaced = pacedError{}

// Seen remembers keys for a while.
type Seen struct{ keys *Cache[struct{}] }

// NewSeen returns a Seen that remembers up to max keys for the given time each.
func NewSeen(keep time.Duration, max int) *Seen {
	return &Seen{NewCache[struct{}](keep, max, time.Now)}
}

// First reports whether key was not seen lately, and remembers it.
func (s *Seen) First(key string) bool { return s.keys.First(key, struct{}{}) }
