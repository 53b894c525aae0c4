package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"meetbot/bench/internal/rig"
)

// point is an instant at which the bot is killed.
type point struct {
	saved string // right after this was saved, or before this of the store's own work
	// Or at a moment of the nth request of a kind.
	service, route string
	nth            int
	moment         rig.Moment
	acked          bool // or once the command is acknowledged
}

func (p point) String() string {
	switch {
	case p.acked:
		return "acknowledged"
	case p.ownWork():
		return p.saved
	case p.saved != "":
		return "saved " + p.saved
	}
	return fmt.Sprintf("%s %s #%d %s", p.service, p.route, p.nth, p.moment)
}

// ofProvider reports whether a service is a meeting provider.
func ofProvider(service string) bool {
	return service == "systec" || service == "tencent" || service == "zoom"
}

// inCall reports whether what a provider did is unknown to a bot that is killed at p.
func (p point) inCall() bool {
	return ofProvider(p.service) || strings.Contains(p.saved, ": calling")
}

// ownWork reports whether p is in the work that the store does by itself.
func (p point) ownWork() bool { return slices.Contains(rig.OwnWork(), p.saved) }

// rehearse carries a scenario out unharmed, and returns every point that it passes.
func (w *world) rehearse(ctx context.Context, s *scenario) ([]point, error) {
	c, done, err := w.stage(ctx, s)
	if err != nil {
		return nil, err
	}
	defer done()
	var mu sync.Mutex
	points := []point{{acked: true}}
	counts := map[point]int{}
	if err := os.Remove(w.trace); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	w.aim(func(r rig.Request) rig.Verdict {
		if r.Moment == rig.Done && strings.HasSuffix(r.Route, "/threads") {
			parts := strings.Split(r.Path, "/")
			c.mark(parts[len(parts)-2])
		}
		if !c.mine(r) {
			return rig.Verdict{}
		}
		mu.Lock()
		defer mu.Unlock()
		p := point{service: r.Service, route: r.Route, moment: r.Moment}
		counts[p]++
		p.nth = counts[p]
		points = append(points, p)
		return rig.Verdict{}
	})
	defer w.aim(nil)
	began := time.Now()
	if err := rig.Arm(w.armed, "", began); err != nil {
		return nil, err
	}
	if err := s.act(ctx, c); err != nil {
		return nil, err
	}
	err = c.until(ctx, "the rehearsal ends", func() bool {
		begun, ended := 0, 0
		for _, t := range w.traced() {
			switch {
			case strings.HasSuffix(t, ": accepted"):
				begun++
			case strings.HasSuffix(t, ": awaiting_approval"):
				begun-- // it will be accepted once more
			case strings.HasSuffix(t, ": done"), strings.HasSuffix(t, ": undeliverable"):
				ended++
			}
		}
		return begun > 0 && begun == ended
	})
	if err != nil {
		return nil, err
	}
	s.took = time.Since(began)
	time.Sleep(100 * time.Millisecond) // what follows from it: a card that is redrawn
	s.private, s.public = len(c.private())-c.privately, len(c.public())-c.publicly
	mu.Lock()
	defer mu.Unlock()
	seen := map[string]bool{}
	for _, t := range w.traced() {
		if !seen[t] {
			points = append(points, point{saved: t})
		}
		seen[t] = true
	}
	return points, os.Remove(w.armed)
}

// errNotTaken says that the bot did not take a step of a preparation, as it may while a node that
// has to confirm writes is away.
var errNotTaken = errors.New("not taken")

// stage makes a command and what has to be there before it. If the bot does not take all of a
// preparation, stage begins again with another command, as a person would.
func (w *world) stage(ctx context.Context, s *scenario) (c *command, done func(), err error) {
	for end := time.Now().Add(settleWithin); ; {
		if err := w.revive(ctx); err != nil { // it may have struck after it was given up
			return nil, nil, err
		}
		c = w.newCommand(s)
		if err := w.prepare(ctx, c); err == nil {
			break
		} else if !errors.Is(err, errNotTaken) || time.Now().After(end) {
			return nil, nil, err
		}
		c.abandon()
	}
	c.privately, c.publicly = len(c.private()), len(c.public())
	c.began = time.Now()
	if err := w.tracing(c.began); err != nil {
		return nil, nil, err
	}
	done = func() {}
	if s.fault != nil {
		done = w.rig.Sandbox.Fault(*s.fault)
	}
	return c, done, nil
}

// prepare does what has to be there before a command.
func (w *world) prepare(ctx context.Context, c *command) error {
	if err := w.tracing(c.began); err != nil || c.scenario.prepare == nil {
		return err
	}
	c.preparing = true
	if err := c.scenario.prepare(ctx, c); err != nil {
		return err
	}
	if c.declined() {
		return errNotTaken // of a step whose effect is there all the same
	}
	c.preparing, c.acked = false, false
	c.mark(c.meeting)
	return nil
}

// tracing lets a console trace what is saved from now on for commands since then: that is
// how to know that one was taken and that it is over, which a chat platform would be told.
func (w *world) tracing(since time.Time) error {
	if !w.console {
		return nil
	}
	if err := os.Remove(w.trace); err != nil && !os.IsNotExist(err) {
		return err
	}
	return rig.Arm(w.armed, "", since)
}

// aimed strikes when the point's request passes, which is told of all that are like it, and
// cuts its connection.
func (p point) aimed(strike func()) func() rig.Verdict {
	var passed atomic.Int64
	return func() rig.Verdict {
		if passed.Add(1) != int64(p.nth) {
			return rig.Verdict{}
		}
		strike()
		return rig.Verdict{Cut: true}
	}
}

// strike carries a scenario out and kills the bot at a point of it. It reports false if
// the point was not passed.
func (w *world) strike(ctx context.Context, s *scenario, p point) (hit bool, err error) {
	c, done, err := w.stage(ctx, s)
	if err != nil {
		return false, err
	}
	defer done()
	life := w.lives.Load()
	struck := make(chan struct{})
	strike := sync.OnceFunc(func() { w.bot.Kill(); close(struck) })
	switch {
	case p.ownWork(): // which is to meet the command
		if err := rig.Arm(w.armed, "", c.began); err != nil {
			return false, err
		}
		time.AfterFunc(rand.N(30*time.Millisecond), func() { _ = rig.Arm(w.armed, p.saved, c.began) }) // else it is not passed
	case p.saved != "":
		if err := rig.Arm(w.armed, p.saved, c.began); err != nil {
			return false, err
		}
	case !p.acked:
		pass := p.aimed(strike)
		w.aim(func(r rig.Request) rig.Verdict {
			if r.Moment == rig.Done && strings.HasSuffix(r.Route, "/threads") {
				parts := strings.Split(r.Path, "/")
				c.mark(parts[len(parts)-2])
			}
			if r.Service != p.service || r.Route != p.route || r.Moment != p.moment || !c.mine(r) {
				return rig.Verdict{}
			}
			return pass()
		})
	}
	if err := s.act(ctx, c); err != nil {
		return false, err
	}
	if p.acked {
		strike()
	}
	limit := 5 * time.Second
	if s.slow || p.ownWork() {
		limit = 90 * time.Second
	}
	over := time.After(limit)
waiting:
	for {
		select {
		case <-struck:
			hit = true
			break waiting
		case <-over:
			break waiting
		case <-time.After(2 * time.Millisecond):
			if _, err := os.Stat(w.armed); p.saved != "" && os.IsNotExist(err) {
				hit = true
				break waiting
			}
		}
	}
	w.aim(nil)
	_ = os.Remove(w.armed) // gone if it has struck
	if hit {
		c.kills++
		c.killedAt = p.String()
	}
	// A bot that kills itself needs a moment to be gone, unless it was started again
	// meanwhile for what follows.
	for end := time.Now().Add(10 * time.Second); hit && w.lives.Load() == life && time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if w.ended() {
			break
		}
	}
	return hit, w.goOn(ctx, c)
}

// goOn starts the bot again. At a console it also waits for how the command ends: only one
// is under way at a time, and so everything on the screen is about it.
func (w *world) goOn(ctx context.Context, c *command) error {
	if !w.console {
		return w.revive(ctx)
	}
	open := w.accepted() - w.over()
	if w.ended() {
		// Saved and not traced: the process was killed between the two.
		left, err := w.unfinished(ctx, true)
		if err != nil {
			return err
		}
		left = slices.DeleteFunc(left, own)
		if open = len(left); open > 0 {
			c.took()
		}
		if err := w.tracing(c.began); err != nil {
			return err
		}
	} else if err := rig.Arm(w.armed, "", c.began); err != nil {
		return err
	}
	if err := w.revive(ctx); err != nil {
		return err
	}
	_ = c.until(ctx, "the console says how it ended", func() bool { return w.over() >= open }) // else it is counted as lost
	return ctx.Err()
}

// volley lets several people ask at once and kills the bot at a random instant. At a
// console there is one.
func (w *world) volley(ctx context.Context, all []*scenario) error {
	commands := make([]*command, 6)
	if w.console {
		commands = commands[:1]
	}
	errs := make([]error, len(commands))
	var wg sync.WaitGroup
	for i := range commands {
		wg.Go(func() { commands[i], _, errs[i] = w.stage(ctx, all[rand.N(len(all))]) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	span := 250 * time.Millisecond
	if w.console {
		span = commands[0].scenario.took
	}
	for i, c := range commands {
		wg.Go(func() {
			if !w.console {
				time.Sleep(rand.N(60 * time.Millisecond))
			}
			errs[i] = c.scenario.act(ctx, c)
		})
	}
	time.Sleep(rand.N(span))
	w.bot.Kill()
	for _, c := range commands {
		c.kills++
		c.killedAt = "a random instant"
	}
	if !w.console {
		if err := w.revive(ctx); err != nil {
			return err
		}
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil || !w.console {
		return err
	}
	return w.goOn(ctx, commands[0])
}
