package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"meetbot/bench/internal/rig"
	"meetbot/bot/jobs"
)

// stored measures a bot that remembers many meetings.
func (b *bench) stored(ctx context.Context) ([]figure, error) {
	r, bot, done, err := b.bot("stored")
	if err != nil {
		return nil, err
	}
	defer done()
	if err := bot.Start(ctx); err != nil {
		return nil, err
	}
	made := crowd{bot: bot, line: "stored %s --provider systec", n: 50}
	made.send(ctx, 8)
	if _, n := made.wait(ctx, r.Slack, time.Minute); n < made.n {
		return nil, fmt.Errorf("%d of %d were told", n, made.n)
	}
	few, err := lookUps(ctx, r, bot, 10_000)
	if err != nil {
		return nil, err
	}
	if err := bot.Stop(); err != nil {
		return nil, err
	}
	n := b.pick(100_000, 5000)
	size, err := multiply(ctx, bot.DataDir(), n)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := bot.Start(ctx); err != nil {
		return nil, err
	}
	start := time.Since(began)
	many, err := lookUps(ctx, r, bot, 20_000)
	if err != nil {
		return nil, err
	}
	return []figure{
		{"find a meeting by its number and answer, 50 stored meetings, p50", ms(quantile(few, .5)), ""},
		{fmt.Sprintf("the same with %d", n), ms(quantile(many, .5)), "flat"},
		{fmt.Sprintf("from start to ready with %d stored meetings (%s on disk)", n, mib(size)), ms(start), "< 1 s"},
		{"the same: resident memory", mib(resident(bot.PID())), ""},
	}, bot.Stop()
}

// lookUpsMade is how many look-ups the median is of: enough that most come after what the store
// does in its first second, counting its records and merging what was just written.
const lookUpsMade = 300

// lookUps asks for meetings by their numbers, one after another, and returns how long it
// took from the command to the answer.
func lookUps(ctx context.Context, r *rig.Rig, bot *rig.Bot, first int) ([]time.Duration, error) {
	all := r.Sandbox.Meetings()
	var took []time.Duration
	for i := range lookUpsMade {
		m := all[i%len(all)]
		began := time.Now()
		c := crowd{bot: bot, line: "end " + m.Code + "%.0s", first: first + i, n: 1}
		c.send(ctx, 1)
		err := r.Slack.Wait(ctx, func() bool { return told(r.Slack)[c.user(0)] })
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

// multiply stores copies of what the bot remembers of one meeting, under other numbers,
// until there are n, all in one channel, and returns how large the store is.
func multiply(ctx context.Context, dir string, n int) (size float64, err error) {
	s, err := jobs.Open(ctx, jobs.Config{Dir: dir})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	meetings, err := s.Docs(ctx, 1, "meeting")
	if err != nil || len(meetings) == 0 {
		return 0, fmt.Errorf("no meeting is stored: %w", err)
	}
	_, id, _ := bytes.Cut([]byte(meetings[0].Key[1]), []byte(":"))
	var templates []jobs.Doc
	for _, kind := range []string{"meeting", "code", "here", "join"} {
		docs, err := s.Docs(ctx, 0, kind)
		if err != nil {
			return 0, err
		}
		for _, d := range docs {
			if bytes.HasSuffix([]byte(d.Key[len(d.Key)-1]), id) {
				templates = append(templates, d)
			}
		}
	}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				other := fmt.Appendf(nil, "%0*d", len(id), i)
				for _, d := range templates {
					copied := jobs.Doc{Value: bytes.ReplaceAll(d.Value, id, other), Expires: d.Expires}
					for k, segment := range d.Key {
						if k == 1 && (d.Key[0] == "code" || d.Key[0] == "join") {
							segment += string(other)
						}
						copied.Key = append(copied.Key, string(bytes.ReplaceAll([]byte(segment), id, other)))
					}
					if _, err := s.PutDoc(ctx, copied); err != nil {
						failed.Store(&err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += float64(info.Size())
		}
		return err
	})
	return size, err
}
