// Command fakeslack is a Slack workspace in a terminal, for trying the whole set-up of
// docs/slack.md without a workspace.
//
//	go run ./bench/fakeslack
//
// It prints the variables with which a bot in another terminal connects to it, over Socket
// Mode. What is typed here, people type in the channel; what the bot posts appears as text.
// The workspace is the one that the adapter's tests run against, as strict as Slack is.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"meetbot/bot/adapters/slack/slacktest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdin, os.Stdout); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "fakeslack:", err)
		os.Exit(1)
	}
}

const (
	channel = "C0GENERAL"
	you     = "ada"

	pingEvery = 10 * time.Second // a bot that hears nothing takes the connection for lost
)

// screen is the terminal, and what stands on it. One goroutine has it.
type screen struct {
	*slacktest.Server
	out io.Writer

	shown   map[string]int // number of messages and edits that were shown, by ts
	buttons []pressable    // by their number, from 1
	opened  int            // how many forms were
	form    *form          // being filled in; nil: none is
}

// pressable is a button on the screen.
type pressable struct {
	message slacktest.Message
	button  button
}

// run serves a workspace until in ends or ctx is done.
func run(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	slack := slacktest.New(append([]string{"chat:write.public", "files:write", "app_mentions:read"}, slacktest.DefaultScopes...)...)
	defer slack.Close()
	s := &screen{Server: slack, out: out, shown: map[string]int{}}
	s.print("A Slack workspace that runs here. Start a bot in another terminal:\n\n"+
		"    export SLACK_API_URL=%s\n    export SLACK_APP_TOKEN=%s SLACK_BOT_TOKEN=%s\n    export MEET_PROVIDER=sandbox\n    go run ./cmd/bot\n\n"+
		"Waiting for the bot.", slack.APIURL(), slacktest.AppToken, slacktest.BotToken)

	lines := make(chan string)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(in); scan.Scan(); {
			select {
			case lines <- strings.TrimSpace(scan.Text()):
			case <-ctx.Done():
				return
			}
		}
	}()
	changes := make(chan struct{}, 1)
	go func() {
		for seen := [2]int{}; ; {
			if slack.Wait(ctx, func() bool { now := s.count(); changed := now != seen; seen = now; return changed }) != nil {
				return
			}
			select {
			case changes <- struct{}{}:
			default: // one is waiting already
			}
		}
	}()

	connected, typed := false, (<-chan string)(nil)
	alive := time.NewTicker(pingEvery)
	defer alive.Stop()
	for {
		select {
		case <-alive.C:
			slack.Ping()
		case <-changes:
			if !connected && slack.Connections() > 0 {
				connected, typed = true, lines // nothing is typed before
				s.print("The bot is connected. You are @%s in #general. Your ID is %s.\n\n"+
					"    /meet weekly          a command\n    2                     press button 2\n    @ben 2                press it as somebody else\n"+
					"    @meetbot meet weekly  mention the bot\n\nCtrl-D ends the workspace.", you, s.user(you))
			}
			s.update()
		case line, ok := <-typed:
			if !ok {
				return nil
			}
			s.do(ctx, line)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// count tells one state of the workspace from the next.
func (s *screen) count() [2]int {
	edits := 0
	for _, m := range s.Messages() {
		edits += 1 + m.Edits
	}
	return [2]int{edits, len(s.Views()) + 1000*min(s.Connections(), 1)}
}

func (s *screen) print(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// update shows what is new.
func (s *screen) update() {
	for _, m := range s.Messages() {
		if s.shown[m.TS] < 1+m.Edits {
			s.show(m, s.shown[m.TS] > 0)
			s.shown[m.TS] = 1 + m.Edits
		}
	}
	for _, v := range s.Views()[s.opened:] {
		s.opened++
		f, err := readForm(v)
		if err != nil {
			s.print("A form that this program can't show: %v", err)
			continue
		}
		s.form = f
		s.print("\n▣ form for @%s: %s\n  Type each value. Enter leaves a field as it is.", nameOf(v.User), f.title)
		s.ask()
	}
}

// show shows a message, as text.
func (s *screen) show(m slacktest.Message, changed bool) {
	where := "#general"
	if m.Thread != "" {
		where += ", thread"
	}
	switch {
	case strings.HasPrefix(m.Channel, "D"):
		where = "direct message to @" + nameOf(strings.TrimPrefix(m.Channel, "D"))
	case m.To != "":
		where += ", only @" + nameOf(m.To) + " sees this"
	}
	if changed {
		where += ", edited"
	}
	s.print("\n▎%s", where)
	lines, buttons := plain(m)
	for _, l := range lines {
		s.print("  %s", l)
	}
	var row []string
	for _, b := range buttons {
		s.buttons = append(s.buttons, pressable{m, b})
		row = append(row, fmt.Sprintf("[%d %s]", len(s.buttons), b.label))
	}
	if row != nil {
		s.print("  %s", strings.Join(row, " "))
	}
}

// idPrefix is what the ID of everybody here begins with, as at Slack.
const idPrefix = "U0"

// user is the ID of a person, who is here from now on.
func (s *screen) user(name string) string {
	id := idPrefix + strings.ToUpper(name)
	s.SetUser(slacktest.User{ID: id, Name: name, Locale: "en-US"})
	return id
}

func nameOf(id string) string { return strings.ToLower(strings.TrimPrefix(id, idPrefix)) }

// do does what somebody typed.
func (s *screen) do(ctx context.Context, line string) {
	if s.form != nil {
		s.fill(ctx, line)
		return
	}
	who := you
	if rest, ok := strings.CutPrefix(line, "@"); ok && !strings.HasPrefix(rest, slacktest.BotName+" ") {
		who, line, _ = strings.Cut(rest, " ")
		line = strings.TrimSpace(line)
	}
	user := s.user(who)
	number, err := strconv.Atoi(line)
	switch {
	case line == "":
	case err == nil && (number < 1 || number > len(s.buttons)):
		s.print("%d: no such button.", number)
	case err == nil:
		b := s.buttons[number-1]
		if b.button.asks != "" {
			s.print("  Slack asks here first: %s", b.button.asks)
		}
		act, err := s.Click(b.message, user, b.button.value)
		s.deliver(ctx, act, err)
	case strings.HasPrefix(line, "/"):
		command, text, _ := strings.Cut(line, " ")
		s.deliver(ctx, s.Slash(channel, user, command, text), nil)
	case strings.HasPrefix(line, "@"+slacktest.BotName+" "):
		act, _ := s.Mention(channel, "", user, "<@"+slacktest.BotUser+">"+strings.TrimPrefix(line, "@"+slacktest.BotName))
		s.deliver(ctx, act, nil)
	default:
		s.print("%q: not a command, a button's number or a mention of the bot, so the bot doesn't see it.", line)
	}
}

func (s *screen) deliver(ctx context.Context, act slacktest.Act, err error) {
	var ack slacktest.Ack
	if err == nil {
		within, cancel := context.WithTimeout(ctx, acknowledgeWithin)
		defer cancel()
		ack, err = s.Deliver(within, s.Socket(), act, 0)
	}
	switch {
	case err != nil:
		s.print("  The bot did not acknowledge this: %v", err)
	case len(ack.Payload) > 0:
		for _, fault := range faults(ack.Payload) {
			s.print("  %s", fault)
		}
	}
}
