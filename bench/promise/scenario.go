package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/meeting/sandbox"
)

const (
	onSlack   = "Slack"
	onDiscord = "Discord"
	onConsole = "Console"

	embedded  = "embedded"
	clustered = "three-node cluster"
)

// scenario is a command that is worth being killed in.
type scenario struct {
	name     string
	platform string
	// makes says that a meeting comes of it.
	makes bool
	// ends says that a meeting is ended by it.
	ends bool
	// reports says that what became of the meeting is told, once.
	reports bool
	// private and public are how many messages there are to the person and to everybody
	// when nothing goes wrong; the rehearsal counts them.
	private, public int
	took            time.Duration // the rehearsal
	// prepare does what has to be there before. Nothing is killed meanwhile. It ends with
	// errNotTaken if the bot declines a step or does not acknowledge it.
	prepare func(context.Context, *command) error
	// act is the command.
	act func(context.Context, *command) error
	// again is what a person does who hears nothing for long.
	again func(context.Context, *command) error
	// slow: its end comes only after the bot has waited for the provider's silence.
	slow bool
	// fault is what happens at the provider.
	fault *sandbox.Fault
}

func scenarios() []*scenario {
	drop := func(after bool) *sandbox.Fault {
		return &sandbox.Fault{Endpoint: sandbox.SystecInstant, Times: 1, Kind: sandbox.Drop, After: after}
	}
	return []*scenario{
		{name: "/meet", platform: onSlack, makes: true, act: slackMeet("systec")},
		{name: "@bot meet", platform: onSlack, makes: true, act: mentionMeet},
		{name: "/meet", platform: onDiscord, makes: true, act: discordMeet("systec")},
		{name: "/livepush to three", platform: onSlack, prepare: slackShow(false), act: slackPush},
		{name: "/livepush to three", platform: onDiscord, prepare: discordShow, act: discordPush},
		{name: "/livepush to three, approved", platform: onSlack, prepare: slackShow(true), act: approvedPush, again: approve},
		{name: "/livepush to three, on a board", platform: onSlack, prepare: slackBoard, act: slackPush},
		{name: "/meetings board, another one", platform: onDiscord, prepare: discordBoard, act: discordPost},
		{name: "End", platform: onSlack, ends: true, prepare: slackShow(false), act: slackEnd},
		{name: "/meetings end", platform: onDiscord, ends: true, prepare: discordShow, act: discordEnd},
		{name: "/meet, refused", platform: onSlack, act: slackLine("/meet", "%s --provider systec --capacity 500")},
		{name: "/meet settings", platform: onSlack, act: slackSettings},
		{name: "/livepush start", platform: onSlack, prepare: slackAsked, act: slackStart},
		{name: "/meet", platform: onConsole, makes: true, act: consoleMeet},
		{name: "/livepush to three", platform: onConsole, prepare: consoleShow, act: consolePush},
		{name: "End", platform: onConsole, ends: true, prepare: consoleShow, act: consoleEnd},
		{name: "/meet, the answer is lost", platform: onSlack, makes: true, act: slackMeet("systec"), slow: true, fault: drop(true)},
		{name: "what became of it", platform: onSlack, ends: true, reports: true, prepare: slackRunning, act: slackReport, slow: true},
		{name: "/meet at a named account", platform: onSlack, makes: true, act: slackLine("/meet", "%s --account school")},
		// Zoom lists no instant meetings: what was under way when the bot was killed stays unclear.
		{name: "/meet at Zoom", platform: onSlack, makes: true, act: slackMeet("zoom"), slow: true},
		{name: "/meet, the request is lost", platform: onDiscord, act: discordMeet("systec"), slow: true, fault: drop(false)},
	}
}

// setter is who may change the settings of channels.
const setter = "USETS"

// slackSettings changes what is set for the command's channel, in which nothing was.
func slackSettings(ctx context.Context, c *command) error {
	return c.slack(ctx, c.world.rig.Slack.Slash(c.channel, setter, "/meet", "settings --provider tencent --live on --record none --deny user:U"+c.id), 1)
}

// slackLine types a line; %s becomes the topic.
func slackLine(name, text string) func(context.Context, *command) error {
	return func(ctx context.Context, c *command) error {
		line := text
		if strings.Contains(text, "%s") {
			line = fmt.Sprintf(text, c.topic)
		}
		return c.slack(ctx, c.world.rig.Slack.Slash(c.channel, c.user, name, line), 1)
	}
}

func slackMeet(provider string) func(context.Context, *command) error {
	return slackLine("/meet", "%s --provider "+provider)
}

// Slack repeats an event three times: https://docs.slack.dev/apis/events-api/#retries
const eventTries = 4

func mentionMeet(ctx context.Context, c *command) error {
	act, _ := c.world.rig.Slack.Mention(c.channel, "", c.user, fmt.Sprintf("<@%s> meet %s --provider tencent", slacktest.BotUser, c.topic))
	return c.slack(ctx, act, eventTries)
}

func (c *command) where() discordtest.Where { return discordtest.InGuild(c.channel) }

func discordMeet(provider string) func(context.Context, *command) error {
	return func(ctx context.Context, c *command) error {
		return c.discord(ctx, c.world.rig.Discord.Command(c.user, c.where(), "en-US", "meet",
			discordtest.Option{Name: "topic", Value: c.topic}, discordtest.Option{Name: "provider", Value: provider}))
	}
}

// destinations are where a show goes. Their names belong to one command.
func (c *command) destinations() []string {
	return []string{"a" + c.id, "b" + c.id, "c" + c.id}
}

func (c *command) key(destination string) string { return "canary-stream-key-" + destination }

func ingest(destination string) string {
	return "rtmp://ingest-" + destination + ".example.com/live"
}

// slackShow makes a Tencent meeting and saves three destinations.
func slackShow(protected bool) func(context.Context, *command) error {
	return func(ctx context.Context, c *command) error {
		slack := c.world.rig.Slack
		if err := slackMeet("tencent")(ctx, c); err != nil {
			return err
		}
		for _, d := range c.destinations() {
			line := fmt.Sprintf("save %s --url %s --key %s --override", d, ingest(d), c.key(d))
			if protected {
				line += " --protected"
			}
			if err := c.slack(ctx, slack.Slash(c.channel, c.user, "/livepush", line), 1); err != nil {
				return err
			}
		}
		return c.until(ctx, "the show is prepared", func() bool {
			return len(c.private()) >= 2+3 && len(c.public()) >= 2 && c.findMeeting()
		})
	}
}

// slackBoard makes a show and posts a board.
func slackBoard(ctx context.Context, c *command) error {
	if err := slackShow(false)(ctx, c); err != nil {
		return err
	}
	before := len(c.private())
	if err := slackLine("/livepush", "board")(ctx, c); err != nil {
		return err
	}
	return c.until(ctx, "the board is posted", func() bool { return len(c.boards()) > 0 && len(c.private()) > before })
}

// slackAsked makes a Zoom meeting that somebody is in, sets where it is streamed to, and has the
// bot ask whether its live is to be started.
func slackAsked(ctx context.Context, c *command) error {
	slack, d := c.world.rig.Slack, c.destinations()[0]
	if err := slackMeet("zoom")(ctx, c); err != nil {
		return err
	}
	if err := c.until(ctx, "the meeting is made", func() bool { return len(c.private()) >= 1 && len(c.public()) >= 2 && c.findMeeting() }); err != nil {
		return err
	}
	if err := c.world.rig.Sandbox.Join(c.meeting, "somebody"); err != nil {
		return err
	}
	for _, step := range []struct{ line, answer string }{
		{fmt.Sprintf("save %s --url %s --key %s --override", d, ingest(d), c.key(d)), text.T("save.title", "Name", d)},
		{"to " + d + " in " + c.code, text.T("push.title", "Good", "1", "All", "1")},
		{"start " + c.code, text.T("live.start.title")},
	} {
		if err := c.slack(ctx, slack.Slash(c.channel, c.user, "/livepush", step.line), 1); err != nil {
			return err
		}
		if err := c.until(ctx, "an answer to "+step.line, func() bool { return strings.Contains(strings.Join(c.private(), ""), step.answer) }); err != nil {
			return err
		}
	}
	return c.until(ctx, "the show is prepared", func() bool { return len(c.public()) >= 3 }) // that an address was set
}

// slackStart presses the button of the question.
func slackStart(ctx context.Context, c *command) error { return c.press(ctx, "v1:golive:") }

func discordShow(ctx context.Context, c *command) error {
	discord := c.world.rig.Discord
	if err := discordMeet("tencent")(ctx, c); err != nil {
		return err
	}
	for _, d := range c.destinations() {
		err := c.discord(ctx, discord.Command(c.user, c.where(), "en-US", "destinations save",
			discordtest.Option{Name: "name", Value: d}, discordtest.Option{Name: "url", Value: ingest(d)},
			discordtest.Option{Name: "key", Value: c.key(d)}, discordtest.Option{Name: "override", Value: true}))
		if err != nil {
			return err
		}
	}
	return c.until(ctx, "the show is prepared", func() bool {
		return len(c.private()) >= 1+3 && len(c.public()) >= 2 && c.findMeeting()
	})
}

// discordBoard makes a show, pushes it and posts a board.
func discordBoard(ctx context.Context, c *command) error {
	if err := discordShow(ctx, c); err != nil {
		return err
	}
	private, public := len(c.private()), len(c.public())
	if err := discordPush(ctx, c); err != nil {
		return err
	}
	if err := c.until(ctx, "the show is pushed", func() bool { return len(c.private()) > private && len(c.public()) > public }); err != nil {
		return err
	}
	if err := discordPost(ctx, c); err != nil {
		return err
	}
	return c.until(ctx, "the board is posted", func() bool { return len(c.boards()) > 0 && len(c.private()) > private+1 })
}

func discordPost(ctx context.Context, c *command) error {
	return c.discord(ctx, c.world.rig.Discord.Command(c.user, c.where(), "en-US", "meetings board"))
}

// findMeeting looks for the meeting that was made for the command.
func (c *command) findMeeting() bool {
	for _, m := range c.world.rig.Sandbox.Meetings() {
		if m.Topic == c.topic {
			c.meeting, c.code = m.ID, m.Code
			return true
		}
	}
	return false
}

func slackPush(ctx context.Context, c *command) error {
	return slackLine("/livepush", "to "+strings.Join(c.destinations(), ",")+" in "+c.code)(ctx, c)
}

func discordPush(ctx context.Context, c *command) error {
	return c.discord(ctx, c.world.rig.Discord.Command(c.user, c.where(), "en-US", "livepush",
		discordtest.Option{Name: "to", Value: strings.Join(c.destinations(), ",")}, discordtest.Option{Name: "meeting", Value: c.code}))
}

// approvedPush asks for a protected push, and a second person agrees.
func approvedPush(ctx context.Context, c *command) error {
	if err := slackPush(ctx, c); err != nil || !c.acked {
		return err
	}
	return approve(ctx, c)
}

func approve(ctx context.Context, c *command) error {
	button, err := c.button(ctx, "v1:approve:")
	if err != nil || button == nil {
		return err
	}
	act, err := c.world.rig.Slack.Click(*button, "UAPPROVES", "v1:approve:")
	if err != nil {
		return err
	}
	if err := c.world.revive(ctx); err != nil {
		return err
	}
	return c.slack(ctx, act, 1)
}

// button waits for a message of the command's with a button; nil if none comes.
func (c *command) button(ctx context.Context, value string) (*slacktest.Message, error) {
	var found *slacktest.Message
	look := func() bool {
		for _, m := range c.world.rig.Slack.Messages() {
			if m.Channel == c.channel && strings.Contains(string(m.Blocks), value) {
				found = &m
				return true
			}
		}
		// After a kill it comes once the bot lives again.
		return c.world.revive(ctx) != nil
	}
	_ = c.until(ctx, "a button", look)
	return found, nil
}

func slackEnd(ctx context.Context, c *command) error { return c.press(ctx, "v1:endyes:") }

// slackRunning makes a Tencent meeting that the bot knows somebody to be in.
func slackRunning(ctx context.Context, c *command) error {
	if err := slackShow(false)(ctx, c); err != nil {
		return err
	}
	said := len(c.public())
	if err := slackPush(ctx, c); err != nil {
		return err
	}
	err := c.until(ctx, "the pushes are set", func() bool {
		return len(c.public()) > said && strings.Contains(strings.Join(c.private(), ""), text.T("push.title", "Good", "3", "All", "3"))
	})
	if err != nil {
		return err
	}
	if err := c.world.rig.Sandbox.Join(c.meeting, "somebody"); err != nil {
		return err
	}
	running := words("state.running")
	return c.until(ctx, "the bot sees that it runs", func() bool {
		for _, m := range c.world.rig.Slack.Messages() {
			if m.Channel == c.channel && m.To == "" && strings.Contains(string(m.Blocks), running) {
				return true
			}
		}
		return false
	})
}

// slackReport ends the meeting and waits until what became of it is told.
func slackReport(ctx context.Context, c *command) error {
	if err := slackEnd(ctx, c); err != nil || !c.acked {
		return err
	}
	_ = c.until(ctx, "the report", func() bool { return len(c.reports()) > 0 || c.world.revive(ctx) != nil }) // else it is counted as lost
	return ctx.Err()
}

// press presses the button of a message of the command's.
func (c *command) press(ctx context.Context, value string) error {
	button, err := c.button(ctx, value)
	if err != nil || button == nil {
		return fmt.Errorf("no button %s: %w", value, err)
	}
	act, err := c.world.rig.Slack.Click(*button, c.user, value)
	if err != nil {
		return err
	}
	return c.slack(ctx, act, 1)
}

// discordEnd presses End on the meeting's card, and then the button of the question.
func discordEnd(ctx context.Context, c *command) error {
	discord := c.world.rig.Discord
	for _, m := range discord.In(c.channel) {
		if id := m.Button(text.T("button.end")); id != "" {
			return c.discord(ctx, discord.Click(c.user, c.where(), m.ID, strings.Replace(id, ":end:", ":endyes:", 1)))
		}
	}
	return fmt.Errorf("no End button on %v", discord.In(c.channel))
}

func consoleMeet(ctx context.Context, c *command) error {
	return c.line(ctx, fmt.Sprintf("/meet %s --provider systec", c.topic))
}

// consoleShow makes a Tencent meeting and saves three destinations.
func consoleShow(ctx context.Context, c *command) error {
	bot := c.world.bot
	bot.Type(fmt.Sprintf("/meet %s --provider tencent", c.topic))
	for _, d := range c.destinations() {
		bot.Type(fmt.Sprintf("/livepush save %s --url %s --key %s --override", d, ingest(d), c.key(d)))
	}
	return c.until(ctx, "the show is prepared", func() bool {
		return len(c.private()) >= 1+3 && len(c.public()) >= 2 && c.world.over() >= 1+3 && c.findMeeting()
	})
}

func consolePush(ctx context.Context, c *command) error {
	return c.line(ctx, "/livepush to "+strings.Join(c.destinations(), ",")+" in "+c.code)
}

var endButton = regexp.MustCompile(`\[(\d+)\] ` + regexp.QuoteMeta(text.T("button.end")))

// consoleEnd presses the card's button by its number, and agrees in advance.
func consoleEnd(ctx context.Context, c *command) error {
	number := endButton.FindStringSubmatch(strings.Join(c.public(), "\n"))
	if number == nil {
		return fmt.Errorf("no End button in %q", c.public())
	}
	return c.line(ctx, number[1]+" yes")
}

// settleWithin bounds waiting for anything that the bot does by itself.
const settleWithin = 5 * time.Minute

func (c *command) until(ctx context.Context, what string, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	for !holds() {
		if c.preparing && c.declined() {
			return errNotTaken
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s %s %s: %s: %w\ndeclined: %t\nprivate: %q\npublic: %q\n%s", c.world.engine, c.scenario.platform, c.scenario.name, what, ctx.Err(), c.declined(), c.private(), c.public(), c.world.bot.LogTail())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}
