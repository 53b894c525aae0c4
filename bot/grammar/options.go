package grammar

import (
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
	KindSecret  Kind = "secret"
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
	// Provider is the only provider that has it; empty: both.
	Provider meeting.Provider
}

// Limits of what people can give.
const (
	// maxTopic is in characters. As UTF-8 they are at most the 512 bytes that Tencent
	// Meeting takes for a subject: https://cloud.tencent.com/document/product/1095/42417.
	maxTopic    = 128
	maxMinutes  = 24 * 60
	maxCapacity = 10000
	maxName     = 60  // of a host, in characters
	maxURL      = 512 // of a watch page or a meeting's link
	maxList     = 20  // names, people or channels
	maxProblems = 20  // that are told at once; who makes more makes them one way
)

// minSystecMinutes is the shortest duration that SYSTEC takes: "必须大于30".
const minSystecMinutes = 31

func choices(values ...string) []chat.Choice {
	cs := make([]chat.Choice, len(values))
	for i, v := range values {
		cs[i] = chat.Choice{Value: v} // labelled by [OptionDecl.LabelOf]
	}
	return cs
}

// Describe returns the one-line description of the option.
func (o OptionDecl) Describe(t texts.Text) string { return t.T("option." + o.Name) }

// NameIn returns the option's name in the language, as typed platforms show it.
func (o OptionDecl) NameIn(t texts.Text) string { return t.T("optionname." + o.Name) }

// LabelOf returns what people read for one of the option's [OptionDecl.Choices].
func (o OptionDecl) LabelOf(t texts.Text, c chat.Choice) string {
	if c.Label != "" {
		return c.Label
	}
	if o.Name == "preset" {
		return livepush.PresetByID(c.Value).Name(t)
	}
	return t.T("choice." + o.Name + "." + c.Value)
}
