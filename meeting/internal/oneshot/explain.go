package oneshot

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"meetbot/config/secret"
	"meetbot/meeting/internal/lenient"
	"meetbot/meeting/internal/scrub"
)

// Explanation returns what the provider said of a failure of r, fit for a log and for the
// person who asked: in one line, bounded, and without anything that was sent in r or that
// the client holds.
func (r Request) Explanation(said string, held ...secret.String) string {
	values := r.values()
	for _, s := range held {
		values = append(values, s.Reveal())
	}
	return scrub.Message(said, values...)
}

// harmless are values that an explanation may well name, as "recording must be cloud".
var harmless = []string{"true", "false", "none", "cloud", "local", "application/json", "application/x-www-form-urlencoded"}

// values returns the texts that r sends, of its path, query, header and body, without
// small numbers and [harmless] words.
func (r Request) values() []string {
	all := strings.Split(r.Path, "/")
	for _, v := range r.Query {
		all = append(all, v...)
	}
	for _, v := range r.Header {
		all = append(all, v...)
	}
	var body any
	if json.Unmarshal(r.Body, &body) == nil {
		all = append(all, leaves(body)...)
	} else if form, err := url.ParseQuery(string(r.Body)); err == nil {
		for _, v := range form {
			all = append(all, v...)
		}
	}
	for _, v := range all {
		if plain, err := base64.StdEncoding.DecodeString(v); err == nil && utf8.Valid(plain) {
			all = append(all, string(plain)) // as names are sent
		}
	}
	fixed := strings.Split(r.Op, "/") // the path's own words
	return slices.DeleteFunc(all, func(v string) bool {
		return v == "" || lenient.IsDigits(v, 1, 5) || slices.Contains(harmless, v) || slices.Contains(fixed, v)
	})
}

// leaves returns the strings in a decoded JSON value.
func leaves(v any) []string {
	var out []string
	switch v := v.(type) {
	case string:
		out = append(out, v)
	case []any:
		for _, e := range v {
			out = append(out, leaves(e)...)
		}
	case map[string]any:
		for _, e := range v {
			out = append(out, leaves(e)...)
		}
	}
	return out
}
