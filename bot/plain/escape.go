package plain

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Escape returns a writer that writes what can act on a terminal, or turns a line's direction
// around, as \u and its code: everything that [Hidden] is true of, and every control but the
// end of a line and the tab. Of JSON that changes only how it is written. Bytes that are not
// UTF-8 become \ufffd. A character may be split over two writes; otherwise nothing is held back.
func Escape(w io.Writer) io.Writer { return &escaper{w: w} }

type escaper struct {
	w    io.Writer
	rest []byte // the beginning of a character
}

// Write implements [io.Writer]: what it holds back counts as written.
func (e *escaper) Write(p []byte) (int, error) {
	in := append(e.rest, p...)
	e.rest = nil
	out := make([]byte, 0, len(in))
	for len(in) > 0 {
		if c := in[0]; c < utf8.RuneSelf {
			if ' ' <= c && c < 0x7f || c == '\n' || c == '\t' {
				out = append(out, c)
			} else {
				out = fmt.Appendf(out, `\u%04x`, c)
			}
			in = in[1:]
			continue
		}
		if !utf8.FullRune(in) {
			e.rest = append(e.rest, in...)
			break
		}
		r, size := utf8.DecodeRune(in)
		switch high, low := utf16.EncodeRune(r); {
		case !acts(r):
			out = append(out, in[:size]...)
		case high == unicode.ReplacementChar: // one unit is enough
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		}
		in = in[size:]
	}
	if _, err := e.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// acts reports whether r does something else than show itself.
func acts(r rune) bool {
	return Hidden(r) || unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp)
}
