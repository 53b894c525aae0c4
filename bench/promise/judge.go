package main

import (
	"strings"

	"meetbot/bot/commands"
)

// What people are told, in the words that they read.
var (
	text     = commands.TextFor("en")
	progress = text.T("progress")
	trying   = text.T("progress.trying", "Provider", "")
	unclear  = text.T("unknown.title")
	refused  = text.T("refused.title")
	notAsSet = text.T("step.unclear")
)

// private returns what only the person of the command was shown.
func (c *command) private() []string {
	var all []string
	add := func(s string) {
		if !strings.Contains(s, progress) && !strings.Contains(s, trying) {
			all = append(all, s)
		}
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

// public returns what everybody was shown because of the command.
func (c *command) public() []string {
	var all []string
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
