package grammar

import (
	"strings"

	"meetbot/bot/livepush"
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
	case strings.ContainsAny(name, listMarks):
		return "name.list"
	}
	return ""
}

// Nearest returns the word among known that a misspelt one can be; empty if none is near.
func Nearest(word string, known []string) string {
	best, least := "", 3
	if len(word) > 64 {
		return ""
	}
	for _, k := range known {
		if d := len(word) - len(k); d >= least || -d >= least {
			continue // that many letters apart at least
		}
		if d := distance(word, k); d < least && d*3 <= len(k) {
			best, least = k, d
		}
	}
	return best
}
