package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"meetbot/bench/internal/rig"
)

const (
	steadyRate     = 20 // commands a second
	steadyChannels = 60 // with one person each, who makes one meeting after another
)

// steady is an even traffic of /meet, as long as it takes to see whether anything grows.
func (b *bench) steady(ctx context.Context) (figures []figure, err error) {
	r, bot, done, err := b.bot("steady")
	if err != nil {
		return nil, err
	}
	defer done()
	if err := bot.Start(ctx); err != nil {
		return nil, err
	}
	minutes := b.pick(20, 2)
	s := steadily{rig: r, bot: bot, client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 8}}}
	defer s.client.CloseIdleConnections()
	var costs []time.Duration
	var highest float64
	for range minutes {
		before := cpu(bot.PID())
		if err := s.minute(ctx); err != nil {
			return nil, err
		}
		costs = append(costs, (cpu(bot.PID())-before)/(steadyRate*60))
		highest = max(highest, resident(bot.PID()))
	}
	first, last := costs[0], costs[len(costs)-1]
	return []figure{
		{fmt.Sprintf("%d /meet a second for %d minutes over %d channels: processor time each, first and last minute", steadyRate, minutes, steadyChannels),
			fmt.Sprintf("%s, %s", ms(first), ms(last)), "within a fifth"},
		{"the same: resident memory, the most", mib(highest), "≤ 100 MiB"},
		{"the same: not acknowledged", strconv.Itoa(s.failed), "0"},
		{"the same: people who were told", fmt.Sprintf("%d of %d", len(told(r.Slack)), steadyChannels), ""},
	}, bot.Stop()
}

type steadily struct {
	rig    *rig.Rig
	bot    *rig.Bot
	client *http.Client
	sent   int

	mu     sync.Mutex
	failed int
}

func (s *steadily) minute(ctx context.Context) error {
	tick := time.NewTicker(time.Second / steadyRate)
	defer tick.Stop()
	var under sync.WaitGroup
	defer under.Wait()
	for range steadyRate * 60 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		i := s.sent
		s.sent++
		under.Go(func() {
			who := strconv.Itoa(i % steadyChannels)
			in := s.bot.HTTP()
			in.Client = s.client
			ack, err := s.rig.Slack.Deliver(ctx, in, s.rig.Slack.Slash("CSTEADY"+who, "USTEADY"+who, "/meet", fmt.Sprintf("steady %d --provider systec", i)), 0)
			if err != nil || ack.Status != http.StatusOK {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.failed++
			}
		})
	}
	return nil
}
