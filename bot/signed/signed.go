// Package signed takes requests that somebody has signed, and nobody else's.
//
// A request is judged by its headers before its body is read, and by its signature before
// anything in it is looked at. Whoever sent one that is refused learns nothing but the status;
// the operator learns why, in one line a minute and reason: see [Gate].
package signed

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// MaxBody is how much of a request's body is read, in bytes.
const MaxBody = 1 << 20

const (
	smallBody = 16 << 10 // is read whatever else is
	// bodiesInFlight is what larger bodies that are being read may have together, in bytes:
	// who sends them is not known yet.
	bodiesInFlight = 16 << 20
	bodyTimeout    = 5 * time.Second
	logEvery       = time.Minute
)

// large is the budget of all gates of the process.
var large = semaphore.NewWeighted(bodiesInFlight)

// Reason is why a request was refused, as logs and metrics have it.
type Reason string

const (
	Unsigned Reason = "unsigned"        // its headers have no signature that could be one, or no time
	Stale    Reason = "stale"           // it was signed too long ago, or is from the future
	Forged   Reason = "wrong_signature" // made with another secret, or over another body
	Repeated Reason = "repeated"        // it was taken before
	TooLarge Reason = "too_large"
	TooMany  Reason = "too_many_bodies" // too many large bodies arrive at once
)

// Reasons are all that there are.
func Reasons() []Reason {
	return []Reason{Unsigned, Stale, Forged, Repeated, TooLarge, TooMany}
}

// status is what a request that is refused is answered with.
func (r Reason) status() int {
	switch r {
	case TooLarge:
		return http.StatusRequestEntityTooLarge
	case TooMany:
		return http.StatusServiceUnavailable
	}
	return http.StatusUnauthorized
}

// Scheme is how somebody signs requests.
type Scheme struct {
	// Sent reads from the headers when the request was signed. It returns false where they have
	// nothing that could be a signature.
	Sent func(h http.Header) (at time.Time, ok bool)
	// Old is how long ago a request may have been signed, Ahead how far its sender's clock may
	// be ahead. Without Old the scheme tells no time.
	Old, Ahead time.Duration
	// Valid judges the signature over the raw body.
	Valid func(r *http.Request, body []byte) bool
	// First reports whether a valid request was not taken before; nil: repeats are no harm.
	First func(r *http.Request, body []byte) bool
}

// Gate lets requests through that are signed, and answers others with a bare status. Of each
// reason it logs one line a minute: with how many were refused since the last one, and how old
// the newest was by its own word. A wrong secret, a wrong clock and an attack can be told apart
// by that.
type Gate struct {
	scheme  Scheme
	now     func() time.Time
	refused func(Reason)
	log     *slog.Logger

	mu    sync.Mutex
	trace map[Reason]*refusals
}

type refusals struct {
	said time.Time
	more int // since
}

// New returns a Gate. It tells refused of every request that it refuses.
func New(s Scheme, now func() time.Time, refused func(Reason), log *slog.Logger) *Gate {
	return &Gate{scheme: s, now: now, refused: refused, log: log, trace: map[Reason]*refusals{}}
}

// Handler hands signed requests on, with their raw body and the time of their arrival.
func (g *Gate) Handler(f func(w http.ResponseWriter, r *http.Request, body []byte, arrived time.Time)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		arrived := time.Now()
		age, reason := g.judge(r.Header)
		if reason != "" {
			g.refuse(w, r, reason, age)
			return
		}
		body, done, err := read(w, r)
		defer done()
		switch {
		case errors.Is(err, errTooLarge):
			g.refuse(w, r, TooLarge, age)
		case errors.Is(err, errTooMany):
			g.refuse(w, r, TooMany, age)
		case err != nil:
			w.WriteHeader(http.StatusBadRequest)
		case !g.scheme.Valid(r, body):
			g.refuse(w, r, Forged, age)
		case g.scheme.First != nil && !g.scheme.First(r, body):
			g.refuse(w, r, Repeated, age)
		default:
			f(w, r, body, arrived)
		}
	}
}

// judge judges the headers, and says how old the request is by its own word. No reason: it may
// be read.
func (g *Gate) judge(h http.Header) (age time.Duration, reason Reason) {
	at, ok := g.scheme.Sent(h)
	if !ok {
		return 0, Unsigned
	}
	if g.scheme.Old == 0 {
		return 0, ""
	}
	if age = g.now().Sub(at); age > g.scheme.Old || age < -g.scheme.Ahead {
		return age, Stale
	}
	return age, ""
}

func (g *Gate) refuse(w http.ResponseWriter, r *http.Request, reason Reason, age time.Duration) {
	g.refused(reason)
	if count := g.due(reason); count > 0 {
		attrs := []any{"reason", string(reason), "count", count}
		if reason != Unsigned && g.scheme.Old > 0 {
			attrs = append(attrs, "age", age.Round(time.Second).String())
		}
		g.log.WarnContext(r.Context(), "requests refused", attrs...)
	}
	w.Header().Set("Connection", "close") // what is left of the body is not waited for
	w.WriteHeader(reason.status())
}

// due counts a refusal. It returns how many there were since the last line, once a minute.
func (g *Gate) due(reason Reason) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.trace[reason]
	if t == nil {
		t = &refusals{}
		g.trace[reason] = t
	}
	t.more++
	now := g.now()
	if !t.said.IsZero() && now.Sub(t.said) < logEvery {
		return 0
	}
	count := t.more
	t.said, t.more = now, 0
	return count
}

var (
	errTooLarge = errors.New("the body is too large")
	errTooMany  = errors.New("too many large bodies at once")
)

// read returns the whole raw body, which is no longer needed when done is called. A body
// that does not arrive in time is given up.
func read(w http.ResponseWriter, r *http.Request) (body []byte, done func(), err error) {
	// Not every ResponseWriter has deadlines (tests); the server has its own as well.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	var taken int64
	done = func() { large.Release(taken) }
	if r.ContentLength > MaxBody {
		return nil, done, errTooLarge
	}
	in := http.MaxBytesReader(w, r.Body, MaxBody)
	buf := make([]byte, 0, min(max(r.ContentLength, 512), smallBody))
	for {
		if len(buf) == cap(buf) {
			grown := min(2*cap(buf), MaxBody+1)
			if more := int64(grown - cap(buf)); grown > smallBody {
				if !large.TryAcquire(more) {
					return nil, done, errTooMany
				}
				taken += more
			}
			buf = append(make([]byte, 0, grown), buf...)
		}
		n, err := in.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			return nil, done, errTooLarge
		case errors.Is(err, io.EOF):
			return buf, done, nil
		case err != nil:
			return nil, done, err
		}
	}
}
