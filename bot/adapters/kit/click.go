package kit

import (
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
)

// Once reports whether one person's clicks on a button are one wish as long as its
// message is unchanged: it may create something each time. Every other button shows
// something, or does what is harmless to do twice; there each click is a new wish, since
// the first may have failed.
func Once(a chat.Action) bool {
	switch grammar.Verb(a.Name) {
	case grammar.VerbAnother, grammar.VerbNow, grammar.VerbAgain, grammar.VerbSameDest:
		return true
	}
	return false
}
