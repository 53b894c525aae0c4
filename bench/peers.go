package main

import (
	"bufio"
	"context"
	"embed"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"meetbot/bench/internal/rig"
	"meetbot/bot/adapters/slack/slacktest"
)

//go:embed peers/package.json peers/package-lock.json peers/bolt.mjs
var peerFiles embed.FS

// peer is a process that takes signed commands and answers each with one message.
type peer struct {
	to  slacktest.HTTP
	pid int
	end func()
}

// measured is one round of one of them.
type measured struct {
	persecond float64
	cost, p99 time.Duration
}

const (
	peerRounds = 3
	peerPeople = 200 // who type in turn: all are known after the warm-up
)

// peers measures three processes at the same work in turn: the least that a program in Go
// can do, Slack's own library, neither of which keeps anything, and the bot, with every
// command on disk before its acknowledgement. Each may use all processors, as does what
// they talk to.
func (b *bench) peers(ctx context.Context) (figures []figure, err error) {
	dir := filepath.Join(b.dir, "peers")
	if why := installPeers(ctx, dir); why != "" {
		return []figure{{"beside @slack/bolt", "skipped: " + why, ""}}, nil
	}
	for _, connections := range []int{16, 256} {
		rounds := map[string][]measured{}
		for range peerRounds {
			for _, name := range []string{"floor", "bolt", "bot"} {
				m, err := b.peerRound(ctx, dir, name, connections)
				if err != nil {
					return figures, fmt.Errorf("%s: %w", name, err)
				}
				rounds[name] = append(rounds[name], m)
			}
		}
		floor, bolt, bot := median(rounds["floor"]), median(rounds["bolt"]), median(rounds["bot"])
		what := func(m measured) string {
			return fmt.Sprintf("%.0f a second, %d µs each, p99 %s", m.persecond, m.cost.Microseconds(), ms(m.p99))
		}
		figures = append(figures,
			figure{fmt.Sprintf("the floor: a signed command acknowledged and answered with one message, nothing else, %d connections, median of %d", connections, peerRounds), what(floor), ""},
			figure{fmt.Sprintf("@slack/bolt at the same, %d connections", connections), what(bolt), ""},
			figure{"the bot at the same, every command on disk before its acknowledgement", what(bot), ""},
			figure{"the bot / bolt: commands a second; processor time; p99",
				fmt.Sprintf("%.2f; %.2f; %.2f", bot.persecond/bolt.persecond, float64(bot.cost)/float64(bolt.cost), float64(bot.p99)/float64(bolt.p99)),
				"≥ 2; ≤ 0.4; < 1"})
	}
	return figures, nil
}

// installPeers returns why the peers are not there.
func installPeers(ctx context.Context, dir string) string {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			return tool + " is not installed"
		}
	}
	if err := os.CopyFS(dir, peerFiles); err != nil {
		return err.Error()
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = filepath.Join(dir, "peers")
	if out, err := cmd.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Sprintf("npm ci: %v: %s", err, lines[len(lines)-1])
	}
	return ""
}

// median is of each figure by itself.
func median(all []measured) measured {
	var persecond []float64
	var cost, p99 []time.Duration
	for _, m := range all {
		persecond, cost, p99 = append(persecond, m.persecond), append(cost, m.cost), append(p99, m.p99)
	}
	slices.Sort(persecond)
	return measured{persecond[len(persecond)/2], quantile(cost, .5), quantile(p99, .5)}
}

func (b *bench) peerRound(ctx context.Context, dir, name string, connections int) (m measured, err error) {
	r, bot, done, err := b.bot(fmt.Sprintf("peers-%d-%s", time.Now().UnixNano(), name))
	if err != nil {
		return m, err
	}
	defer done()
	var p peer
	switch name {
	case "bot":
		if err := bot.Start(ctx); err != nil {
			return m, err
		}
		p = peer{bot.HTTP(), bot.PID(), func() { _ = bot.Stop() }}
	case "bolt":
		cmd := exec.CommandContext(ctx, "node", "bolt.mjs")
		cmd.Dir = filepath.Join(dir, "peers")
		p, err = startPeer(cmd, r)
	default:
		var self string
		if self, err = os.Executable(); err == nil {
			cmd := exec.CommandContext(ctx, self)
			cmd.Env = []string{floorEnv + "=1"}
			p, err = startPeer(cmd, r)
		}
	}
	if err != nil {
		return m, err
	}
	defer p.end()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	p.to.Client = client
	send := func(first, n int) (typed, error) {
		t := crowd{bot: bot, first: first, n: n}.sendWith(ctx, connections, func(ctx context.Context, i int) bool {
			ack, err := r.Slack.Deliver(ctx, p.to, r.Slack.Slash("CPEER", fmt.Sprintf("UPEER%d", i%peerPeople), "/meet", "list"), 0)
			return err == nil && ack.Status == http.StatusOK
		})
		if t.failed > 0 {
			return t, fmt.Errorf("%d of %d commands were not acknowledged", t.failed, n)
		}
		return t, until(ctx, time.Minute, func() bool { return len(r.Slack.Messages()) >= first+n })
	}
	warm := 200
	if _, err := send(0, warm); err != nil {
		return m, err
	}
	n := b.pick(6000, 1500)
	before, began := cpu(p.pid), time.Now()
	t, err := send(warm, n)
	if err != nil {
		return m, err
	}
	took := time.Since(began)
	return measured{float64(n) / took.Seconds(), (cpu(p.pid) - before) / time.Duration(n), quantile(t.took, .99)}, nil
}

// until waits for something, with a limit.
func until(ctx context.Context, limit time.Duration, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("not everybody was answered: %w", ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// startPeer starts a peer, which says on a line of its own at which port it listens.
func startPeer(cmd *exec.Cmd, r *rig.Rig) (peer, error) {
	cmd.Stderr = os.Stderr
	cmd.Env = append(append(os.Environ(), cmd.Env...),
		"SLACK_BOT_TOKEN="+slacktest.BotToken, "SLACK_SIGNING_SECRET="+slacktest.SigningSecret, "SLACK_API_URL="+r.Slack.APIURL())
	out, err := cmd.StdoutPipe()
	if err != nil {
		return peer{}, err
	}
	if err := cmd.Start(); err != nil {
		return peer{}, err
	}
	end := func() {
		_ = cmd.Process.Kill() // it keeps nothing
		_ = cmd.Wait()
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		end()
		return peer{}, fmt.Errorf("it did not start")
	}
	return peer{slacktest.HTTP{Base: "http://127.0.0.1:" + lines.Text(), Secret: slacktest.SigningSecret}, cmd.Process.Pid, end}, nil
}
