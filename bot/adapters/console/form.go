package console

import (
	"context"
	"errors"
	"io"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/texts"
	"slices"
	"strconv"
	"strings"
)

// fill asks for a form's values one by one. With faults it asks again for the fields
// that were wrong, keeping the others as they were given.
func (c *Console) fill(ctx context.Context, f chat.Form, given *chat.Submission, faults map[string]string) (*chat.Submission, error) {
	s := &chat.Submission{Form: f.ID, Arg: f.Arg, Fields: map[string]string{}}
	if given != nil {
		for k, v := range given.Fields {
			s.Fields[k] = v
		}
	} else {
		c.print(c.style.formIntro(c.t, c.width(), f))
	}
	for _, field := range f.Fields {
		fault := faults[field.Name]
		if given != nil && fault == "" || fault == "" && !field.Only.Met(s.Fields) {
			continue
		}
		value, err := c.ask(ctx, field, fault, s.Fields[field.Name])
		if err != nil {
			return nil, err
		}
		s.Fields[field.Name] = value
	}
	return s, nil
}

// ask asks for one value until it has the shape of its kind. What was refused is not
// proposed again: Enter then leaves the field empty.
func (c *Console) ask(ctx context.Context, f chat.FormField, fault, value string) (string, error) {
	switch {
	case fault != "":
		value = ""
	case value == "":
		value = f.Value
	}
	c.print(c.style.field(c.t, c.width(), f, fault))
	for {
		if f.Kind == chat.MaskedField {
			typed, err := c.input.secret(ctx, "  "+plain(f.Label)+": ")
			if errors.Is(err, errDropped) {
				continue
			}
			if err != nil || typed != "" || !f.Required {
				return strings.TrimSpace(typed), err
			}
			c.fault("console.form.required")
			continue
		}
		label := "  " + plain(f.Label)
		if yesNo(f) {
			label += " (y/n)"
		}
		if value != "" {
			label += " [" + plain(shown(f, value)) + "]"
		}
		typed, err := c.input.line(ctx, label+": ")
		if errors.Is(err, errDropped) {
			continue
		}
		if err != nil {
			return "", err
		}
		switch typed = strings.TrimSpace(typed); typed {
		case "":
			typed = shown(f, value)
		case "-", "－":
			typed = ""
		}
		v, ok := valueOf(f, typed)
		switch {
		case !ok && yesNo(f):
			c.fault("console.form.yes_no")
		case !ok && f.Kind == chat.ListField:
			c.fault("console.form.choose_some")
		case !ok:
			c.fault("console.form.choose")
		case v == "" && f.Required:
			c.fault("console.form.required")
		default:
			return v, nil
		}
	}
}

func (c *Console) fault(text string) { c.print(c.style.fault(c.t.T(text), c.width())) }

// yesNo reports whether a field is answered with y or n. A choice of the two may also be
// left open.
func yesNo(f chat.FormField) bool {
	return f.Kind == chat.ChoiceField && len(f.Choices) == 2 && f.Choices[0].Value == "true" && f.Choices[1].Value == "false"
}

// shown is how a value is typed and shown.
func shown(f chat.FormField, value string) string {
	if yesNo(f) {
		return map[string]string{"true": "y", "false": "n"}[value]
	}
	if f.Kind == chat.ChoiceField {
		if i := slices.IndexFunc(f.Choices, func(c chat.Choice) bool { return c.Value == value }); i >= 0 {
			return strconv.Itoa(i + 1)
		}
	}
	return value
}

// valueOf is the value that was meant, and whether there is one.
func valueOf(f chat.FormField, typed string) (string, bool) {
	if f.Kind == chat.ListField && len(f.Choices) > 0 { // numbers or names, and not all of them need be there
		var values []string
		one := f
		one.Kind = chat.ChoiceField
		for word := range strings.FieldsFuncSeq(typed, func(r rune) bool { return strings.ContainsRune(",，、", r) }) {
			v, ok := valueOf(one, strings.TrimSpace(word))
			if !ok {
				return "", false
			}
			if v != "" && !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
		return strings.Join(values, ","), true
	}
	if f.Kind != chat.ChoiceField {
		return typed, true
	}
	if typed == "" {
		return "", true
	}
	if n, err := strconv.Atoi(typed); err == nil && 0 < n && n <= len(f.Choices) {
		return f.Choices[n-1].Value, true
	}
	if yesNo(f) {
		return yesOrNo(typed)
	}
	for _, c := range f.Choices {
		if strings.EqualFold(typed, c.Value) || strings.EqualFold(typed, c.Label) {
			return c.Value, true
		}
	}
	return "", false
}

func yesOrNo(typed string) (string, bool) {
	switch strings.ToLower(typed) {
	case "y", "yes", "true", "是":
		return "true", true
	case "n", "no", "false", "否":
		return "false", true
	}
	return "", false
}

func (c *Console) cancelled(err error) error {
	if errors.Is(err, io.EOF) {
		c.print("\n" + c.style.aside(c.t.T("console.form.cancelled")))
		return nil
	}
	return errInterrupted
}

// formOnOneLine says how to give a form's values where nobody can be asked for them.
func (s style) formOnOneLine(t texts.Text, width int, f chat.Form) string {
	d, _ := grammar.Asked(chat.Decision{Form: &f})
	usage := []string{strings.TrimSpace("/" + d.Command + " " + d.Name)}
	for _, o := range d.Options {
		i := slices.IndexFunc(f.Fields, func(field chat.FormField) bool { return field.Name == o.Name })
		if i < 0 {
			continue
		}
		word, value := "--"+o.Name, strings.ToUpper(o.Name)
		if id := "usage." + o.Name; t.Has(id) {
			value = t.T(id) // as the help has it
		}
		switch {
		case o.Position > 0:
			word = value
		case o.Kind != grammar.KindBool:
			word += " " + value
		}
		if !f.Fields[i].Required {
			word = "[" + word + "]"
		}
		usage = append(usage, word)
	}
	r := chat.Reply{Tone: chat.Bad, Title: f.Title, Text: t.T("console.form.one_line") + "\n\n" + strings.Join(usage, " ")}
	for _, field := range f.Fields {
		hint := field.Hint
		if field.Required { // here a line with saved destinations is another command
			hint = strings.TrimSuffix(t.T("console.form.required")+" · "+hint, " · ")
		}
		r.Fields = append(r.Fields, chat.Field{Name: field.Label, Value: hint})
	}
	return s.message(t, view{width: width, header: header{kind: private}}, r)
}
