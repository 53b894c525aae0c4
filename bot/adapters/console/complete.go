package console

import (
	"context"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"slices"
	"strings"
	"time"
)

// completeWithin bounds what a press of the tab key waits for.
const completeWithin = 300 * time.Millisecond

// complete proposes what the word at the cursor may become: a command, a verb, an option,
// one of its values. head and tail are what stays before and after the word.
func (c *Console) complete(line string, pos int) (head string, proposals []string, tail string) {
	runes := []rune(line)
	before, tail := string(runes[:pos]), string(runes[pos:])
	start := strings.LastIndexAny(before, " \t　") + 1
	if start > 0 && strings.HasPrefix(before[start-1:], "　") {
		start += len("　") - 1
	}
	head, word := before[:start], before[start:]
	words := strings.Fields(head)
	if len(words) == 0 {
		for _, name := range commandNames() {
			proposals = append(proposals, "/"+name+" ")
		}
		return head, startingWith(proposals, word), tail
	}
	name, _, ok := command(words[0])
	if !ok {
		return head, nil, tail
	}
	verb, given := c.verbOf(name, words[1:])
	if len(words) == 1 {
		for _, d := range c.declared() {
			if d.Command == name && d.Name != "" {
				proposals = append(proposals, d.Name+" ")
			}
		}
	}
	r := c.request()
	r.Command = name
	if option, typed, equals := strings.Cut(word, "="); equals {
		return head + option + "=", startingWith(c.values(r, verb, option, typed), typed), tail
	}
	if last := words[len(words)-1]; strings.HasPrefix(last, "--") && !strings.Contains(last, "=") {
		if values := c.values(r, verb, last, word); values != nil {
			return head, startingWith(values, word), tail
		}
	}
	if strings.HasPrefix(word, "-") {
		for _, o := range verb.Options {
			if !slices.Contains(words, "--"+o.Name) {
				proposals = append(proposals, "--"+o.Name+" ")
			}
		}
		return head, startingWith(proposals, word), tail
	}
	for _, o := range verb.Options {
		if o.Position == len(given)+1 || o.List && o.Position == 1 {
			proposals = append(proposals, c.valuesOf(r, o, word)...)
		}
	}
	return head, startingWith(proposals, word), tail
}

// declared is what can be asked here.
func (c *Console) declared() []grammar.VerbDecl {
	if c.cfg.Declared == nil {
		return grammar.Declarations()
	}
	return c.cfg.Declared
}

// verbOf returns the declaration that a line means so far, and its other words that are
// no options.
func (c *Console) verbOf(name string, words []string) (grammar.VerbDecl, []string) {
	var found grammar.VerbDecl
	for _, d := range c.declared() {
		if d.Command != name {
			continue
		}
		if d.Name == "" && found.Verb == "" || len(words) > 0 && d.Name == words[0] {
			found = d
		}
	}
	if found.Name != "" {
		words = words[1:]
	}
	var given []string
	for _, w := range words {
		if !strings.HasPrefix(w, "-") {
			given = append(given, w)
		}
	}
	return found, given
}

func (c *Console) values(r chat.Request, verb grammar.VerbDecl, option, typed string) []string {
	for _, o := range verb.Options {
		if "--"+o.Name == option {
			return c.valuesOf(r, o, typed)
		}
	}
	return nil
}

func (c *Console) valuesOf(r chat.Request, o grammar.OptionDecl, typed string) []string {
	var values []string
	switch o.Kind {
	case grammar.KindChoice:
		for _, choice := range o.Choices {
			values = append(values, choice.Value+" ")
		}
	case grammar.KindMeeting, grammar.KindDest, grammar.KindAccount:
		ctx, cancel := context.WithTimeout(context.Background(), completeWithin)
		defer cancel()
		for _, choice := range c.bot.Complete(ctx, r, o.Name, typed) {
			values = append(values, plain(choice.Value)+" ")
		}
	}
	return values
}

func startingWith(all []string, prefix string) []string {
	return slices.DeleteFunc(all, func(s string) bool { return len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) })
}
