package console

import "meetbot/bot/chat"

// Platform is the console's name in lists and metrics.
const Platform chat.Platform = "console"

// Kind returns what the console is like. In the sandbox whoever sits there plays others too.
func Kind(sandbox bool) chat.Kind {
	return chat.Kind{Name: Platform, Title: "the console", Local: true, Alone: !sandbox, Confirms: true, Entries: []chat.Entry{{Kind: chat.EveryEntry, People: "everybody"}}}
}
