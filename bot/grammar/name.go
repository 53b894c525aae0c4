package grammar

import (
	"strings"

	"meetbot/bot/livepush"
	"meetbot/config/near"
)

// CleanName is a name that was typed outside of a line, as it would be read in one.
func CleanName(s string) string { return strings.TrimSpace(clean(s)) }

// CheckName finds what is wrong with the name of an address, or with [VerbPushSave] of a
// destination, that was typed outside of a line.
func CheckName(verb Verb, name string) []livepush.Finding {
	fs := livepush.CheckPushName(name)
	if fault := nameFault(verb, name); fault != "" && fs == nil {
		fs = append(fs, livepush.NewLimit("name", fault))
	}
	return fs
}

// nameFault is the text that says why name cannot be one; empty if it can.
func nameFault(verb Verb, name string) string {
	switch {
	case len(livepush.CheckPushName(name)) > 0:
		return "name"
	case verb == VerbPushSave && isVerb(livepush.Fold(name)):
		return "name.verb"
	case livepush.MixesScripts(name):
		return "name.mixed"
	case strings.ContainsAny(name, ListMarks):
		return "name.list"
	}
	return ""
}

// Nearest is [near.Word], for who shows what people type.
func Nearest(word string, known []string) string { return near.Word(word, known) }
