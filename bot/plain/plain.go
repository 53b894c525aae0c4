// Package plain says what people see of the characters that they type.
package plain

import (
	"unicode"
	"unicode/utf8"
)

// Blank reports whether r takes room and shows nothing.
func Blank(r rune) bool {
	switch r {
	case '\u115f', '\u1160', '\u2800', '\u3164', '\uffa0': // fillers, and Braille without dots
		return true
	}
	return unicode.IsSpace(r)
}

// Hidden reports whether r shows nothing and takes no room, or only changes how others are
// shown: controls, joiners, what turns the direction around, variation selectors, tags, and
// what is not a character at all.
func Hidden(r rune) bool {
	if Blank(r) || unicode.Is(unicode.Prepended_Concatenation_Mark, r) { // Arabic signs, of class Cf and yet seen
		return false
	}
	return r == utf8.RuneError ||
		unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// Seen reports whether r shows something.
func Seen(r rune) bool { return !Blank(r) && !Hidden(r) }
