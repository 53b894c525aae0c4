package jobs

// This file is put into the package when the bot is built to be killed. It is not part of
// the bot.

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"meetbot/bot/jobs/internal/engine"
)

// write saves, and then looks whether this is the place to die.
func (s *Store) write(ctx context.Context, key string, j *Job, expect uint64, held bool) error {
	err := s.save(ctx, key, j, expect, held)
	if err != nil {
		return err
	}
	here := fmt.Sprintf("%s: %s", j.Label, j.State)
	switch j.State {
	case Calling, Called, Refused, Unknown:
		here += fmt.Sprintf(" %d", j.Call+1)
		if j.State == Calling && j.phase == phaseLookup {
			here += ", to be looked up"
		}
	case Delivering:
		here += fmt.Sprintf(" %d", j.Delivery+1)
	}
	passed(func(since time.Time) string {
		if j.Created.Before(since) {
			return ""
		}
		return here
	})
	return nil
}

// PutDoc saves, and then looks likewise, if it is of an installation.
func (s *Store) PutDoc(ctx context.Context, d Doc) (uint64, error) {
	rev, err := s.putDoc(ctx, d)
	if err == nil {
		changed("saved", d.Key)
	}
	return rev, err
}

// DeleteDoc deletes, and then looks likewise.
func (s *Store) DeleteDoc(ctx context.Context, rev uint64, key ...string) error {
	err := s.deleteDoc(ctx, rev, key...)
	if err == nil {
		changed("removed", key)
	}
	return err
}

// installed counts the changes of each document of an installation since the bot was armed.
var installed struct {
	sync.Mutex
	since time.Time
	n     map[string]int
}

func changed(how string, key []string) {
	if !strings.HasPrefix(key[0], "install") {
		return
	}
	passed(func(since time.Time) string {
		installed.Lock()
		defer installed.Unlock()
		if !installed.since.Equal(since) {
			installed.since, installed.n = since, map[string]int{}
		}
		if key[0] != "install" { // what it was begun with
			return key[0] + ": " + how
		}
		here := "install " + key[len(key)-1] + ": " + how
		installed.n[here]++
		return fmt.Sprintf("%s %d", here, installed.n[here])
	})
}

// passed notes where the process is, and kills it if that is the place.
func passed(where func(since time.Time) string) {
	since, point, armed := engine.Armed()
	if !armed {
		return
	}
	here := where(since)
	if here == "" {
		return
	}
	if f, err := os.OpenFile(os.Getenv("PROMISE_TRACE"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
		_, _ = fmt.Fprintln(f, here)
		_ = f.Close()
	}
	if here == point {
		engine.Die()
	}
}
