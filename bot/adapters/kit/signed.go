package kit

import (
	"errors"
	"io"
	"net/http"
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
)

// Signed takes requests that a platform has signed, and nobody else's: those are answered
// 401, without a word why. Nothing in a request is looked at before its signature is.
type Signed struct {
	// Head judges the headers: that the signature looks like one and is not old. Of a request
	// that it refuses, the body is not read.
	Head func(h http.Header) bool
	// Whole judges the signature over the raw body.
	Whole func(h http.Header, body []byte) bool
	// Rejected is told of every request that was refused.
	Rejected func()

	large *semaphore.Weighted
}

// NewSigned returns a Signed. Its bodies share a budget.
func NewSigned(head func(http.Header) bool, whole func(http.Header, []byte) bool, rejected func()) *Signed {
	return &Signed{Head: head, Whole: whole, Rejected: rejected, large: semaphore.NewWeighted(bodiesInFlight)}
}

// Handler hands signed requests on, with their raw body and the time of their arrival.
func (s *Signed) Handler(f func(w http.ResponseWriter, r *http.Request, body []byte, arrived time.Time)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		arrived := time.Now()
		if !s.Head(r.Header) {
			s.refuse(w, http.StatusUnauthorized)
			return
		}
		body, done, err := s.read(w, r)
		defer done()
		switch {
		case errors.Is(err, errTooLarge):
			s.refuse(w, http.StatusRequestEntityTooLarge)
		case errors.Is(err, errTooMany):
			s.refuse(w, http.StatusServiceUnavailable)
		case err != nil:
			w.WriteHeader(http.StatusBadRequest)
		case !s.Whole(r.Header, body):
			s.refuse(w, http.StatusUnauthorized)
		default:
			f(w, r, body, arrived)
		}
	}
}

func (s *Signed) refuse(w http.ResponseWriter, status int) {
	s.Rejected()
	w.Header().Set("Connection", "close") // what is left of the body is not waited for
	w.WriteHeader(status)
}

var (
	errTooLarge = errors.New("the body is too large")
	errTooMany  = errors.New("too many large bodies at once")
)

// read returns the whole raw body, which is no longer needed when done is called. A body
// that does not arrive in time is given up.
func (s *Signed) read(w http.ResponseWriter, r *http.Request) (body []byte, done func(), err error) {
	// Not every ResponseWriter has deadlines (tests); the server has its own as well.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	var taken int64
	done = func() { s.large.Release(taken) }
	if r.ContentLength > MaxBody {
		return nil, done, errTooLarge
	}
	in := http.MaxBytesReader(w, r.Body, MaxBody)
	buf := make([]byte, 0, min(max(r.ContentLength, 512), smallBody))
	for {
		if len(buf) == cap(buf) {
			grown := min(2*cap(buf), MaxBody+1)
			if more := int64(grown - cap(buf)); grown > smallBody {
				if !s.large.TryAcquire(more) {
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
