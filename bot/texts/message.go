package texts

import "strings"

// fault is a sentence to be said in the reader's language.
type Message struct {
	ID   string
	Args []string // pairs of name and value; nothing secret
}

func NewMessage(id string, pairs ...string) *Message { return &Message{id, pairs} }

func (f *Message) In(t Text) string {
	args := make([]any, len(f.Args))
	for i, a := range f.Args {
		args[i] = a
	}
	return t.T(f.ID, args...)
}

func Paragraphs(parts ...string) string {
	var some []string
	for _, p := range parts {
		if p != "" {
			some = append(some, p)
		}
	}
	return strings.Join(some, "\n\n")
}
