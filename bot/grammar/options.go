package grammar

import (
	"slices"
	"strconv"

	"meetbot/bot/chat"
	"meetbot/bot/livepush"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// Kind is the kind of an option's value.
type Kind string

const (
	KindText    Kind = "text"
	KindInt     Kind = "int"
	KindBool    Kind = "bool"
	KindChoice  Kind = "choice"
	KindUser    Kind = "user"
	KindMeeting Kind = "meeting"     // a number, an ID, a URL; completed from recent meetings
	KindDest    Kind = "destination" // completed from saved destinations
	KindAccount Kind = "account"     // completed from the accounts that the place may use
	KindSecret  Kind = "secret"
	KindWho     Kind = "who" // people, and groups or roles of them
)

// OptionDecl declares one option of a command, for parser, help, forms, registration
// and completion alike. Texts are message IDs: see [texts.Text].
type OptionDecl struct {
	Name     string // of the flag, and of the typed option
	Aliases  []string
	Kind     Kind
	Required bool
	List     bool // takes several, separated by a comma of any kind
	// Position is the place among the positional arguments, from 1; 0: a flag only.
	Position int
	Min, Max int // of a number; of a text: characters
	Choices  []chat.Choice
	Unit     string
	// Field is the field of [meeting.Instant] that it gives, in the words of
	// [meeting.Kind.Parameters]: which providers have it. Empty: it asks no provider anything.
	Field string
	// Providers are those that there are; nil where nobody has said: see [Declarations].
	Providers meeting.Kinds
}

// Takers are the providers that have the option.
func (o OptionDecl) Takers() meeting.Kinds {
	return slices.DeleteFunc(slices.Clone(o.Providers), func(k meeting.Kind) bool { return o.Field != "" && k.Parameters[o.Field] == "" })
}

// Limits of what people can give.
const (
	// maxTopic is in characters. As UTF-8 they are at most 512 bytes, which every provider
	// takes.
	maxTopic    = 128
	maxMinutes  = 24 * 60
	maxCapacity = 10000
	maxName     = 60  // of a host, in characters
	maxPasscode = 10  // characters
	maxAccount  = 32  // of an account's name
	maxURL      = 512 // of a watch page or a meeting's link
	maxList     = 20  // names, people or channels
	maxProblems = 20  // that are told at once; who makes more makes them one way
)

func choices(values ...string) []chat.Choice {
	cs := make([]chat.Choice, len(values))
	for i, v := range values {
		cs[i] = chat.Choice{Value: v} // labelled by [OptionDecl.LabelOf]
	}
	return cs
}

// Describe returns the one-line description of the option.
func (o OptionDecl) Describe(t texts.Text) string {
	s := t.T("option." + o.Name)
	for _, k := range o.Providers {
		if least := int(k.MinDuration.Minutes()); o.Field == "duration" && least > o.Min {
			s += t.T("option.duration.least", "Provider", t.Either(k.Name.EN, k.Name.ZH), "Min", strconv.Itoa(least))
		}
	}
	return s
}

// NameIn returns the option's name in the language, as typed platforms show it.
func (o OptionDecl) NameIn(t texts.Text) string { return t.T("optionname." + o.Name) }

// LabelOf returns what people read for one of the option's [OptionDecl.Choices].
func (o OptionDecl) LabelOf(t texts.Text, c chat.Choice) string {
	switch {
	case c.Label != "":
		return c.Label
	case c.Value == Default:
		return t.T("choice.default")
	}
	switch o.Name {
	case "preset":
		return livepush.PresetByID(c.Value).Name(t)
	case "provider":
		k, _ := o.Providers.Kind(meeting.Provider(c.Value))
		return t.Either(k.Product.EN, k.Product.ZH)
	}
	return t.T("choice." + o.Name + "." + c.Value)
}
