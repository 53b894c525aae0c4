package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"meetbot/bot/adapters/slack/slacktest"
)

// acknowledgeWithin is how long Slack waits for an acknowledgement.
const acknowledgeWithin = 3 * time.Second

type text struct{ Text string }

type button struct {
	label, value string
	asks         string // what Slack asks before it sends the click
}

// plain is a message as lines of text, and its buttons.
func plain(m slacktest.Message) (lines []string, buttons []button) {
	type element struct {
		Type, URL, Value string
		Text             json.RawMessage // an object in a button, else a string
		Elements         []struct{ Text, URL string }
		Confirm          *struct{ Title text }
	}
	var blocks []struct {
		Type     string
		Text     *text
		Fields   []text
		Elements []element
	}
	if m.File != "" {
		return []string{strings.TrimSpace(m.Text + " (an image)")}, nil
	}
	if json.Unmarshal(m.Blocks, &blocks) != nil {
		return strings.Split(unmark(m.Text), "\n"), nil
	}
	add := func(s string) { lines = append(lines, strings.Split(unmark(s), "\n")...) }
	for _, b := range blocks {
		if b.Text != nil {
			add(b.Text.Text)
		}
		for pair := range slices.Chunk(b.Fields, 2) {
			var cells []string
			for _, f := range pair {
				cells = append(cells, strings.ReplaceAll(unmark(f.Text), "\n", ": "))
			}
			lines = append(lines, strings.Join(cells, "   "))
		}
		for _, e := range b.Elements {
			var label string
			var object text
			if json.Unmarshal(e.Text, &object) == nil {
				label = object.Text
			} else {
				_ = json.Unmarshal(e.Text, &label)
			}
			switch {
			case e.Type == "button" && e.URL != "":
				add(label + ": " + e.URL)
			case e.Type == "button":
				pressed := button{label: label, value: e.Value}
				if e.Confirm != nil {
					pressed.asks = e.Confirm.Title.Text
				}
				buttons = append(buttons, pressed)
			case e.Elements != nil: // of a rich text
				var line strings.Builder
				for _, part := range e.Elements {
					line.WriteString(part.Text)
					if part.URL != "" && part.URL != part.Text {
						line.WriteString(" " + part.URL)
					}
				}
				lines = append(lines, line.String())
			default:
				add(label)
			}
		}
	}
	return lines, buttons
}

var (
	// https://docs.slack.dev/messaging/formatting-message-text
	date    = regexp.MustCompile(`<!date\^(\d+)\^[^>]*>`)
	person  = regexp.MustCompile(`<@(\w+)>`)
	link    = regexp.MustCompile(`<([^|>]+)\|([^>]+)>`)
	bare    = regexp.MustCompile(`<([^|>]+)>`)
	bold    = regexp.MustCompile(`\*([^*\n]+)\*`)
	plainer = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&", "`", "")
)

// unmark writes Slack's markup as text.
func unmark(s string) string {
	s = date.ReplaceAllStringFunc(s, func(m string) string {
		seconds, _ := strconv.ParseInt(date.FindStringSubmatch(m)[1], 10, 64)
		return time.Unix(seconds, 0).Format("15:04")
	})
	s = person.ReplaceAllStringFunc(s, func(m string) string { return "@" + nameOf(m[2:len(m)-1]) })
	s = link.ReplaceAllString(s, "$2 $1")
	s = bare.ReplaceAllString(s, "$1")
	return plainer.Replace(bold.ReplaceAllString(s, "$1"))
}

// form is one that is being filled in, field by field.
type form struct {
	view   slacktest.View
	title  string
	fields []field
	values map[string]string
}

type field struct {
	id, label string
	choices   []string
}

func readForm(v slacktest.View) (*form, error) {
	var in struct {
		Title  text
		Blocks []struct {
			Type    string
			BlockID string `json:"block_id"`
			Label   text
			Element struct {
				Options []struct{ Value string }
			}
		}
	}
	if err := json.Unmarshal(v.Payload, &in); err != nil {
		return nil, err
	}
	f := &form{view: v, title: in.Title.Text, values: map[string]string{}}
	for _, b := range in.Blocks {
		if b.Type != "input" {
			continue
		}
		one := field{id: b.BlockID, label: b.Label.Text}
		for _, o := range b.Element.Options {
			one.choices = append(one.choices, o.Value)
		}
		f.fields = append(f.fields, one)
	}
	return f, nil
}

// ask asks for the next field.
func (s *screen) ask() {
	next := s.form.fields[0]
	if next.choices != nil {
		s.print("  %s (%s):", next.label, strings.Join(next.choices, ", "))
		return
	}
	s.print("  %s:", next.label)
}

// fill takes the value of the field that was asked for, and sends the form after the last.
func (s *screen) fill(ctx context.Context, value string) {
	f := s.form
	if value != "" {
		f.values[f.fields[0].id] = value
	}
	if f.fields = f.fields[1:]; len(f.fields) > 0 {
		s.ask()
		return
	}
	s.form = nil
	act, err := s.Submit(f.view, f.view.User, f.values)
	s.deliver(ctx, act, err)
}

// faults are the fields that the bot did not accept, in an acknowledgement of a form.
func faults(payload []byte) (all []string) {
	var in struct{ Errors map[string]string }
	if json.Unmarshal(payload, &in) != nil {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(in.Errors)) {
		all = append(all, fmt.Sprintf("%s: %s", id, in.Errors[id]))
	}
	if all != nil {
		all = append(all, "The form is closed here; open it again.")
	}
	return all
}
