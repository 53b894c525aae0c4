package kit

import "meetbot/bot/commands"

// Once reports whether one person's clicks on a button are one wish as long as its
// message is unchanged: it may create something each time. Every other button shows
// something, or does what is harmless to do twice; there each click is a new wish, since
// the first may have failed.
func Once(a commands.Action) bool {
	switch commands.Verb(a.Name) {
	case commands.VerbAnother, commands.VerbNow, commands.VerbAgain, commands.VerbSameDest:
		return true
	}
	return false
}
