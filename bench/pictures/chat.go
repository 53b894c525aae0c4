package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// posted is a message of either platform, as far as it is drawn.
type posted struct {
	note   string // over it: who alone sees it
	accent string // colour of the bar at its side
	parts  []part
}

// part is one of: a text, a table of two columns, buttons, a rule.
type part struct {
	runs    []run
	size    float64
	cells   [][]run
	buttons []button
	fixed   bool // text as it is, to be copied
	rule    bool
}

type button struct {
	label           string
	primary, danger bool
	link            bool
}

// steady replaces what is another each time: addresses, numbers, times, fingerprints.
func steady(s string) string {
	for _, r := range unsteady {
		s = r.what.ReplaceAllString(s, r.with)
	}
	return s
}

var unsteady = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`http://127\.0\.0\.1:\d+/dm/[\w-]+`), "https://meeting.tencent.com/dm/Vbyc21prFB7U"},
	{regexp.MustCompile(`http://127\.0\.0\.1:\d+/l/[\w-]+`), "https://meeting.tencent.com/l/p_UCkFa1RW"},
	{regexp.MustCompile(`https?://127\.0\.0\.1:\d+`), "https://bot.example.com"},
	{regexp.MustCompile(`\b\d{3}([- ])\d{3}([- ])\d{3}\b`), "806${1}146${2}667"},
	{regexp.MustCompile(`\b\d\d:\d\d( [A-Z]{3,4})?\b`), "20:15"},
	{regexp.MustCompile(`\b(?:9|10) (min|分钟)`), "10 $1"},
	{regexp.MustCompile(`\b[0-9a-f]{12}\b`), "8fe6f2063e93"},
	{regexp.MustCompile(`\b[0-9a-f]{4} [0-9a-f]{4} [0-9a-f]{4}\b`), "8fe6 f206 3e93"},
	{regexp.MustCompile(`\b\d{6}\b`), "819612"},
	{regexp.MustCompile(`/k/[\w-]{10,}`), "/k/Zk3vX9"},
}

// slackPost reads the blocks of a Slack message.
func slackPost(raw json.RawMessage, l language, private bool) (posted, error) {
	type text struct {
		Type, Text string
		Emoji      bool
	}
	type rich struct {
		Type, Text, URL string
		Style           struct{ Bold bool }
		Elements        []struct {
			Type, Text, URL string
			Style           struct{ Bold bool }
		}
	}
	var blocks []struct {
		Type     string
		Text     *text
		Fields   []text
		Elements []json.RawMessage
	}
	if err := json.Unmarshal(raw, &blocks); err != nil {
		return posted{}, err
	}
	var p posted
	if private {
		p.note = l.only
	}
	for _, b := range blocks {
		switch b.Type {
		case "section":
			if b.Text != nil {
				p.parts = append(p.parts, slackText(b.Text.Text, l)...)
			}
			if b.Fields != nil {
				cells := part{}
				for _, f := range b.Fields {
					cells.cells = append(cells.cells, mrkdwn(f.Text, l))
				}
				p.parts = append(p.parts, cells)
			}
		case "header":
			p.parts = append(p.parts, part{runs: []run{{text: steady(b.Text.Text), bold: true}}, size: 18})
		case "divider":
			p.parts = append(p.parts, part{rule: true})
		case "rich_text":
			var runs []run
			for _, e := range b.Elements {
				var section rich
				if err := json.Unmarshal(e, &section); err != nil {
					return p, err
				}
				for _, e := range section.Elements {
					if e.URL != "" && e.Text == "" {
						e.Text = e.URL
					}
					runs = append(runs, run{text: steady(e.Text), bold: e.Style.Bold, linked: e.URL != ""})
				}
			}
			p.parts = append(p.parts, part{runs: runs})
		case "context":
			for _, e := range b.Elements {
				var t text
				if err := json.Unmarshal(e, &t); err != nil {
					return p, err
				}
				runs := mrkdwn(t.Text, l)
				for i := range runs {
					runs[i].quiet = true
				}
				p.parts = append(p.parts, part{runs: runs, size: 13})
			}
		case "actions":
			row := part{}
			for _, e := range b.Elements {
				var b struct {
					Text  text
					Style string
				}
				if err := json.Unmarshal(e, &b); err != nil {
					return p, err
				}
				row.buttons = append(row.buttons, button{label: b.Text.Text, primary: b.Style == "primary", danger: b.Style == "danger"})
			}
			p.parts = append(p.parts, row)
		default:
			return p, fmt.Errorf("a block of type %q is not drawn yet", b.Type)
		}
	}
	return p, nil
}

// slackText is a section's text; what is between ``` is to be copied as it is.
func slackText(s string, l language) (all []part) {
	for i, piece := range strings.Split(s, "```") {
		piece = strings.Trim(piece, "\n")
		switch {
		case piece == "":
		case i%2 == 1:
			all = append(all, part{runs: []run{{text: steady(unescape.Replace(piece)), code: true}}, fixed: true, size: 12})
		default:
			all = append(all, part{runs: mrkdwn(piece, l)})
		}
	}
	return all
}

var (
	unescape = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")
	// https://docs.slack.dev/messaging/formatting-message-text
	slackMark = regexp.MustCompile("\\*[^*\n]+\\*|`[^`\n]+`|<[^>]+>")
	slackDate = regexp.MustCompile(`^!date\^\d+\^[^|]*\|`)
)

// mrkdwn reads Slack's markup.
func mrkdwn(s string, l language) []run {
	return marked(s, slackMark, func(m string) run {
		body := m[1 : len(m)-1]
		switch {
		case m[0] == '*':
			return run{text: unescape.Replace(body), bold: true}
		case m[0] == '`':
			return run{text: unescape.Replace(body), code: true}
		case slackDate.MatchString(body):
			return run{text: "20:15"}
		case strings.HasPrefix(body, "@"):
			return run{text: "@" + l.people(body[1:]), linked: true}
		}
		address, label, named := strings.Cut(body, "|")
		if !named {
			label = address
		}
		return run{text: unescape.Replace(label), linked: true}
	}, unescape.Replace)
}

// marked splits a text into what is marked up and what is not.
func marked(s string, mark *regexp.Regexp, read func(string) run, plain func(string) string) (runs []run) {
	from := 0
	for _, at := range mark.FindAllStringIndex(s, -1) {
		runs = append(runs, run{text: steady(plain(s[from:at[0]]))})
		r := read(s[at[0]:at[1]])
		r.text = steady(r.text)
		runs = append(runs, r)
		from = at[1]
	}
	return append(runs, run{text: steady(plain(s[from:]))})
}

// people says what somebody with this ID is called.
func (l language) people(id string) string {
	switch id {
	case ada, dada:
		return l.person
	case bo:
		return "Bo"
	}
	return id
}

// discordPost reads the components of a Discord message.
func discordPost(raw json.RawMessage, l language, private bool) (posted, error) {
	type component struct {
		Type       int
		Accent     *int `json:"accent_color"`
		Content    string
		Label      string
		Style      int
		Components []component
	}
	var body struct{ Components []component }
	if err := json.Unmarshal(raw, &body); err != nil {
		return posted{}, err
	}
	var p posted
	if private {
		p.note = l.onlyDiscord
	}
	var walk func([]component) error
	walk = func(all []component) error {
		for _, c := range all {
			switch c.Type {
			case 17: // container
				if c.Accent != nil {
					p.accent = fmt.Sprintf("#%06x", *c.Accent)
				}
				if err := walk(c.Components); err != nil {
					return err
				}
			case 10: // text
				p.parts = append(p.parts, discordText(c.Content, l)...)
			case 14:
				p.parts = append(p.parts, part{rule: true})
			case 1: // a row of buttons
				row := part{}
				for _, b := range c.Components {
					row.buttons = append(row.buttons, button{label: b.Label, primary: b.Style == 1, danger: b.Style == 4, link: b.Style == 5})
				}
				p.parts = append(p.parts, row)
			default:
				return fmt.Errorf("a component of type %d is not drawn yet", c.Type)
			}
		}
		return nil
	}
	return p, walk(body.Components)
}

// https://docs.discord.com/developers/reference#message-formatting
var (
	discordMark   = regexp.MustCompile("\\*\\*(?:[^*\\\\]|\\\\.)+\\*\\*|`[^`\n]+`|<(?:@|t:)[^>]+>|https?://[^\\s)]+")
	discordEscape = regexp.MustCompile(`\\([[:punct:]])`)
)

// discordText reads Discord's markup, a line at a time, for headings and small print.
func discordText(s string, l language) (all []part) {
	plain := func(s string) string { return discordEscape.ReplaceAllString(s, "$1") }
	var fixed []string
	inside := false
	for line := range strings.SplitSeq(s, "\n") {
		if strings.HasPrefix(line, "```") {
			if inside {
				all = append(all, part{runs: []run{{text: steady(strings.Join(fixed, "\n")), code: true}}, fixed: true, size: 12})
				fixed = nil
			}
			inside = !inside
			continue
		}
		if inside {
			fixed = append(fixed, line)
			continue
		}
		p := part{}
		heading, small := false, false
		if rest, ok := strings.CutPrefix(line, "### "); ok {
			line, heading, p.size = rest, true, 17
		} else if rest, ok := strings.CutPrefix(line, "-# "); ok {
			line, small, p.size = rest, true, 13
		}
		p.runs = marked(line, discordMark, func(m string) run {
			switch {
			case strings.HasPrefix(m, "**"):
				return run{text: plain(m[2 : len(m)-2]), bold: true}
			case m[0] == '`':
				return run{text: m[1 : len(m)-1], code: true}
			case strings.HasPrefix(m, "<t:"):
				return run{text: "20:15"}
			case m[0] == '<':
				return run{text: "@" + l.people(strings.Trim(m, "<@!>")), linked: true}
			}
			return run{text: m, linked: true}
		}, plain)
		for i := range p.runs {
			p.runs[i].bold = p.runs[i].bold || heading
			p.runs[i].quiet = small
		}
		all = append(all, p)
	}
	return all
}
