package livepush

import (
	"net/url"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"meetbot/meeting"
)

// SameStream reports whether what is pushed to a arrives where b's does, however the two
// are written. The name of a stream, which is the secret of most services, is what stands
// before the query; services ignore parameters that they do not know, and RTMP servers do
// not agree on where the address ends and the key begins. Whatever is in doubt is the same:
// it costs an approval.
func SameStream(a, b meeting.PushTarget) bool {
	if a.Key.IsZero() || b.Key.IsZero() {
		return false
	}
	streamA, streamB := takeStream(a), takeStream(b)
	if len(streamA.name) == 0 || len(streamB.name) == 0 { // Bilibili's keys begin with a question mark
		if shareSecret(streamA.query, streamB.query) || len(streamA.name)+len(streamB.name) == 0 && streamA.raw == streamB.raw {
			return true
		}
	}
	return endsWith(streamB.whole, streamA.name) || endsWith(streamA.whole, streamB.name)
}

// stream is what a push address and its key say of a stream.
type stream struct {
	name  []string // of the key, what stands before its query: its parts
	whole []string // the parts of the address's path, and those of the name
	query []string // values of the key's query and the address's
	raw   string   // the key's query as it is
}

func takeStream(t meeting.PushTarget) stream {
	name, query := cutQuery(t.Key.Reveal())
	_, rest, _ := strings.Cut(t.URL, "://")
	_, path, _ := strings.Cut(rest, "/")
	path, more := cutQuery(path)
	s := stream{name: segments(name), query: append(values(query), values(more)...), raw: query}
	s.whole = append(segments(path), s.name...)
	return s
}

// cutQuery cuts text before what begins a query, also where that is written as its code.
func cutQuery(text string) (before, query string) {
	text = unescape(norm.NFKC.String(text))
	if i := strings.IndexAny(text, "?&#;"); i >= 0 {
		return text[:i], text[i+1:]
	}
	return text, ""
}

// unescape writes out what is written as %xx, however often, and leaves alone what is none.
func unescape(s string) string {
	const most = 4
	for range most {
		was := s
		var b strings.Builder
		for i := 0; i < len(s); i++ {
			if s[i] == '%' && i+2 < len(s) {
				if plain, err := url.PathUnescape(s[i : i+3]); err == nil {
					b.WriteString(plain)
					i += 2
					continue
				}
			}
			b.WriteByte(s[i])
		}
		if s = b.String(); s == was {
			break
		}
	}
	return s
}

// segments are the parts of a path as a server walks it.
func segments(path string) []string {
	var all []string
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' || r == ' ' }) {
		switch part {
		case ".":
		case "..":
			all = all[:max(0, len(all)-1)]
		default:
			all = append(all, part)
		}
	}
	return all
}

func endsWith(whole, end []string) bool {
	return len(end) > 0 && len(whole) >= len(end) && slices.Equal(whole[len(whole)-len(end):], end)
}

// values are the values of a query, whatever their names are.
func values(query string) []string {
	var all []string
	for _, pair := range strings.FieldsFunc(query, func(r rune) bool { return strings.ContainsRune("?&;#", r) }) {
		_, v, _ := strings.Cut(pair, "=")
		all = append(all, v)
	}
	return all
}

// shareSecret reports whether two queries have a value in common that is long enough to
// belong to one stream alone.
func shareSecret(a, b []string) bool {
	const least = 8
	return slices.ContainsFunc(a, func(v string) bool { return len(v) >= least && slices.Contains(b, v) })
}
