package console

import (
	"fmt"
	"meetbot/bot/chat"
	"meetbot/bot/texts"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
	"github.com/mdp/qrterminal/v3"
)

const (
	minWidth   = 40  // columns; below, lines are left to the terminal to break
	maxWidth   = 100 // longer lines are hard to read
	pipedWidth = 80  // where nobody tells
)

// style says how text is marked.
type style struct {
	color    bool
	terminal bool // it understands SGR, whether or not colours are wanted
}

// The marks are SGR parameters:
// https://www.ecma-international.org/publications-and-standards/standards/ecma-48/.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (s style) mark(text string, sgr string) string {
	if !s.color || text == "" || sgr == "" {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

func (s style) tone(t chat.Tone) (sgr, sign string) {
	switch t {
	case chat.Good:
		return green, "✔ "
	case chat.Warning:
		return yellow, "▲ "
	case chat.Bad:
		return red, "✘ "
	}
	return cyan, ""
}

type headerKind int

const (
	everyone headerKind = iota // the channel's message
	thread                     // beneath it
	private                    // the requester alone
	changed                    // the channel's message, edited
)

type header struct {
	kind    headerKind
	follows bool   // the thread's root message is right above
	title   string // of the thread's root message; with private: who else sees it
}

// view says where a message is shown.
type view struct {
	header header
	width  int
	number func(chat.Button) int // nil: without buttons
	brief  bool                  // without links and buttons
}

// message renders one message, with a blank line before it unless it continues a thread.
func (s style) message(t texts.Text, v view, r chat.Reply) string {
	sgr, sign := s.tone(r.Tone)
	var head string
	indent, bar := "", "│"
	switch v.header.kind {
	case everyone:
		head = s.mark("#"+channel, bold)
	case thread:
		head, indent = "╰─ "+t.T("console.thread"), "   "
		if !v.header.follows && v.header.title != "" {
			head += t.Either(": ", "：") + oneLine(v.header.title)
		}
		head = s.mark(head, dim)
	case private:
		head, bar = "◇ "+t.T("console.private"), "┊"
		if v.header.title != "" {
			head = "◇ " + t.T("console.private.other", "Name", oneLine(v.header.title))
		}
		head = s.mark(head, bold)
	case changed:
		head = s.mark("↻ #"+channel, bold) + " " + s.mark(t.T("console.changed"), dim)
	}
	b := block{style: s, width: v.width - len(indent) - 2}
	first, text, weight := r.Title, r.Text, bold
	if first == "" { // then the sign is before the text
		first, text, _ = strings.Cut(r.Text, "\n")
		weight = ""
	}
	if first != "" {
		for i, l := range wrap(sign+plain(first), b.width) {
			rest, signed := strings.CutPrefix(l, sign)
			if i == 0 && signed {
				b.add(s.mark(sign, sgr) + s.mark(rest, weight))
			} else {
				b.add(s.mark(l, weight))
			}
		}
	}
	b.paragraphs(text)
	b.table(rows(r, v.brief))
	if r.Copy != "" {
		b.gap()
		for l := range strings.SplitSeq(plain(r.Copy), "\n") {
			b.add(strings.TrimRight(l, " "))
		}
	}
	if r.QR != "" && b.qr(t, r.QR) {
		b.wrapped(r.QRCaption, "")
	}
	if len(r.Mentions) > 0 {
		var names []string
		for _, u := range r.Mentions {
			names = append(names, mention(u))
		}
		b.gap()
		b.wrapped(strings.Join(names, " "), "")
	}
	if v.number != nil && !v.brief {
		b.buttons(r.Buttons, v.number)
	}
	b.wrapped(r.Note, dim)

	var out strings.Builder
	if v.header.kind != thread || !v.header.follows {
		out.WriteByte('\n')
	}
	out.WriteString(head + "\n")
	for _, l := range b.lines {
		out.WriteString(indent + s.mark(bar, sgr))
		if l != "" {
			out.WriteString(" " + l)
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// row is a labelled value. A URL is never broken: it has to stay one to be clicked.
type row struct {
	name, value string
	url         bool
	heading     bool
}

func rows(r chat.Reply, brief bool) []row {
	var all []row
	for _, f := range r.Fields {
		value := f.Value
		if f.User != nil {
			value = mention(*f.User)
		}
		all = append(all, row{f.Name, value, false, f.Heading})
	}
	if brief {
		return all
	}
	for _, l := range r.Links {
		all = append(all, row{l.Label, l.URL, true, false})
	}
	for _, f := range r.Secrets {
		all = append(all, row{f.Name, f.Value.Reveal(), f.Link, false})
	}
	return all
}

func mention(u chat.User) string {
	if u.Name != "" {
		return "@" + plain(u.Name)
	}
	return "@" + plain(u.ID)
}

// block collects the lines of a message.
type block struct {
	style style
	width int
	lines []string
}

func (b *block) add(l string) { b.lines = append(b.lines, l) }

// gap adds an empty line between parts.
func (b *block) gap() {
	if len(b.lines) > 0 && b.lines[len(b.lines)-1] != "" {
		b.add("")
	}
}

func (b *block) wrapped(text, sgr string) {
	if text == "" {
		return
	}
	for _, l := range wrap(plain(text), b.width) {
		b.add(b.style.mark(l, sgr))
	}
}

func (b *block) paragraphs(text string) {
	for p := range strings.SplitSeq(plain(text), "\n") {
		switch {
		case p != "":
			b.wrapped(p, "")
		case text != "":
			b.gap()
		}
	}
}

// maxLabel is how wide the labels' column may be. The value of a longer label begins on
// a line of its own.
const maxLabel = 28

// minValue is how much room values have beside their labels.
const minValue = 20

func (b *block) table(all []row) {
	column := 0
	for i := range all {
		all[i].name = oneLine(all[i].name)
		if w := width(all[i].name); w <= maxLabel && !all[i].heading {
			column = max(column, w)
		}
	}
	if len(all) > 0 && len(b.lines) > 1 {
		b.gap()
	}
	stacked := column+2+minValue > b.width // each value below its label
	for _, r := range all {
		if r.heading {
			b.gap()
			b.wrapped(r.name, bold)
			continue
		}
		if stacked {
			b.wrapped(r.name, dim)
			for p := range strings.SplitSeq(plain(r.value), "\n") {
				switch {
				case r.url:
					b.add("  " + b.style.mark(oneLine(p), "4"))
				case p != "":
					for _, l := range wrap(p, b.width-2) {
						b.add("  " + l)
					}
				}
			}
			continue
		}
		label := b.style.mark(r.name, dim) + strings.Repeat(" ", max(column-width(r.name), 0)) + "  "
		if r.url {
			b.add(label + b.style.mark(oneLine(r.value), "4"))
			continue
		}
		indent := strings.Repeat(" ", column+2)
		first := true
		if width(r.name) > column && r.value != "" {
			b.wrapped(r.name, dim)
			first = false
		}
		for p := range strings.SplitSeq(plain(r.value), "\n") {
			for _, l := range wrap(p, b.width-column-2) {
				if first {
					b.add(label + l)
				} else {
					b.add(indent + l)
				}
				first = false
			}
		}
	}
}

func (b *block) buttons(all []chat.Button, number func(chat.Button) int) {
	if len(all) == 0 {
		return
	}
	b.gap()
	line, used := "", 0
	for _, button := range all {
		sgr := cyan
		if button.Danger {
			sgr = red
		}
		sign := fmt.Sprintf("[%d]", number(button))
		label := oneLine(button.Label)
		w := len(sign) + 1 + width(label)
		if used > 0 && used+3+w > b.width {
			b.add(line)
			line, used = "", 0
		}
		if used > 0 {
			line, used = line+"   ", used+3
		}
		line, used = line+b.style.mark(sign, bold+";"+sgr)+" "+label, used+w
	}
	b.add(line)
}

// qrQuiet is the light border in modules that readers want around a code: ISO/IEC 18004
// asks for four.
const qrQuiet = 4

// qr draws a code, and reports whether there was room for it.
func (b *block) qr(t texts.Text, text string) bool {
	var code strings.Builder
	qrterminal.GenerateWithConfig(text, qrterminal.Config{
		Level: qrterminal.L, Writer: &code, HalfBlocks: true, QuietZone: qrQuiet,
		BlackChar: qrterminal.BLACK_BLACK, WhiteBlackChar: qrterminal.WHITE_BLACK,
		WhiteChar: qrterminal.WHITE_WHITE, BlackWhiteChar: qrterminal.BLACK_WHITE,
	})
	b.gap()
	for l := range strings.SplitSeq(strings.TrimRight(code.String(), "\n"), "\n") {
		if width(l) > b.width {
			b.wrapped(t.T("console.narrow"), "")
			b.add(oneLine(text))
			return false
		}
		// The blocks are the light modules. White on black whatever the terminal's colours, and
		// also where none are wanted: not every reader takes an inverted code.
		if b.style.terminal {
			l = "\x1b[97;40m" + l + "\x1b[0m"
		}
		b.add(l)
	}
	b.gap()
	return true
}

// greeting is what a person sees first.
func (s style) greeting(t texts.Text, screen int, cfg Config) string {
	var b strings.Builder
	b.WriteString(s.mark("meetbot", bold+";"+cyan))
	if cfg.Sandbox {
		b.WriteString(" · " + s.mark(t.T("sandbox.note"), yellow))
	}
	b.WriteString("\n\n")
	for _, try := range []struct {
		line, what string
		shown      bool
	}{
		{t.T("console.try.meet"), "console.try.meet.what", true},
		{t.T("console.try.push", "Provider", cfg.Push), "console.try.push.what", cfg.Push != ""},
		{"/livepush", "console.try.livepush.what", cfg.Push != ""},
		{t.T("console.try.second"), "console.try.second.what", cfg.Sandbox},
		{"/meet help", "console.try.help.what", true},
	} {
		if !try.shown {
			continue
		}
		const column = 40
		what := t.T(try.what)
		b.WriteString("  " + s.mark(try.line, bold))
		if column+width(what) <= screen {
			b.WriteString(strings.Repeat(" ", max(column-2-width(try.line), 1)) + s.mark(what, dim) + "\n")
			continue
		}
		b.WriteByte('\n')
		for _, l := range wrap(what, screen-4) {
			b.WriteString("    " + s.mark(l, dim) + "\n")
		}
	}
	b.WriteByte('\n')
	for _, l := range wrap(t.T("console.leave"), screen) {
		b.WriteString(s.mark(l, dim) + "\n")
	}
	b.WriteByte('\n')
	return b.String()
}

// echo shows a line that came from a pipe.
func (s style) echo(line string) string { return "\n" + prompt + s.mark(oneLine(line), bold) + "\n" }

func (s style) aside(text string) string { return "\n" + s.mark(text, dim) + "\n" }

func (s style) fault(text string, width int) string {
	var b strings.Builder
	for i, l := range wrap(plain(text), width-4) {
		sign := "    "
		if i == 0 {
			sign = "  ✘ "
		}
		b.WriteString(s.mark(sign+l, red) + "\n")
	}
	return b.String()
}

func (s style) formIntro(t texts.Text, width int, f chat.Form) string {
	return s.message(t, view{width: width, header: header{kind: private}}, chat.Reply{
		Title: f.Title, Text: f.Intro, Note: t.T("console.form.how"),
	})
}

// field shows what is asked, above the line where it is answered.
func (s style) field(t texts.Text, width int, f chat.FormField, fault string) string {
	var b strings.Builder
	b.WriteByte('\n')
	if fault != "" {
		b.WriteString(s.fault(fault, width))
	}
	hint := f.Hint
	if f.Kind == chat.MaskedField {
		hint = strings.TrimSuffix(t.T("console.form.hidden")+" "+hint, " ")
	}
	if f.Placeholder != "" {
		hint = strings.TrimPrefix(hint+" · "+t.T("console.form.example", "Example", f.Placeholder), " · ")
	}
	if hint != "" {
		for _, l := range wrap(plain(hint), width-4) {
			b.WriteString("  " + s.mark(l, dim) + "\n")
		}
	}
	choices := f.Choices
	if yesNo(f) {
		choices = nil
	}
	for i, c := range choices {
		fmt.Fprintf(&b, "  %s %s\n", s.mark(fmt.Sprintf("%2d", i+1), cyan), oneLine(c.Label))
	}
	return b.String()
}

// escapes are whole control sequences, so that nothing of them is left to be read.
var escapes = regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]|\x{9b}[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x{9d}\x{90}])[^\x07\x1b\x{9c}]*(?:\x07|\x1b\\|\x{9c})?|\x1b[ -/]*[0-~]?`)

// plain is text that somebody wrote, without anything by which it could move the cursor,
// change colours, the clipboard or the title, or turn around what stands next to it.
func plain(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7f }) < 0 {
		return text
	}
	text = escapes.ReplaceAllString(text, "")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, text)
}

func oneLine(text string) string { return strings.Join(strings.Fields(plain(text)), " ") }

// columns counts as terminals outside of old Asian ones do: ambiguous signs are narrow.
var columns = &runewidth.Condition{StrictEmojiNeutral: true}

func width(text string) int { return columns.StringWidth(text) }

// wrap breaks a line at blanks, and between characters that are two columns wide, which
// are written without blanks. A longer word stays whole: it may be a URL.
func wrap(text string, limit int) []string {
	lines := []string{""}
	used := 0
	put := func(word string, blank bool) {
		w := width(word)
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last, used = word, w
		case used+w+btoi(blank) > limit:
			lines, used = append(lines, word), w
		case blank:
			*last, used = *last+" "+word, used+1+w
		default:
			*last, used = *last+word, used+w
		}
	}
	for word := range strings.FieldsSeq(text) {
		blank := true
		rest := word
		for rest != "" {
			n := breakable(rest)
			put(rest[:n], blank)
			rest, blank = rest[n:], false
		}
	}
	return lines
}

// breakable returns how many bytes of a word have to stay together.
func breakable(word string) int {
	wide := false
	for i, r := range word {
		w := runewidth.RuneWidth(r) == 2
		if i > 0 && (w || wide) && !noBreakBefore(r) && !closes(r, word[i:]) {
			return i
		}
		wide = w
	}
	return len(word)
}

// noBreakBefore: a line does not begin with closing punctuation, nor within one character.
func noBreakBefore(r rune) bool {
	return unicode.In(r, unicode.Pe, unicode.Pf, unicode.Po, unicode.Mn, unicode.Me, unicode.Cf, unicode.Variation_Selector)
}

// closes reports whether the rest of a word begins with the backtick after a command, as
// opposed to the one before it.
func closes(r rune, rest string) bool {
	return r == '`' && (len(rest) == 1 || rest[1] >= utf8.RuneSelf)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
