package jobs

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"sync"
	"time"

	"meetbot/bot/jobs/internal/engine"
)

// clock tells the time that instants of records are made of and compared with. The machine's
// clock may be wrong, and be set while jobs wait; this one goes on evenly. Where it differs
// from what it should show, it runs a little faster or slower until it does not.
//
// It should show the machine's time, or on a cluster the servers': so the instants of all
// replicas are of one clock.
type clock struct {
	machine func() time.Time

	mu     sync.Mutex
	shown  time.Time     // last
	read   time.Time     // when, by a clock that nobody can set
	offset time.Duration // of the cluster's clock from the machine's

	measured time.Time     // when the cluster's was seen last, as read is
	way      time.Duration // how long its answer took
	jumped   time.Duration // by how much it surprised, the most lately
	jumpedAt time.Time
}

// slower is by what part the clock runs faster or slower while it is off.
const slower = 10

func newClock(machine func() time.Time) *clock {
	return &clock{machine: machine, shown: machine().Round(0), read: time.Now()}
}

// Now returns the time.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *clock) now() time.Time {
	now := time.Now()
	passed := now.Sub(c.read)
	next := c.shown.Add(passed)
	off := c.aim().Sub(next)
	c.shown, c.read = next.Add(min(max(off, -passed/slower), passed/slower)), now
	return c.shown
}

// aim is what the clock should show.
func (c *clock) aim() time.Time { return c.machine().Round(0).Add(c.offset) }

// off is how far the clock is behind what it should show.
func (c *clock) off() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.aim().Sub(c.now())
}

// catchUp shows at once what it should, if that is later: nothing waits.
func (c *clock) catchUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if aim := c.aim(); aim.After(c.now()) {
		c.shown = aim
	}
}

// set has the clock show t.
func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown, c.read = t.Round(0), time.Now()
}

// sharp is how exactly a cluster's clock is read at best.
const sharp = 20 * time.Millisecond

// follow learns what the cluster's clock showed between two moments. The first time the
// clock shows that at once.
func (c *clock) follow(theirs, asked, answered time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	way := answered.Sub(asked)
	passed := time.Since(asked.Add(way / 2))
	off := theirs.Add(passed).Sub(c.now())
	aimed := theirs.Add(passed).Sub(c.aim()) // where the machine's was set that differs
	first := c.measured.IsZero()
	c.measured, c.way = answered, way
	if time.Since(c.jumpedAt) > time.Minute {
		c.jumped = 0
	}
	doubt := way/2 + sharp
	if aimed.Abs() > doubt {
		c.offset += aimed
	}
	switch {
	case off.Abs() <= doubt:
		return
	case first:
		c.shown = c.aim()
		return
	}
	c.jumped, c.jumpedAt = max(c.jumped, off.Abs()), time.Now()
}

// A cluster's clock that was not seen for so long is not known.
const measuredFor = 30 * time.Second

// apart is how far this clock and another replica's may be apart; false where that is not known.
func (c *clock) apart() (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.measured.IsZero() || time.Since(c.measured) > measuredFor {
		return 0, false
	}
	return time.Second + 2*c.way + 2*c.jumped, true
}

// skew is how far two replicas' clocks may be apart.
func (s *Store) skew() time.Duration {
	if c := s.cfg.clock; c != nil {
		if d, known := c.apart(); known {
			return min(d, s.cfg.ClockSkew)
		}
	}
	return s.cfg.ClockSkew
}

// Now is the clock of the store: see [Config.Now].
func (s *Store) Now() time.Time { return s.cfg.Now() }

// The clock of a store that is one process's is written down, so that the next process does not
// take instants for future ones if the machine's clock was set back meanwhile.
var clockKey = engine.JoinKey(kindMeta, "clock")

const (
	keepClockEvery = time.Minute
	// A machine's clock that is further behind was wrong before.
	believable = 26 * time.Hour
	// Then it is worth a line in the log.
	remarkable = 5 * time.Second
)

// takeClock goes on with the clock of the process before.
func (s *Store) takeClock(ctx context.Context) error {
	c := s.cfg.clock
	if c == nil || !s.engine.Exclusive() {
		return nil
	}
	e, err := s.engine.Get(ctx, clockKey)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s.clockRev = e.Rev
	b, err := s.seal.open(clockKey, nil, e.Body)
	if err != nil || len(b) != 8 {
		return nil //nolint:nilerr // not worth a stop: the machine's clock does
	}
	last := fromUnix(int64(binary.LittleEndian.Uint64(b)))
	switch back := last.Sub(c.Now()); {
	case back > believable:
		s.log.Error("machine's clock is far behind its last reading: check it, and NTP", "by", back.Round(time.Second))
	case back > 0:
		if back > remarkable {
			s.log.Warn("machine's clock was set back; the bot's own clock approaches it slowly", "by", back.Round(time.Second))
		}
		c.set(last)
	}
	return nil
}

// keepClock writes down what the clock shows.
func (s *Store) keepClock(ctx context.Context) {
	c := s.cfg.clock
	if c == nil || s.cfg.ReadOnly || !s.engine.Exclusive() {
		return
	}
	body := s.seal.seal(clockKey, nil, binary.LittleEndian.AppendUint64(nil, uint64(toUnix(c.Now()))))
	rev, err := s.engine.Put(ctx, clockKey, body, s.clockRev, 0, false)
	if err == nil {
		s.clockRev = rev
	} else if e, err := s.engine.Get(ctx, clockKey); err == nil { // an answer was lost
		s.clockRev = e.Rev
	}
}

// watchClock looks how the clock is.
func (s *Store) watchClock(ctx context.Context) {
	c := s.cfg.clock
	if c == nil {
		return
	}
	if m, ok := s.engine.(interface {
		Clock() (theirs, asked, answered time.Time)
	}); ok {
		if theirs, asked, answered := m.Clock(); !theirs.IsZero() {
			c.follow(theirs, asked, answered)
		}
	}
	if s.idle() {
		c.catchUp()
	}
	off := c.off()
	if told := off.Abs() > remarkable; told != s.clockTold {
		s.clockTold = told
		level, says := slog.LevelInfo, "bot's own clock shows the machine's time again"
		if told {
			level, says = slog.LevelWarn, "machine's clock was set; the bot's own clock approaches it slowly"
		}
		s.log.Log(ctx, level, says, "by", off.Round(time.Second))
	}
}

// idle reports whether this process has nothing under way.
func (s *Store) idle() bool {
	s.promised.mu.Lock()
	defer s.promised.mu.Unlock()
	if len(s.promised.by) > 0 {
		return false
	}
	r := s.running.Load()
	if r == nil {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.jobs) == 0
}
