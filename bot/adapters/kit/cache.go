package kit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"meetbot/bot/chat"
)

// Cache remembers up to a number of values, each for a while. Where there is no room left
// it drops what is too old, and where that is not enough, everything: whoever uses one must
// be able to ask again.
type Cache[V any] struct {
	life time.Duration
	max  int
	now  func() time.Time

	mu      sync.Mutex
	m       map[string]kept[V]
	tidied  time.Time
	flights singleflight.Group
	asked   atomic.Uint64 // questions, in their order
}

type kept[V any] struct {
	value V
	until time.Time
	asked uint64 // the question that it answers
}

// NewCache returns a Cache that remembers up to max values for the given time each.
func NewCache[V any](life time.Duration, max int, now func() time.Time) *Cache[V] {
	return &Cache[V]{life: life, max: max, now: now, m: map[string]kept[V]{}}
}

// Get returns what is remembered under key.
func (c *Cache[V]) Get(key string) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.get(key, c.now())
}

func (c *Cache[V]) get(key string, now time.Time) (V, bool) {
	k, ok := c.m[key]
	if !ok || now.After(k.until) {
		var zero V
		return zero, false
	}
	return k.value, true
}

// Put remembers v under key from now on.
func (c *Cache[V]) Put(key string, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(key, v, c.now(), c.asked.Add(1))
}

func (c *Cache[V]) put(key string, v V, now time.Time, asked uint64) {
	if len(c.m) >= c.max || now.Sub(c.tidied) > c.life {
		c.tidied = now
		maps.DeleteFunc(c.m, func(_ string, k kept[V]) bool { return now.After(k.until) })
		if len(c.m) >= c.max {
			clear(c.m)
		}
	}
	if c.m[key].asked < asked { // an answer that was slow is not newer
		c.m[key] = kept[V]{v, now.Add(c.life), asked}
	}
}

// First reports whether nothing was remembered under key, and remembers v from now on.
func (c *Cache[V]) First(key string, v V) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	_, known := c.get(key, now)
	c.put(key, v, now, c.asked.Add(1))
	return !known
}

const (
	// lookUpTimeout bounds a look-up that several wait for, whoever of them gives up.
	lookUpTimeout = 10 * time.Second
	// patience is how long a platform may ask a look-up to wait before it counts as failed.
	patience = 3 * time.Second
)

// Fetch returns what is remembered under key, or asks once for all who want it and
// remembers the answer. An error is not remembered. Where the platform asks for a few
// seconds, Fetch waits and asks again. Who wants it [chat.Afresh] has it asked now, and does
// not get the answer to an earlier question.
func (c *Cache[V]) Fetch(ctx context.Context, key string, ask func(context.Context) (V, error)) (V, error) {
	question := key
	if chat.IsAfresh(ctx) {
		question = fmt.Sprint("afresh ", c.asked.Add(1), " ", key)
	} else if v, ok := c.Get(key); ok {
		return v, nil
	}
	flight := c.flights.DoChan(question, func() (v any, err error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookUpTimeout)
		defer cancel()
		asked := c.asked.Add(1)
		err = Retry(ctx, Pauses{First: 100 * time.Millisecond, Longest: patience}, func(ctx context.Context) (Verdict, error) {
			answer, err := ask(ctx)
			if err == nil {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.put(key, answer, c.now(), asked)
				v = answer
			}
			if limited, ok := errors.AsType[*chat.RetryAfter](err); ok && limited.After <= patience {
				return Again, err
			}
			return Stop, err
		}, nil)
		return v, err
	})
	select {
	case r := <-flight:
		v, _ := r.Val.(V) // the zero value with an error
		return v, r.Err
	case <-ctx.Done():
		var zero V
		return zero, ctx.Err()
	}
}
