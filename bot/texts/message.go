package texts

import "strings"

// Message is a sentence to be said in the reader's language. As an error it is why something
// was not done, as the person is told; a function that returns it has the result type error.
type Message struct {
	ID   string
	Args []string // pairs of name and value; nothing secret
}

// NewMessage returns the message with an ID, its placeholders filled from pairs of name and value.
func NewMessage(id string, pairs ...string) *Message { return &Message{id, pairs} }

// Error is for logs: it has no arguments, which are for the person.
func (f *Message) Error() string { return "refused: " + f.ID }

// In returns the sentence in a language.
func (f *Message) In(t Text) string {
	args := make([]any, len(f.Args))
	for i, a := range f.Args {
		args[i] = a
	}
	return t.T(f.ID, args...)
}

// Paragraphs joins those parts that are not empty.
func Paragraphs(parts ...string) string {
	var some []string
	for _, p := range parts {
		if p != "" {
			some = append(some, p)
		}
	}
	return strings.Join(some, "\n\n")
}
