package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"meetbot/bench/internal/rig"
	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/texts"
	"meetbot/meeting/sandbox"
)

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
func mib(b float64) string      { return fmt.Sprintf("%.1f MiB", b/(1<<20)) }

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Clone(d)
	slices.Sort(d)
	return d[min(int(q*float64(len(d))), len(d)-1)]
}

// crowd is many people who type a command each, in channels of their own.
type crowd struct {
	bot   *rig.Bot
	line  string
	first int // number of the first person
	n     int
}

func (c crowd) user(i int) string { return fmt.Sprintf("UCROWD%d", c.first+i) }

// typed is how the commands of a crowd were taken.
type typed struct {
	took   []time.Duration
	all    time.Duration
	failed int64
}

// send sends every command over so many connections, as fast as they are taken.
func (c crowd) send(ctx context.Context, connections int) typed {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	return c.sendWith(ctx, connections, func(ctx context.Context, i int) bool { return c.one(ctx, client, i) })
}

// sendWith is send by a function of one's own, which reports whether command i was taken.
func (c crowd) sendWith(ctx context.Context, connections int, one func(ctx context.Context, i int) bool) typed {
	t := typed{took: make([]time.Duration, c.n)}
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range connections {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < c.n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				start := time.Now()
				if !one(ctx, i) {
					failed.Add(1)
				}
				t.took[i] = time.Since(start)
			}
		})
	}
	wg.Wait()
	t.all, t.failed = time.Since(began), failed.Load()
	return t
}

func (c crowd) one(ctx context.Context, client *http.Client, i int) bool {
	id := strconv.Itoa(c.first + i)
	act := c.bot.Rig.Slack.Slash("CCROWD"+id, c.user(i), "/meet", fmt.Sprintf(c.line, id))
	in := c.bot.HTTP()
	in.Client = client
	ack, err := c.bot.Rig.Slack.Deliver(ctx, in, act, 0)
	return err == nil && ack.Status == http.StatusOK
}

// acknowledge measures from a signed command on the wire to its acknowledgement, durable
// in between. The provider hangs meanwhile, so that little else goes on.
func (b *bench) acknowledge(ctx context.Context) (figures []figure, err error) {
	for _, connections := range []int{1, 16, 256} {
		r, bot, done, err := b.bot("acknowledge" + strconv.Itoa(connections))
		if err != nil {
			return nil, err
		}
		err = func() error {
			defer done()
			r.Sandbox.Fault(sandbox.Fault{Kind: sandbox.Hang})
			if err := bot.Start(ctx); err != nil {
				return err
			}
			n := b.pick(10_000, 2000)
			if connections == 1 {
				n /= 4
			}
			t := crowd{bot: bot, line: "crowd %s --provider systec", n: n}.send(ctx, connections)
			if t.failed > 0 {
				return fmt.Errorf("%d of %d commands were not acknowledged", t.failed, n)
			}
			figures = append(figures, figure{
				fmt.Sprintf("durable acknowledgements, %d connections", connections),
				fmt.Sprintf("%.0f a second, p50 %s, p99 %s", float64(n)/t.all.Seconds(), ms(quantile(t.took, .5)), ms(quantile(t.took, .99))), "p99 < 3 s, which Slack waits",
			})
			return nil
		}()
		if err != nil {
			return figures, err
		}
	}
	return figures, nil
}

// told returns whom an answer has reached, and not just word that it takes longer.
func told(s *slacktest.Server) map[string]bool {
	progress := texts.For("en").T("progress")
	all := map[string]bool{}
	for _, m := range s.Messages() {
		if m.To != "" && !strings.Contains(m.Text, progress) {
			all[m.To] = true
		}
	}
	return all
}

// wait returns once everybody of the crowd has been told something, and how long that took.
func (c crowd) wait(ctx context.Context, s *slacktest.Server, limit time.Duration) (time.Duration, int) {
	began := time.Now()
	for {
		n := 0
		reached := told(s)
		for i := range c.n {
			if reached[c.user(i)] {
				n++
			}
		}
		if n == c.n || time.Since(began) > limit || ctx.Err() != nil {
			return time.Since(began), n
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// cost measures what a whole /meet takes of the bot.
func (b *bench) cost(ctx context.Context) ([]figure, error) {
	r, bot, done, err := b.bot("cost")
	if err != nil {
		return nil, err
	}
	defer done()
	if err := bot.Start(ctx); err != nil {
		return nil, err
	}
	// Once to warm up.
	warm := crowd{bot: bot, line: "warm %s --provider systec", n: 50}
	warm.send(ctx, 4)
	if _, n := warm.wait(ctx, r.Slack, time.Minute); n < warm.n {
		return nil, fmt.Errorf("%d of %d were told", n, warm.n)
	}
	time.Sleep(time.Second)
	before, memory := cpu(bot.PID()), resident(bot.PID())
	c := crowd{bot: bot, line: "cost %s --provider systec", first: 1000, n: b.pick(2000, 400)}
	began := time.Now()
	c.send(ctx, 16)
	if _, n := c.wait(ctx, r.Slack, 5*time.Minute); n < c.n {
		return nil, fmt.Errorf("%d of %d were told", n, c.n)
	}
	took := time.Since(began)
	time.Sleep(time.Second)
	used := cpu(bot.PID()) - before
	grown := resident(bot.PID()) - memory
	return []figure{
		{"one /meet from command to last message, 4 messages: processor time", ms(used / time.Duration(c.n)), ""},
		{"the same: resident memory that stays, each", fmt.Sprintf("%.1f KiB", grown/1024/float64(c.n)), ""},
		{"the same, 16 people at once: whole meetings a second", fmt.Sprintf("%.0f", float64(c.n)/took.Seconds()), ""},
	}, bot.Stop()
}
