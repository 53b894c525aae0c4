// Package recordstest gives tests a store in memory, and a clock that they move.
package recordstest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/jobs"
)

// Clock is a time that tests move.
type Clock struct {
	mu sync.Mutex
	t  time.Time
}

// NewClock returns a clock that stands at t.
func NewClock(t time.Time) *Clock { return &Clock{t: t} }

// Now is the time at which the clock stands.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// Open opens a store in memory whose time is a clock that stands at now. It is closed at the
// end of the test.
func Open(t *testing.T, now time.Time) (*jobs.Store, *Clock) {
	t.Helper()
	clock := NewClock(now)
	store, err := jobs.OpenMemory(jobs.Config{Now: clock.Now})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	return store, clock
}
