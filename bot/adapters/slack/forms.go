package slack

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	slackapi "github.com/slack-go/slack"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
)

// https://docs.slack.dev/reference/views/modal-views

// metadata is what a form carries from where it was opened to where it is sent: IDs only,
// since it lies with Slack.
type metadata struct {
	Arg     string         `json:"arg,omitempty"`
	User    string         `json:"user"`
	Team    string         `json:"team,omitempty"`
	Channel string         `json:"channel,omitempty"`
	Thread  string         `json:"thread,omitempty"`
	Kind    chat.PlaceKind `json:"kind,omitempty"`
	Hook    string         `json:"hook,omitempty"` // which response_url, not the URL
}

// valueID is the action_id of every input; its block_id is the field's name.
const valueID = "value"

// modal renders a form.
func (a *Adapter) modal(f chat.Form, r chat.Request) slackapi.ModalViewRequest {
	m := metadata{Arg: f.Arg, User: r.User.ID, Team: r.Place.Team, Channel: r.Place.Channel, Thread: r.Place.Thread, Kind: r.Place.Kind}
	if at := a.at(r.Place.Team); at != nil {
		m.Hook = at.poster.hooks.remember(decodeOrigin(r.Origin))
	}
	meta, _ := json.Marshal(m) // strings can always be encoded
	v := modalView(f, a.text(r).T("slack.cancel"))
	v.PrivateMetadata = string(meta)
	return v
}

// modalView renders what a person sees of a form.
func modalView(f chat.Form, cancel string) slackapi.ModalViewRequest {
	v := slackapi.ModalViewRequest{
		Type:       slackapi.VTModal,
		CallbackID: f.ID,
		Title:      label(f.Title, maxModalTitle),
		Submit:     label(f.Submit, maxModalTitle),
		Close:      label(cancel, maxModalTitle),
	}
	if f.Intro != "" {
		v.Blocks.BlockSet = append(v.Blocks.BlockSet, slackapi.NewSectionBlock(mrkdwn(fit(f.Intro, maxSectionText)), nil, nil))
	}
	for _, field := range f.Fields {
		if len(v.Blocks.BlockSet) < maxModalBlocks {
			v.Blocks.BlockSet = append(v.Blocks.BlockSet, input(field))
		}
	}
	return v
}

// label is plain text, which Slack does not take empty.
func label(s string, limit int) *slackapi.TextBlockObject {
	if s == "" {
		s = "–"
	}
	s, _ = kit.Cut(s, limit)
	return &slackapi.TextBlockObject{Type: slackapi.PlainTextType, Text: s}
}

func input(f chat.FormField) *slackapi.InputBlock {
	b := &slackapi.InputBlock{
		Type: slackapi.MBTInput, BlockID: f.Name, Label: label(f.Label, maxLabel),
		Optional: !f.Needed(),
	}
	if f.Hint != "" {
		b.Hint = label(f.Hint, maxHint)
	}
	var placeholder *slackapi.TextBlockObject
	if f.Placeholder != "" {
		placeholder = label(f.Placeholder, maxPlaceholder)
	}
	switch {
	case f.Kind == chat.ChoiceField && len(f.Choices) > 0:
		s := &slackapi.SelectBlockElement{Type: slackapi.OptTypeStatic, ActionID: valueID, Placeholder: placeholder, Options: options(f.Choices)}
		if i := slices.IndexFunc(s.Options, func(o *slackapi.OptionBlockObject) bool { return o.Value == f.Value }); i >= 0 {
			s.InitialOption = s.Options[i]
		}
		b.Element = s
	case f.Kind == chat.ListField && len(f.Choices) > 0:
		b.Element = &slackapi.MultiSelectBlockElement{Type: slackapi.MultiOptTypeStatic, ActionID: valueID, Placeholder: placeholder, Options: options(f.Choices)}
	case f.Kind == chat.UserField:
		b.Element = &slackapi.SelectBlockElement{Type: slackapi.OptTypeUser, ActionID: valueID, Placeholder: placeholder, InitialUser: f.Value}
	case f.Kind == chat.NumberField:
		b.Element = &slackapi.NumberInputBlockElement{Type: slackapi.METNumber, ActionID: valueID, Placeholder: placeholder, InitialValue: f.Value}
	default:
		limit := maxInput
		if f.Max > 0 {
			limit = min(f.Max, maxInput)
		}
		p := &slackapi.PlainTextInputBlockElement{Type: slackapi.METPlainTextInput, ActionID: valueID, Placeholder: placeholder, MaxLength: limit}
		if kit.Len(f.Value) <= limit { // a value that was cut would be sent back wrong
			p.InitialValue = f.Value
		}
		b.Element = p
	}
	return b
}

// options are the choices that can come back as they are.
func options(choices []chat.Choice) []*slackapi.OptionBlockObject {
	var all []*slackapi.OptionBlockObject
	for _, c := range choices[:min(len(choices), maxOptions)] {
		if c.Value != "" && kit.Len(c.Value) <= maxOptionValue {
			all = append(all, &slackapi.OptionBlockObject{Text: label(c.Label, maxOptionText), Value: c.Value})
		}
	}
	return all
}

// submission turns a form that was sent into a request.
// https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload
func (a *Adapter) submission(c interaction, from origins, user chat.User) (event, error) {
	var meta metadata
	if c.View.ID == "" || c.View.CallbackID == "" || json.Unmarshal([]byte(c.View.PrivateMetadata), &meta) != nil {
		return event{}, errors.New("a form that the bot did not open")
	}
	if meta.User != user.ID {
		return event{}, errors.New("a form that somebody else opened")
	}
	at := a.served(from)
	if at != nil && meta.Team != from.team {
		at = a.served(origins{meta.Team, from.enterprise})
	}
	if at == nil { // an empty answer would close the form as if it had been taken
		return event{kind: "form", view: &c.View, refusal: "slack.elsewhere", req: chat.Request{User: user}}, nil
	}
	fields := map[string]string{}
	if c.View.State != nil {
		for name, values := range c.View.State.Values {
			fields[name] = value(values[valueID])
		}
	}
	view := c.View
	e := event{kind: "form", at: at, trigger: c.TriggerID, view: &view, req: chat.Request{
		ID:   requestID(meta.Team, view.ID),
		At:   a.now(),
		User: user,
		Place: chat.Place{
			Platform: Platform, Team: meta.Team, Channel: meta.Channel, Thread: meta.Thread, Kind: meta.Kind,
		},
		Form: &chat.Submission{Form: view.CallbackID, Arg: meta.Arg, Fields: fields},
	}}
	o := at.poster.hooks.recall(meta.Hook)
	o.Team = a.install(at)
	e.req.Origin = o.encode()
	return e, nil
}

func value(v slackapi.BlockAction) string {
	switch string(v.Type) {
	case slackapi.OptTypeStatic:
		return v.SelectedOption.Value
	case slackapi.MultiOptTypeStatic:
		var values []string
		for _, o := range v.SelectedOptions {
			values = append(values, o.Value)
		}
		return strings.Join(values, ",")
	case slackapi.OptTypeUser:
		return v.SelectedUser
	}
	return strings.TrimSpace(v.Value)
}
