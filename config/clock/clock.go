// Package clock knows the clocks of the servers that the bot talks to, from their answers: a
// machine's own may be wrong by an hour, and what others sign, expire and order is by theirs.
package clock

import (
	"net/http"
	"sync"
	"time"
)

// Theirs is the clock of a server, as far as its answers tell. Until the first one it is
// this machine's.
type Theirs struct {
	now func() time.Time

	mu    sync.Mutex
	base  time.Time     // what theirs showed …
	at    time.Time     // … when now was this; zero: not known
	doubt time.Duration // by how much the last answer differed, where that was not believed yet
}

// New returns a clock that is told beside now; nil is [time.Now].
func New(now func() time.Time) *Theirs {
	if now == nil {
		now = time.Now
	}
	return &Theirs{now: now}
}

const (
	// A Date is told to the second, and on the way for some time.
	exact = 1500 * time.Millisecond
	// A longer way tells too little.
	longestWay = 5 * time.Second
)

// Now returns what the server's clock shows.
func (t *Theirs) Now() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.show(t.now())
}

func (t *Theirs) show(now time.Time) time.Time {
	if t.at.IsZero() {
		return now
	}
	return t.base.Add(now.Sub(t.at))
}

// Ahead returns by how much this machine's clock is ahead of the server's; false where that is not
// known.
func (t *Theirs) Ahead() (time.Duration, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now().Round(0)
	return now.Sub(t.show(t.now())), !t.at.IsZero()
}

// Here returns when, by the clock that this one is told beside, the server's shows at.
func (t *Theirs) Here(at time.Time) time.Time { return at.Add(t.ours()) }

// There is the inverse of [Theirs.Here].
func (t *Theirs) There(at time.Time) time.Time { return at.Add(-t.ours()) }

func (t *Theirs) ours() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	return now.Round(0).Sub(t.show(now).Round(0))
}

// Saw notes an answer's Date, which was asked for at one moment and here at another. One
// answer that differs from those before is not believed until the next one agrees with it.
func (t *Theirs) Saw(h http.Header, asked, answered time.Time) {
	date, err := http.ParseTime(h.Get("Date"))
	way := answered.Sub(asked)
	if err != nil || way > longestWay || h.Get("Age") != "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	theirs, ours := date.Add(time.Second/2), asked.Add(way/2)
	off := theirs.Sub(t.show(ours))
	known := !t.at.IsZero()
	if known && off.Abs() <= exact+way/2 {
		t.doubt = 0
		return
	}
	if known && (t.doubt == 0 || (off-t.doubt).Abs() > 2*exact) {
		t.doubt = off
		return
	}
	t.base, t.at, t.doubt = theirs, ours, 0
}

// Watch returns rt with every answer noted.
func (t *Theirs) Watch(rt http.RoundTripper) http.RoundTripper { return watched{rt, t} }

type watched struct {
	http.RoundTripper
	clock *Theirs
}

// RoundTrip implements [http.RoundTripper].
func (w watched) RoundTrip(req *http.Request) (*http.Response, error) {
	asked := w.clock.now()
	resp, err := w.RoundTripper.RoundTrip(req)
	if err == nil {
		w.clock.Saw(resp.Header, asked, w.clock.now())
	}
	return resp, err
}

// CloseIdleConnections is what [http.Client.CloseIdleConnections] calls.
func (w watched) CloseIdleConnections() {
	if c, ok := w.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
