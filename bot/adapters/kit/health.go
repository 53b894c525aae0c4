package kit

import (
	"sync"
	"time"
)

// State says how an adapter is.
type State string

const (
	Starting State = "starting" // not connected yet
	Running  State = "running"
	Degraded State = "degraded" // it was connected, and tries to be again
	Stopped  State = "stopped"  // for good: a restart with other settings is needed
)

// Health is the part of an adapter in a readiness report. Its error has no secret in it.
type Health struct {
	State     State     `json:"state"`
	Since     time.Time `json:"since"`
	LastError string    `json:"last_error,omitempty"`
	ErrorAt   time.Time `json:"error_at,omitzero"`
	// Workspaces are how those are that have installed the platform's app, by their ID. One that is
	// not well is not the adapter's fault.
	Workspaces map[string]Health `json:"workspaces,omitempty"`
}

// Ready reports whether the adapter can take commands.
func (h Health) Ready() bool { return h.State == Running }

// Pulse keeps an adapter's [Health]. The zero value is not usable: see [NewPulse].
type Pulse struct {
	now func() time.Time
	mu  sync.Mutex
	h   Health
}

// NewPulse returns a Pulse in state [Starting].
func NewPulse(now func() time.Time) *Pulse {
	return &Pulse{now: now, h: Health{State: Starting, Since: now()}}
}

// Health returns how it is now.
func (p *Pulse) Health() Health {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.h
}

// Set changes the state, except from [Stopped], which is for good.
func (p *Pulse) Set(s State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.h.State != s && p.h.State != Stopped {
		p.h.State, p.h.Since = s, p.now()
	}
}

// Failed records an error.
func (p *Pulse) Failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.h.LastError, p.h.ErrorAt = err.Error(), p.now()
}
