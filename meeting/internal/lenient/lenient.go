// Package lenient reads what the providers send where they do not keep to one type: ids,
// numbers and flags, now as strings, now not, and links that may be anything.
package lenient

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// Text is a JSON string, number or boolean as text. Both providers send the same field
// now as a number, now as a string, and ids that no int64 holds. Any other JSON value
// reads as "": one odd field must not make a meeting that exists unreadable.
type Text string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Text) UnmarshalJSON(b []byte) error {
	*t = ""
	var s string
	switch {
	case len(b) == 0 || b[0] == '{' || b[0] == '[' || b[0] == 'n':
	case b[0] == '"':
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = Text(s)
	default:
		*t = Text(b)
	}
	return nil
}

// Int returns t as an integer, or 0.
func (t Text) Int() int {
	n, _ := strconv.Atoi(strings.TrimSpace(string(t)))
	return n
}

// Int64 returns t as an integer, or 0.
func (t Text) Int64() int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(string(t)), 10, 64)
	return n
}

// Bool reports whether t says yes.
func (t Text) Bool() bool { return t == "true" || t == "1" }

// Digits returns t if it is a decimal number of at most 20 digits, as meeting ids are,
// else "".
func (t Text) Digits() string {
	s := strings.TrimSpace(string(t))
	if !IsDigits(s, 1, 20) {
		return ""
	}
	return s
}

// IsDigits reports whether s has between lo and hi characters, all of them 0 to 9.
func IsDigits(s string, lo, hi int) bool {
	if len(s) < lo || len(s) > hi {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

const maxLink = 4096 // bytes; SYSTEC's start URLs carry a token of about 700

// Link returns t if it is an absolute http or https URL that can be shown as a link,
// else "".
func (t Text) Link() string {
	s := strings.TrimSpace(string(t))
	if s == "" || len(s) > maxLink || strings.ContainsFunc(s, func(r rune) bool {
		return r == ' ' || !unicode.IsPrint(r) || strings.ContainsRune(`<>"|\`, r) || r == unicode.ReplacementChar
	}) {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil {
		return ""
	}
	return s
}
