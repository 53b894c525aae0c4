// Package lenient reads what the providers send where they do not keep to one type: ids,
// numbers and flags, now as strings, now not, and links that may be anything.
package lenient

import (
	"encoding/json"
	"math"
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

// Int returns t as an integer, or 0: also where it is one that no int holds.
func (t Text) Int() int {
	n, err := strconv.Atoi(strings.TrimSpace(string(t)))
	if err != nil { // n is then the largest there is, if t is larger
		return 0
	}
	return n
}

// Int64 is [Text.Int] with 64 bits.
func (t Text) Int64() int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(string(t)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// AtLeast reports whether t is a whole number of n or more, n from 0, however large it is.
func (t Text) AtLeast(n int) bool {
	digits := strings.TrimLeft(strings.TrimSpace(string(t)), "0")
	least := strconv.Itoa(n)
	return IsDigits(digits, len(least), math.MaxInt) && (len(digits) > len(least) || digits >= least)
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
