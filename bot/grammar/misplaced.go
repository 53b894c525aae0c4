package grammar

import (
	"slices"

	"meetbot/bot/chat"
	"meetbot/bot/livepush"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// misplaced reports whether a push address or a stream key stands among what was given for
// a meeting: in a topic everybody would read it. What is not certain is let pass where it
// is no more than a word that people also use.
func (p *Parser) misplaced(given ...string) bool {
	return slices.ContainsFunc(given, func(s string) bool {
		return slices.ContainsFunc(tokenize(s), func(t token) bool {
			if f, ok := t.asFlag(); ok {
				o := p.flags[p.livepush.verbs[""]][f.name]
				if o != nil && (o.Kind == KindSecret || o.Name == "url") || MayBeKey(valueWord(f.value).address()) {
					return true
				}
			}
			w := t.word()
			return MayBeKey(w.address()) || MayBeKey(w.text)
		})
	})
}

// MayBeKey reports whether a word, as somebody typed it, is a push address or has the shape of
// a stream key in it.
func MayBeKey(word string) bool { return livepush.MayBeIngest(meeting.HalfWidth(clean(word))) }

// meetGiven are the texts that a request for a meeting brings.
func meetGiven(r chat.Request) []string {
	given := []string{r.Text, r.About}
	for _, v := range r.Options {
		given = append(given, v)
	}
	if r.Form != nil {
		for _, v := range r.Form.Fields {
			given = append(given, v)
		}
	}
	return given
}

// keptBack answers a stream key that was given for a meeting.
func (p *Parser) keptBack(r chat.Request) chat.Decision {
	if r.InTheOpen || r.About != "" && p.misplaced(r.About) { // a message that others read
		return p.tell(r, p.exposed)
	}
	return p.tell(r, func(t texts.Text) chat.Reply {
		reply := chat.Reply{
			Tone: chat.Bad, Title: t.T("parse.misplaced.title"), Text: t.T("parse.misplaced"),
			Buttons: []chat.Button{{Label: t.T("form.push.title"), Action: Press(VerbPushForm, "")}},
		}
		p.mark(t, &reply)
		return reply
	})
}
