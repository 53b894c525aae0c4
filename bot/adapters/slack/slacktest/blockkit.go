package slacktest

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// The limits of Block Kit as its reference gives them:
// https://docs.slack.dev/reference/block-kit/blocks/

type element struct {
	Type      string          `json:"type"`
	ActionID  string          `json:"action_id"`
	Text      json.RawMessage `json:"text"`
	URL       string          `json:"url"`
	Value     string          `json:"value"`
	Confirm   *confirm        `json:"confirm"`
	Options   []option        `json:"options"`
	MaxLength int             `json:"max_length"`
	Initial   string          `json:"initial_value"`
	Hint      *text           `json:"placeholder"`
}

type option struct {
	Text  text   `json:"text"`
	Value string `json:"value"`
}

type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type confirm struct{ Title, Text, Confirm, Deny text }

type block struct {
	Type     string    `json:"type"`
	BlockID  string    `json:"block_id"`
	Text     *text     `json:"text"`
	Fields   []text    `json:"fields"`
	Elements []element `json:"elements"`
	Element  *element  `json:"element"`
	Label    *text     `json:"label"`
	Hint     *text     `json:"hint"`
}

type faults []string

func (f *faults) max(what, s string, limit int) {
	if n := utf8.RuneCountInString(s); n > limit {
		*f = append(*f, fmt.Sprintf("%s: %d characters, at most %d", what, n, limit))
	}
}

func (f *faults) text(what string, t *text, limit int) {
	if t == nil || t.Text == "" {
		*f = append(*f, what+": empty")
		return
	}
	f.max(what, t.Text, limit)
}

func (f *faults) ensure(ok bool, what string) {
	if !ok {
		*f = append(*f, what)
	}
}

// CheckMessage returns what Slack would not take in a message; empty if it takes it.
func CheckMessage(fallback string, raw json.RawMessage) string {
	var f faults
	f.ensure(fallback != "", "no text")
	f.max("text", fallback, 40_000)
	if len(raw) > 0 {
		f.blocks(raw, 50)
	}
	return f.first()
}

// CheckView returns what Slack would not take in a modal; empty if it takes it.
func CheckView(raw json.RawMessage) string {
	var v struct {
		Type                 string
		Title, Submit, Close *text
		CallbackID           string          `json:"callback_id"`
		Metadata             string          `json:"private_metadata"`
		Blocks               json.RawMessage `json:"blocks"`
	}
	var f faults
	if json.Unmarshal(raw, &v) != nil {
		return "not a view"
	}
	f.ensure(v.Type == "modal", "not a modal")
	f.text("title", v.Title, 24)
	f.text("submit", v.Submit, 24)
	f.text("close", v.Close, 24)
	f.max("private_metadata", v.Metadata, 3000)
	f.max("callback_id", v.CallbackID, 255)
	f.blocks(v.Blocks, 100)
	return f.first()
}

func (f faults) first() string {
	if len(f) == 0 {
		return ""
	}
	return f[0]
}

func (f *faults) blocks(raw json.RawMessage, limit int) {
	var blocks []block
	if err := json.Unmarshal(raw, &blocks); err != nil {
		*f = append(*f, "blocks: "+err.Error())
		return
	}
	f.ensure(len(blocks) <= limit, "too many blocks")
	actions, ids := map[string]bool{}, map[string]bool{}
	for _, b := range blocks {
		f.max("block_id", b.BlockID, 255)
		f.ensure(b.BlockID == "" || !ids[b.BlockID], "block_id twice: "+b.BlockID)
		ids[b.BlockID] = true
		switch b.Type {
		case "section":
			f.ensure(b.Text != nil || len(b.Fields) > 0, "a section without text")
			if b.Text != nil {
				f.text("section", b.Text, 3000)
			}
			f.ensure(len(b.Fields) <= 10, "too many fields")
			for _, t := range b.Fields {
				f.text("field", &t, 2000)
			}
		case "context":
			f.ensure(len(b.Elements) >= 1 && len(b.Elements) <= 10, "context elements")
		case "actions":
			f.ensure(len(b.Elements) >= 1 && len(b.Elements) <= 25, "actions elements")
			for _, e := range b.Elements {
				f.button(e, actions)
			}
		case "input":
			f.text("label", b.Label, 2000)
			if b.Hint != nil {
				f.text("hint", b.Hint, 2000)
			}
			f.ensure(b.Element != nil, "an input without an element")
			if b.Element != nil {
				f.input(*b.Element)
			}
		case "rich_text", "divider", "header", "image":
		default:
			*f = append(*f, "unsupported block "+b.Type)
		}
	}
}

func (f *faults) button(e element, seen map[string]bool) {
	var t text
	_ = json.Unmarshal(e.Text, &t)
	f.ensure(e.Type == "button", "not a button")
	f.ensure(t.Type == "plain_text", "a button's text is plain")
	f.text("button", &t, 75)
	f.max("value", e.Value, 2000)
	f.max("url", e.URL, 3000)
	f.max("action_id", e.ActionID, 255)
	f.ensure(e.ActionID != "" && !seen[e.ActionID], "action_id missing or twice")
	seen[e.ActionID] = true
	if c := e.Confirm; c != nil {
		f.text("confirm title", &c.Title, 100)
		f.text("confirm text", &c.Text, 300)
		f.text("confirm yes", &c.Confirm, 30)
		f.text("confirm no", &c.Deny, 30)
	}
}

func (f *faults) input(e element) {
	f.ensure(e.ActionID != "", "an input without action_id")
	if e.Hint != nil {
		f.text("placeholder", e.Hint, 150)
	}
	switch e.Type {
	case "plain_text_input":
		f.ensure(e.MaxLength <= 3000, "max_length")
		f.max("initial_value", e.Initial, 3000)
	case "static_select", "multi_static_select":
		f.ensure(len(e.Options) >= 1 && len(e.Options) <= 100, "options")
		for _, o := range e.Options {
			f.text("option", &o.Text, 75)
			f.max("option value", o.Value, 150)
			f.ensure(o.Value != "", "an option without a value")
		}
	case "number_input", "users_select":
	default:
		*f = append(*f, "unsupported input "+e.Type)
	}
}
