package discord

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/bwmarrin/discordgo"

	"meetbot/bot/adapters/chat"
	"meetbot/bot/commands"
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
		Type     discordgo.ComponentType `json:"type"`
		CustomID string                  `json:"custom_id"`
		Required bool                    `json:"required"`
		Options  []selectOption          `json:"options"`
	}
	selectOption struct {
		Label   string `json:"label"`
		Value   string `json:"value"`
		Default bool   `json:"default,omitempty"`
	}
)

const labelComponent discordgo.ComponentType = 18

// ask opens a form. A form that was sent cannot be answered with another: there a button
// opens it.
func (a *Adapter) ask(ctx context.Context, in *interaction, f commands.Form, t commands.Text) *callback {
	m, lost := renderForm(f, t)
	if len(lost) > 0 {
		a.log.WarnContext(ctx, "form shortened", "form", f.ID, "parts", lost)
	}
	if len(m.CustomID) > maxCustomID {
		a.log.ErrorContext(ctx, "form's argument is too long", "form", f.ID)
		return a.say(ctx, in, commands.Reply{Tone: commands.Bad, Text: t.T("discord.outdated")}, "")
	}
	if in.Type == discordgo.InteractionModalSubmit {
		return a.say(ctx, in, commands.Reply{
			Title: f.Title, Text: f.Intro,
			Buttons: []commands.Button{{Label: t.T("discord.open_form"), Action: commands.Action{Name: f.ID, Arg: f.Arg}}},
		}, "")
	}
	return &callback{Type: discordgo.InteractionResponseModal, Data: m}
}

// faults tells what is wrong with a form, with a button that opens it again: Discord has
// no faults on fields. What was typed is kept, keys aside.
func (a *Adapter) faults(ctx context.Context, in *interaction, r commands.Request, faults map[string]string, t commands.Text) *callback {
	a.keep(draftKey(r, r.Form.Form), r.Form.Fields, a.cfg.Now())
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		lines = append(lines, faults[name])
	}
	return a.say(ctx, in, commands.Reply{
		Tone: commands.Bad, Title: t.T("discord.faults"), Text: strings.Join(lines, "\n\n"),
		Buttons: []commands.Button{{Label: t.T("discord.open_form"), Action: commands.Action{Name: r.Form.Form, Arg: r.Form.Arg}}},
	}, "")
}

// restore puts what was typed before into a form. Secret fields stay empty.
func (a *Adapter) restore(r commands.Request, f *commands.Form) {
	typed := a.take(draftKey(r, f.ID), a.cfg.Now())
	for i, field := range f.Fields {
		if v := typed[field.Name]; v != "" && field.Kind != commands.MaskedField {
			f.Fields[i].Value = v
		}
	}
}

func draftKey(r commands.Request, form string) string {
	return r.User.ID + ":" + r.Place.Key() + ":" + form
}

// renderForm is pure. It also says which parts had no room.
func renderForm(f commands.Form, t commands.Text) (modal, []string) {
	var lost []string
	cut := func(what, s string, limit int) string {
		s, shortened := chat.Cut(s, limit)
		if shortened {
			lost = append(lost, what)
		}
		return s
	}
	m := modal{CustomID: commands.Action{Name: f.ID, Arg: f.Arg}.String(), Title: cut("title", f.Title, maxModalTitle)}
	fields := slices.DeleteFunc(slices.Clone(f.Fields), func(f commands.FormField) bool { return f.Extra })
	if f.Intro != "" && len(fields) < maxModalFields {
		m.Components = append(m.Components, discordgo.TextDisplay{Content: escape(cut("intro", f.Intro, maxText/2))})
	}
	for _, field := range fields {
		if len(m.Components) == maxModalFields {
			lost = append(lost, field.Name)
			continue
		}
		m.Components = append(m.Components, label{
			Type: labelComponent, Label: cut(field.Name, field.Label, maxLabel), Description: cut(field.Name, field.Hint, maxLabelHint),
			Component: input(field, t, cut),
		})
	}
	return m, lost
}

func input(f commands.FormField, t commands.Text, cut func(what, s string, limit int) string) any {
	choices := f.Choices
	if f.Kind == commands.BoolField {
		choices = []commands.Choice{{Label: t.T("discord.yes"), Value: "true"}, {Label: t.T("discord.no"), Value: "false"}}
	}
	if (f.Kind == commands.ChoiceField || f.Kind == commands.BoolField) && len(choices) > 0 && len(choices) <= maxSelectOptions {
		s := selectInput{Type: discordgo.SelectMenuComponent, CustomID: f.Name, Required: f.Required}
		for _, c := range choices {
			s.Options = append(s.Options, selectOption{
				Label: cut(f.Name, c.Label, maxOptionLabel), Value: c.Value, Default: c.Value == f.Value && f.Value != "",
			})
		}
		return s
	}
	limit := maxInput
	if f.Max > 0 {
		limit = min(limit, f.Max)
	}
	return textInput{
		Type: discordgo.TextInputComponent, CustomID: f.Name, Style: discordgo.TextInputShort, Required: f.Required,
		Placeholder: cut(f.Name, f.Placeholder, maxPlaceholder), Value: cut(f.Name, f.Value, limit), MaxLength: limit,
	}
}
