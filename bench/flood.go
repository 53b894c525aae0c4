package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"meetbot/bot/texts"
	"meetbot/meeting/sandbox"
)

// flood is many commands at once while a provider does not answer.
func (b *bench) flood(ctx context.Context) ([]figure, error) {
	r, bot, done, err := b.bot("flood")
	if err != nil {
		return nil, err
	}
	defer done()
	if err := bot.Start(ctx); err != nil {
		return nil, err
	}
	hang := time.Duration(b.pick(60, 10)) * time.Second
	n := b.pick(10_000, 1000)
	idle := resident(bot.PID())
	answer := r.Sandbox.Fault(sandbox.Fault{Provider: sandbox.Systec, Kind: sandbox.Hang})
	began := time.Now()
	c := crowd{bot: bot, line: "flood %s --provider systec", n: n}
	t := c.send(ctx, 256)
	if t.failed > 0 {
		return nil, fmt.Errorf("%d of %d commands were not acknowledged", t.failed, n)
	}
	// Somebody else wants a meeting of the other provider, which answers.
	other := crowd{bot: bot, line: "other %s --provider tencent", first: 90_000, n: 1}
	other.send(ctx, 1)
	type wait struct {
		took time.Duration
		n    int
	}
	waited := make(chan wait, 1)
	go func() {
		took, n := other.wait(ctx, r.Slack, hang+15*time.Minute)
		waited <- wait{took, n}
	}()
	if left := hang - time.Since(began); left > 0 {
		select {
		case <-time.After(left):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	answer()
	_, reached := c.wait(ctx, r.Slack, 15*time.Minute)
	all := time.Since(began)
	beside := "never"
	if w := <-waited; w.n == 1 {
		beside = fmt.Sprintf("after %.1f s", w.took.Seconds())
	}
	text := texts.For("en")
	words := map[string]int{}
	seen := map[string]bool{}
	for _, m := range r.Slack.Messages() {
		if m.To == "" || m.Channel == "" || !strings.HasPrefix(m.To, "UCROWD") || strings.Contains(m.Text, text.T("progress")) {
			continue
		}
		for _, end := range []struct{ what, words string }{ // the first that fits: a refusal has only its sign in common with others
			{"busy", text.T("accept.busy")}, {"not confirmed", text.T("accept.not_confirmed")}, {"perhaps", text.T("unknown.title")},
			{"withdrawn as too old, with a button", text.T("stale.title")}, {"refused", "❌"},
		} {
			if strings.Contains(m.Text, end.words) && !seen[m.To] {
				seen[m.To] = true
				words[end.what]++
			}
		}
		if strings.Contains(m.Text, "is ready") && !seen[m.To] {
			seen[m.To] = true
			words["made"]++
		}
	}
	return []figure{
		{fmt.Sprintf("%d commands at once over 256 connections while the provider hangs for %v: acknowledgement", n, hang), fmt.Sprintf("all in %.1f s, p50 %s, p99 %s", t.all.Seconds(), ms(quantile(t.took, .5)), ms(quantile(t.took, .99))), "p99 < 1 s"},
		{"the same: told how it ended", fmt.Sprintf("%d, the last after %.0f s: %v", reached, all.Seconds(), words), "all"},
		{"the same: meetings made twice", fmt.Sprint(twice(r.Sandbox)), "0"},
		{"the same: a meeting of the other provider meanwhile", beside, ""},
		{"the same: most memory", fmt.Sprintf("%s (idle %s)", mib(peak(bot.PID())), mib(idle)), "bounded"},
	}, bot.Stop()
}

func twice(s *sandbox.Server) int {
	n, seen := 0, map[string]bool{}
	for _, m := range s.Meetings() {
		if seen[m.Topic] {
			n++
		}
		seen[m.Topic] = true
	}
	return n
}
