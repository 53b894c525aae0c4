package ops

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/jobs"
	"meetbot/config/secret"
)

// Part is how one part of the bot is.
type Part struct {
	Ready     bool      `json:"ready"`
	State     string    `json:"state"`
	Since     time.Time `json:"since,omitzero"`
	LastError string    `json:"last_error,omitempty"`
	ErrorAt   time.Time `json:"error_at,omitzero"`
	// Workspaces are those that have installed a platform's app, by their ID. No metric names them.
	Workspaces map[string]Part `json:"workspaces,omitempty"`
}

// Readiness is the answer of /readyz.
type Readiness struct {
	Ready bool `json:"ready"`
	// Parts are the engine ("jobs"), the adapters and the providers, by name, and the
	// machine's clock ("clock").
	Parts map[string]Part `json:"parts"`
}

// Store is the part of [jobs.Store] that health looks at.
type Store interface {
	Healthy() (state jobs.Health, since time.Time, last error)
}

// Health gathers how the parts are. Its fields are set before it is used.
type Health struct {
	Store Store
	// Adapters by name; without any the console alone takes commands, and always can.
	Adapters map[string]func() kit.Health
	// Clocks are those of platforms and providers; nil: they are not compared.
	Clocks *Clocks
	// Metrics know how the providers answered.
	Metrics *Metrics
	// Stopping reports that the process takes no new commands.
	Stopping func() bool
	// Secrets never appear in an error that is shown, whatever put them there.
	Secrets []secret.String
}

// Readiness says how everything is now.
//
// The bot is ready as long as one adapter can take a command and the engine can write it
// down. An engine that is full or busy does not end that: people are told so at once,
// which they would not be if nothing were sent here any more. A provider that does not
// answer does not end it either: commands are kept and their outcome told.
func (h *Health) Readiness() Readiness {
	state, since, last := h.Store.Healthy()
	store := Part{Ready: state == jobs.Ready, State: string(state), Since: since}
	if last != nil {
		store.LastError = Scrub(last.Error(), h.Secrets...)
	}
	r := Readiness{Ready: len(h.Adapters) == 0, Parts: map[string]Part{"jobs": store}}
	for name, health := range h.Adapters {
		a := health()
		r.Ready = r.Ready || a.Ready()
		r.Parts[name] = h.part(a)
	}
	if h.Clocks != nil {
		if part, known := h.Clocks.part(); known {
			r.Parts["clock"] = part
		}
	}
	if h.Metrics != nil {
		for name, part := range h.Metrics.providers.parts() {
			r.Parts[name] = part
		}
	}
	if state == jobs.NotDurable || state == jobs.Stopping || h.Stopping != nil && h.Stopping() {
		r.Ready = false
	}
	return r
}

func (h *Health) part(a kit.Health) Part {
	p := Part{Ready: a.Ready(), State: string(a.State), Since: a.Since, LastError: Scrub(a.LastError, h.Secrets...), ErrorAt: a.ErrorAt}
	for id, w := range a.Workspaces {
		if p.Workspaces == nil {
			p.Workspaces = make(map[string]Part)
		}
		p.Workspaces[id] = h.part(w)
	}
	return p
}

// Handler serves /livez, /readyz and /metrics. It is for an address that only the
// operators reach.
func Handler(h *Health) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		r := h.Readiness()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !r.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(r) // whoever asked is gone
	})
	if h.Metrics != nil {
		mux.Handle("GET /metrics", h.Metrics.handler())
	}
	return mux
}

// States of a provider.
const (
	providerUnused   = "unused"   // not called since the start
	providerRunning  = "running"  // its last answer was an answer, perhaps a refusal
	providerDegraded = "degraded" // it could not be reached, or did not let the bot in
)

// providers remembers how each provider's last call ended.
type providers struct {
	now func() time.Time
	mu  sync.Mutex
	by  map[string]Part
}

// faults of the provider or of the bot's account there. A refusal of what a person asked
// for is none.
var providerFaults = []string{"rate_limited", "credentials", "unavailable", "outcome_unknown", "internal"}

// expect makes a provider a part before it was called.
func (p *providers) expect(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == nil {
		p.by = make(map[string]Part)
	}
	if _, ok := p.by[name]; !ok {
		p.by[name] = Part{Ready: true, State: providerUnused, Since: p.now()}
	}
}

func (p *providers) called(name, kind string) {
	p.expect(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	part, now := p.by[name], p.now()
	state := providerRunning
	if slices.Contains(providerFaults, kind) {
		state = providerDegraded
		part.LastError, part.ErrorAt = kind, now
	}
	if part.State != state {
		part.State, part.Since = state, now
	}
	part.Ready = state == providerRunning
	p.by[name] = part
}

func (p *providers) parts() map[string]Part {
	p.mu.Lock()
	defer p.mu.Unlock()
	parts := make(map[string]Part, len(p.by))
	for name, part := range p.by {
		parts[name] = part
	}
	return parts
}

// Expect shows a provider as a part from the start.
func (m *Metrics) Expect(provider string) { m.providers.expect(one(m.known, provider)) }

// Hide returns text without the given secrets.
func Hide(text string, secrets ...secret.String) string {
	for _, s := range secrets {
		if v := s.Reveal(); len(v) >= minSecret {
			text = strings.ReplaceAll(text, v, secret.Redacted)
		}
	}
	return text
}

// minSecret is the length below which a secret is none, and would take words apart.
const minSecret = 4

const maxError = 300 // bytes of an error that is shown

var (
	anyURL = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s"']+`)
	// tokens: Slack's, and anything long that is random rather than a word. A number, a
	// route and an identifier with dots stay readable.
	token = regexp.MustCompile(`xox[a-z]-[^\s"']*|xapp-[^\s"']*|[A-Za-z0-9_+=-]{32,}`)
)

// Scrub makes an error's text fit to be shown: without the given secrets, without URLs
// and what looks like a token, on one line, at most 300 bytes. What makes an error keeps
// secrets out already; this is the second lock.
func Scrub(text string, secrets ...secret.String) string {
	text = Hide(text, secrets...)
	text = anyURL.ReplaceAllString(text, "[url]")
	text = token.ReplaceAllString(text, secret.Redacted)
	text = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > maxError {
		text = strings.ToValidUTF8(text[:maxError], "") + "…"
	}
	return text
}
