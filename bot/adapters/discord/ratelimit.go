package discord

import (
	"context"
	"encoding/json"
	"math"
	"meetbot/bot/chat"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiter holds calls back as Discord's answers say. It never sleeps longer than
// [maxRateWait] and never beyond its context: a longer pause is a *[chat.RetryAfter].
//
// https://docs.discord.com/developers/topics/rate-limits
type limiter struct {
	now     func() time.Time
	waited  func(time.Duration)
	refused func() // the bot's token was refused; called once
	global  *rate.Limiter

	mu      sync.Mutex
	dead    bool              // the bot's token was refused
	hold    time.Time         // no call with the bot's token before
	names   map[string]string // route to the bucket that Discord names
	buckets map[string]*bucket
	invalid [invalidSlots]slot // invalid requests, by minute
}

type bucket struct {
	remaining int
	reset     time.Time
}

const maxBucketName = 128

const invalidSlots = int(invalidWindow / time.Minute)

type slot struct {
	minute int64
	count  int
}

func newLimiter(now func() time.Time, waited func(time.Duration), refused func()) *limiter {
	return &limiter{
		now: now, waited: waited, refused: refused, global: rate.NewLimiter(globalRate, globalRate),
		names: map[string]string{}, buckets: map[string]*bucket{},
	}
}

// wait returns when c may be made.
func (l *limiter) wait(ctx context.Context, c call) error {
	for {
		pause, err := l.reserve(c)
		if err != nil {
			return err
		}
		if pause == 0 {
			return nil
		}
		if l.waited != nil {
			l.waited(pause)
		}
		if deadline, ok := ctx.Deadline(); pause > maxRateWait || ok && time.Until(deadline) < pause {
			return &chat.RetryAfter{After: pause, Err: errRateLimited}
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
	}
}

// reserve takes one call out of its buckets, or says how long there is none.
func (l *limiter) reserve(c call) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if !c.Interaction {
		if l.dead {
			return 0, ErrTokenRefused
		}
		if l.hold.After(now) {
			return l.hold.Sub(now), nil
		}
	}
	// The ban is of the address, whoever's token it was.
	if n := l.invalidRequests(now); n >= maxInvalid && !c.Interaction || n >= maxInvalidAtAll {
		return time.Minute, nil
	}
	b := l.buckets[l.bucket(c)]
	if b != nil && b.reset.After(now) {
		if b.remaining <= 0 {
			return b.reset.Sub(now), nil
		}
		b.remaining--
	}
	if !c.Interaction {
		if r := l.global.ReserveN(now, 1); r.DelayFrom(now) > 0 {
			pause := r.DelayFrom(now)
			r.CancelAt(now)
			return pause, nil
		}
	}
	return 0, nil
}

func (l *limiter) bucket(c call) string { return l.names[c.name()] + "|" + c.Major }

// answered learns from an answer. It returns a *[chat.RetryAfter] for a 429.
func (l *limiter) answered(c call, resp *http.Response, body []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.learn(c, resp.Header, now)
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		if resp.Header.Get("X-RateLimit-Scope") != "shared" {
			l.countInvalid(now)
		}
		pause, global := retryAfter(resp.Header, body)
		if global && !c.Interaction {
			l.hold = later(l.hold, now.Add(pause))
		} else if b := l.buckets[l.bucket(c)]; b != nil {
			b.remaining, b.reset = 0, later(b.reset, now.Add(pause))
		} else {
			l.buckets[l.bucket(c)] = &bucket{reset: now.Add(pause)}
		}
		return &chat.RetryAfter{After: pause, Err: newAPIError(c.name(), resp.StatusCode, body)}
	case http.StatusUnauthorized, http.StatusForbidden:
		l.countInvalid(now)
	}
	return nil
}

// refuse lets no further call with the bot's token through.
func (l *limiter) refuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.dead {
		l.dead = true
		l.refused()
	}
}

func (l *limiter) learn(c call, h http.Header, now time.Time) {
	name := h.Get("X-RateLimit-Bucket")
	remaining, err := strconv.Atoi(h.Get("X-RateLimit-Remaining"))
	after, err2 := strconv.ParseFloat(h.Get("X-RateLimit-Reset-After"), 64)
	if name == "" || len(name) > maxBucketName || err != nil || err2 != nil {
		return
	}
	l.names[c.name()] = name
	if len(l.buckets) > 1000 {
		for k, b := range l.buckets {
			if b.reset.Before(now) {
				delete(l.buckets, k)
			}
		}
	}
	reset := now.Add(seconds(after))
	b := l.buckets[l.bucket(c)]
	if b == nil || !b.reset.After(now) {
		l.buckets[l.bucket(c)] = &bucket{remaining, reset}
		return
	}
	// Answers overtake one another; the smaller number is the later one.
	b.remaining, b.reset = min(b.remaining, remaining), later(b.reset, reset)
}

func retryAfter(h http.Header, body []byte) (time.Duration, bool) {
	var answer struct {
		RetryAfter float64 `json:"retry_after"`
		Global     bool    `json:"global"`
	}
	_ = json.Unmarshal(body, &answer) // a proxy answers HTML
	if v := h.Get("Retry-After"); v != "" && answer.RetryAfter == 0 {
		answer.RetryAfter, _ = strconv.ParseFloat(v, 64)
	}
	d := seconds(answer.RetryAfter)
	if d <= 0 {
		d = defaultRetryAfter
	}
	return d, answer.Global || h.Get("X-RateLimit-Global") != ""
}

func seconds(f float64) time.Duration {
	if math.IsNaN(f) || f < 0 {
		return 0
	}
	return time.Duration(min(f, 86400) * float64(time.Second))
}

func (l *limiter) countInvalid(now time.Time) {
	minute := now.Unix() / 60
	s := &l.invalid[minute%int64(invalidSlots)]
	if s.minute != minute {
		*s = slot{minute: minute}
	}
	s.count++
}

func (l *limiter) invalidRequests(now time.Time) int {
	n := 0
	for _, s := range l.invalid {
		if now.Unix()/60-s.minute < int64(invalidSlots) {
			n += s.count
		}
	}
	return n
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

type rateLimitedError struct{}

func (rateLimitedError) Error() string { return "rate limited" }

var errRateLimited = rateLimitedError{}
