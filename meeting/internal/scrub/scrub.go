// Package scrub makes a provider's own explanation fit to be logged and shown: nobody
// promises what it repeats of the request, or what else it quotes.
package scrub

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

const (
	maxRunes = 200
	// maxRead bounds how much of a message is looked at, in runes.
	maxRead = 2000
	// part is how many characters of a secret in a row count as the secret.
	part = 6
	mask = "…"
)

// opaque are texts that no explanation needs and that may be a secret of anybody's: links, also
// as they stand in JSON, long runs of the characters that keys and tokens are made of, and what
// has the shape of a stream key, which may be that of an address that somebody else has set.
var opaque = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*:(?:\\?/){2}\S+|[a-z0-9+/_=%&?.:-]{24,}` +
	`|\b(?:live_\d+_|stream-\d{6,}|fb-\d{6,}-|sk_[a-z]{2}-[a-z]+-\d_)[\w!-]*` +
	`|\?\w+=[^\s"”’)]*` +
	`|\b[a-z0-9]{4}(?:-[a-z0-9]{4}){3,4}\b`)

// Message returns what a provider said, in one line of at most 200 characters, without
// any of secrets: neither whole nor a part of six characters, in whatever case, plain or as
// it stands in JSON, HTML, a URL, base64 or hex. It is empty if nothing is left to read.
func Message(said string, secrets ...string) string {
	text := []rune(said)
	if len(text) > maxRead {
		text = text[:maxRead]
	}
	text = line(text)
	hidden := make([]bool, len(text))
	folded := fold(text)
	for _, s := range secrets {
		for _, form := range forms(s) {
			hide(hidden, folded, fold(line([]rune(form))))
		}
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case !hidden[i]:
			b.WriteRune(r)
		case i == 0 || !hidden[i-1]:
			b.WriteString(mask)
		}
	}
	out := []rune(opaque.ReplaceAllString(b.String(), mask))
	if len(out) > maxRunes {
		out = append(out[:maxRunes-1], []rune(mask)...)
	}
	if !strings.ContainsFunc(string(out), func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
		return ""
	}
	return string(out)
}

// line makes one line of text: without control and format characters, of which some turn
// the direction of what follows, and with single blanks.
func line(text []rune) []rune {
	out := make([]rune, 0, len(text))
	for _, r := range text {
		switch {
		case unicode.IsSpace(r):
			if len(out) > 0 && out[len(out)-1] != ' ' {
				out = append(out, ' ')
			}
		case unicode.IsPrint(r) && r != unicode.ReplacementChar:
			out = append(out, r)
		}
	}
	return []rune(strings.TrimSpace(string(out)))
}

// fold lowers every character for itself, so that positions stay.
func fold(text []rune) []rune {
	out := make([]rune, len(text))
	for i, r := range text {
		out[i] = unicode.ToLower(r)
	}
	return out
}

// forms returns s as it may be quoted.
func forms(s string) []string {
	out := []string{s, html.EscapeString(s), url.QueryEscape(s), url.PathEscape(s), hex.EncodeToString([]byte(s))}
	if b, err := json.Marshal(s); err == nil {
		out = append(out, strings.Trim(string(b), `"`))
	}
	// The middle of a longer text in base64 has one of three shapes.
	for skip := range min(3, len(s)) {
		out = append(out, base64.RawStdEncoding.EncodeToString([]byte(s[skip:])), base64.RawURLEncoding.EncodeToString([]byte(s[skip:])))
	}
	return out
}

// hide marks where the secret stands in text, and every run of [part] characters of it.
func hide(hidden []bool, text, secret []rune) {
	if len(secret) == 0 {
		return
	}
	n := min(part, len(secret))
	parts := make(map[string]bool, len(secret))
	for i := range len(secret) - n + 1 {
		parts[string(secret[i:i+n])] = true
	}
	for i := range len(text) - n + 1 {
		if parts[string(text[i:i+n])] {
			for j := range n {
				hidden[i+j] = true
			}
		}
	}
}
