package discord

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bwmarrin/discordgo"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/texts"
)

// modal is a form as Discord shows it.
//
// https://docs.discord.com/developers/components/reference#label
type modal struct {
	CustomID   string `json:"custom_id"`
	Title      string `json:"title"`
	Components []any  `json:"components"`
}

// The components of a modal, which discordgo does not have.
type (
	label struct {
		Type        discordgo.ComponentType `json:"type"`
		Label       string                  `json:"label"`
		Description string                  `json:"description,omitempty"`
		Component   any                     `json:"component"`
	}
	textInput struct {
		Type        discordgo.ComponentType  `json:"type"`
		CustomID    string                   `json:"custom_id"`
		Style       discordgo.TextInputStyle `json:"style"`
		Placeholder string                   `json:"placeholder,omitempty"`
		Value       string                   `json:"value,omitempty"`
		Required    bool                     `json:"required"`
		MaxLength   int                      `json:"max_length,omitempty"`
	}
	selectInput struct {
		Type      discordgo.ComponentType `json:"type"`
		CustomID  string                  `json:"custom_id"`
		Required  bool                    `json:"required"`
		MinValues int                     `json:"min_values"`
		MaxValues int                     `json:"max_values"`
		Options   []selectOption          `json:"options,omitempty"`
	}
	selectOption struct {
		Label   string `json:"label"`
		Value   string `json:"value"`
		Default bool   `json:"default,omitempty"`
	}
)

const labelComponent discordgo.ComponentType = 18

// reopen is the button that opens a form again: Discord shows no faults on fields, and a
// form that was sent cannot be answered with another.
const reopen = "reopen"

// ask opens a form.
func (a *Adapter) ask(ctx context.Context, in *interaction, r chat.Request, f chat.Form, t texts.Text) *callback {
	m, lost := renderForm(f)
	if len(lost) > 0 {
		a.log.WarnContext(ctx, "form shortened", "form", f.ID, "parts", lost)
	}
	if len(m.CustomID) > maxCustomID {
		a.log.ErrorContext(ctx, "form's argument is too long", "form", f.ID)
		return a.say(ctx, in, chat.Reply{Tone: chat.Bad, Text: t.T("discord.outdated")}, "")
	}
	a.drafts.Put(draftKey(r, f.ID), f)
	if in.Type == discordgo.InteractionModalSubmit {
		return a.say(ctx, in, chat.Reply{Title: f.Title, Text: f.Intro, Buttons: reopenButton(f.ID, t)}, "")
	}
	return &callback{Type: discordgo.InteractionResponseModal, Data: m}
}

// faults tells what is wrong with a form, with a button that opens it again as it was
// filled in, keys aside.
func (a *Adapter) faults(ctx context.Context, in *interaction, r chat.Request, faults map[string]string, t texts.Text) *callback {
	reply := chat.Reply{Tone: chat.Bad, Title: t.T("discord.faults")}
	key := draftKey(r, r.Form.Form)
	f, ok := a.drafts.Get(key)
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		label := name
		if i := slices.IndexFunc(f.Fields, func(f chat.FormField) bool { return f.Name == name }); i >= 0 {
			label = f.Fields[i].Label
		}
		reply.Fields = append(reply.Fields, chat.Field{Name: label, Value: faults[name]})
	}
	if ok {
		f.Fields = slices.Clone(f.Fields)
		for i, field := range f.Fields {
			if typed, ok := r.Form.Fields[field.Name]; ok && field.Kind != chat.MaskedField {
				f.Fields[i].Value = typed
			}
		}
		a.drafts.Put(key, f)
		reply.Buttons = reopenButton(f.ID, t)
	}
	return a.say(ctx, in, reply, "")
}

func reopenButton(form string, t texts.Text) []chat.Button {
	return []chat.Button{{Label: t.T("discord.open_form"), Action: chat.Action{Name: reopen, Arg: form}}}
}

// reopen opens a form that had faults. The right is checked when it is sent.
func (a *Adapter) reopen(ctx context.Context, in *interaction, r chat.Request, t texts.Text) *callback {
	f, ok := a.drafts.Get(draftKey(r, r.Action.Arg))
	if !ok {
		return a.say(ctx, in, chat.Reply{Tone: chat.Bad, Text: t.T("discord.outdated")}, "")
	}
	return a.ask(ctx, in, r, f, t)
}

func draftKey(r chat.Request, form string) string {
	return r.User.ID + ":" + r.Place.Key() + ":" + form
}

const (
	draftLife = 15 * time.Minute
	maxDrafts = 1000
)

// completeForm adds to a form that was sent what was known before and had no room in it.
func (a *Adapter) completeForm(r chat.Request) {
	f, _ := a.drafts.Get(draftKey(r, r.Form.Form))
	for _, field := range f.Fields {
		if _, sent := r.Form.Fields[field.Name]; !sent && field.Value != "" {
			r.Form.Fields[field.Name] = field.Value
		}
	}
}

// renderForm is pure. It also says which parts had no room.
func renderForm(f chat.Form) (modal, []string) {
	var lost []string
	cut := func(what, s string, limit int) string {
		s, shortened := kit.Cut(s, limit)
		if shortened {
			lost = append(lost, what)
		}
		return s
	}
	m := modal{CustomID: chat.Action{Name: f.ID, Arg: f.Arg}.String(), Title: cut("title", f.Title, maxModalTitle)}
	fields := slices.DeleteFunc(slices.Clone(f.Fields), func(f chat.FormField) bool { return f.Extra })
	if len(fields) < maxModalFields && f.Intro != "" {
		m.Components = append(m.Components, discordgo.TextDisplay{Content: escape(cut("intro", f.Intro, maxText/2))})
		f.Intro = ""
	}
	for _, field := range fields {
		if field.Kind == chat.MaskedField && f.Intro != "" {
			field.Hint = f.Intro // it says who sees the secret, and has no room of its own
		}
		if len(m.Components) == maxModalFields {
			lost = append(lost, field.Name)
			continue
		}
		m.Components = append(m.Components, label{
			Type: labelComponent, Label: cut(field.Name, field.Label, maxLabel), Description: cut(field.Name, field.Hint, maxLabelHint),
			Component: input(field, cut),
		})
	}
	return m, lost
}

func input(f chat.FormField, cut func(what, s string, limit int) string) any {
	choose := selectInput{CustomID: f.Name, Required: f.Needed(), MaxValues: 1}
	if f.Needed() {
		choose.MinValues = 1
	}
	switch {
	case f.Kind == chat.UserField:
		choose.Type, choose.MaxValues = discordgo.UserSelectMenuComponent, maxSelectOptions
		return choose
	case (f.Kind == chat.ChoiceField || f.Kind == chat.ListField) && len(f.Choices) > 0 && len(f.Choices) <= maxSelectOptions:
		choose.Type = discordgo.SelectMenuComponent
		if f.Kind == chat.ListField {
			choose.MaxValues = len(f.Choices)
		}
		for _, c := range f.Choices {
			choose.Options = append(choose.Options, selectOption{
				Label: cut(f.Name, c.Label, maxOptionLabel), Value: c.Value, Default: slices.Contains(strings.Split(f.Value, ","), c.Value) && f.Value != "",
			})
		}
		return choose
	}
	limit := maxInput
	if f.Max > 0 {
		limit = min(limit, f.Max)
	}
	return textInput{
		Type: discordgo.TextInputComponent, CustomID: f.Name, Style: discordgo.TextInputShort, Required: f.Needed(),
		Placeholder: cut(f.Name, f.Placeholder, maxPlaceholder), Value: cut(f.Name, f.Value, limit), MaxLength: limit,
	}
}
