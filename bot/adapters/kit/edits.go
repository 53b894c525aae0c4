package kit

import (
	"context"
	"sync"
	"time"
)

// Edits lets edits through at a pace, for each message apart. Of several edits of one
// message that wait for their turn only the newest is made: it shows the newest state.
type Edits struct {
	pace *Pace

	mu      sync.Mutex
	waiting map[string]*queue
}

// queue are the edits of one message that wait, and the number of the newest.
type queue struct{ last, waiting int }

// NewEdits returns Edits with one edit of a message per interval: see [NewPace].
func NewEdits(interval, patience time.Duration, waited func(time.Duration)) *Edits {
	return &Edits{pace: NewPace(interval, patience, waited), waiting: map[string]*queue{}}
}

// Do makes an edit of the message when its turn has come. It returns nil without making it
// if a newer one has come meanwhile, and a *[chat.RetryAfter] if the turn is too far away.
func (e *Edits) Do(ctx context.Context, message string, edit func() error) error {
	newest, leave := e.enter(message)
	defer leave()
	if err := e.pace.Wait(ctx, message); err != nil {
		return err
	}
	if !newest() {
		return nil
	}
	return edit()
}

// enter counts an edit, which can ask later whether it is still the newest, and leaves.
func (e *Edits) enter(message string) (newest func() bool, leave func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := e.waiting[message]
	if q == nil {
		q = new(queue)
		e.waiting[message] = q
	}
	q.last++
	q.waiting++
	mine := q.last
	newest = func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return q.last == mine
	}
	leave = func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if q.waiting--; q.waiting == 0 {
			delete(e.waiting, message)
		}
	}
	return newest, leave
}
