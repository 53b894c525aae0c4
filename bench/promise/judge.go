package main

import (
	"cmp"
	"slices"
	"strings"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/meeting"
)

// What people are told, in the words that they read.
var (
	text     = grammar.Text(chat.Kind{}, "en")
	progress = text.T("progress")
	waiting  = text.T("approval.waits.title") // said before it ends
	trying   = words("progress.trying")
	unclear  = text.T("unknown.title")
	atZoom   = text.T("live.start.unknown.title")
	notAsSet = text.T("step.unclear")
)

// refused are the words for a meeting that the provider did not create.
var refused = refusals()

func refusals() []string {
	all := []string{words("fault.said"), words("fault.said.trace"), words("fault.unlisted"), words("fault.internal"), words("fault.invalid"), words("fault.limit"), words("fault.rate"), words("fault.unavailable"), words("fault.credentials")}
	for _, r := range meeting.Reasons() {
		if id := "fault." + string(r); text.Has(id) {
			all = append(all, words(id))
		}
	}
	return all
}

// words returns the longest part of a text between the values in it.
func words(id string) string {
	return slices.MaxFunc(strings.Split(text.T(id), "<no value>"), func(a, b string) int { return cmp.Compare(len(a), len(b)) })
}

func refuses(s string) bool {
	return slices.ContainsFunc(refused, func(words string) bool { return strings.Contains(s, words) })
}

// private returns what only the person of the command was shown about how it ends.
func (c *command) private() []string {
	reminder := text.T("remind.title", "Topic", c.topic) // comes later, to a meeting that nobody joins
	return slices.DeleteFunc(c.everything(), func(s string) bool {
		return strings.Contains(s, progress) || strings.Contains(s, trying) || strings.Contains(s, waiting) || strings.Contains(s, reminder) || declines(s)
	})
}

// notTaken are the words for a command that is perhaps, or certainly, not carried out: nothing is
// promised then, although the platform is told that it arrived.
var notTaken = []string{
	text.T("accept.not_confirmed"), text.T("accept.full"), text.T("accept.busy"), text.T("accept.stopping"), text.T("accept.internal"),
}

func declines(s string) bool {
	return slices.ContainsFunc(notTaken, func(words string) bool { return strings.Contains(s, words) })
}

// declined reports whether the person was told at once that the command was not taken.
func (c *command) declined() bool { return slices.ContainsFunc(c.everything(), declines) }

// boards returns the messages of the command's channel that are, or were, boards.
func (c *command) boards() []string {
	var all []string
	for _, m := range c.world.rig.Slack.Messages() {
		if m.Channel == c.channel && m.To == "" {
			all = append(all, m.Text+"\n"+string(m.Blocks))
		}
	}
	for _, m := range c.world.rig.Discord.In(c.channel) {
		all = append(all, m.Text())
	}
	return slices.DeleteFunc(all, func(s string) bool {
		return !strings.Contains(s, text.T("board.title")) && !strings.Contains(s, text.T("board.replaced"))
	})
}

// everything returns all that only the person was shown.
func (c *command) everything() []string {
	var all []string
	add := func(s string) { all = append(all, s) }
	if c.world.console {
		private, _ := c.screen()
		for _, s := range private {
			add(s)
		}
		return all
	}
	if c.scenario.platform == onDiscord {
		for _, m := range c.world.rig.Discord.For(c.user) {
			if !m.Loading() {
				add(m.Text())
			}
		}
		return all
	}
	for _, m := range c.world.rig.Slack.Messages() {
		if m.Channel == c.channel && m.To != "" || m.Channel == "D"+c.user {
			add(m.Text + "\n" + string(m.Blocks))
		}
	}
	return all
}

// reports are the messages that say what became of the command's meeting.
func (c *command) reports() []string {
	return slices.DeleteFunc(c.shownAll(), func(s string) bool { return !reported(s) })
}

// reported reports whether a message says what became of a meeting: it comes by itself.
func reported(s string) bool { return strings.Contains(s, words("report.title")) }

// public returns what everybody was shown because of the command.
func (c *command) public() []string { return slices.DeleteFunc(c.shownAll(), reported) }

// shownAll returns all that everybody was shown.
func (c *command) shownAll() []string {
	var all []string
	if c.world.console {
		_, all = c.screen()
		return all
	}
	if c.scenario.platform == onDiscord {
		d := c.world.rig.Discord
		for _, m := range d.In(c.channel) {
			if m.User == "" && !m.Loading() {
				all = append(all, m.Text())
			}
		}
		for _, t := range d.Threads(c.channel) {
			for _, m := range d.In(t.ID) {
				all = append(all, m.Text())
			}
		}
		return all
	}
	for _, m := range c.world.rig.Slack.Messages() {
		if m.Channel == c.channel && m.To == "" {
			all = append(all, m.Text)
		}
	}
	return all
}

// screen reads what a console showed since the command was typed: the messages to the
// person, and those to everybody. That a message changed is none.
func (c *command) screen() (private, public []string) {
	shown := c.world.bot.Screen().Text(c.from)
	if c.to > 0 {
		shown = shown[:c.to-c.from]
	}
	var here *[]string
	begin := func(kind *[]string) {
		if here = kind; kind != nil {
			*kind = append(*kind, "")
		}
	}
	for line := range strings.SplitSeq(shown, "\n") {
		switch {
		case strings.HasPrefix(line, "◇ "):
			begin(&private)
		case strings.HasPrefix(line, "#console"), strings.HasPrefix(line, "╰─ "):
			begin(&public)
		case strings.HasPrefix(line, "↻ "), strings.HasPrefix(line, "› "):
			begin(nil)
		case here != nil:
			if text := strings.Trim(line, " │┊"); text != "" {
				(*here)[len(*here)-1] += text + " "
			}
		}
	}
	return private, public
}
