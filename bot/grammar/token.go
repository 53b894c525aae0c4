package grammar

import (
	"meetbot/bot/chat"
	"meetbot/bot/plain"
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is one word of a line: what stands between blanks, or between quotes.
type token struct {
	raw    string // cleaned, but with quotes, entities and <…> as they came
	quoted bool   // one pair of quotes encloses all of it
}

// tokenize splits a line at its blanks. Quotes of every kind and Slack's and Discord's
// <…> keep blanks together; a quote that nothing closes is a letter like any other.
func tokenize(line string) []token {
	var tokens []token
	line = clean(line)
	s := scanner{s: line}
	for {
		for s.i < len(line) && line[s.i] == ' ' {
			s.i++
		}
		if s.i == len(line) {
			return tokens
		}
		tokens = append(tokens, s.token())
	}
}

// scanner finds the ends of tokens. Every search either moves i to what it found or is
// remembered as fruitless, so that the whole line takes linear time.
type scanner struct {
	s       string
	i       int
	missing string // what does not occur after i
}

func (s *scanner) token() token {
	start, i := s.i, s.i
	quoted := false
	for i < len(s.s) && s.s[i] != ' ' {
		c := s.s[i]
		if c < utf8.RuneSelf && c != '"' && c != '\'' { // nearly all
			i++
			if c == '<' {
				i = max(i, s.angle(i))
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(s.s[i:])
		before := s.s[start:i]
		i += size
		if quotes := closers(r); quotes != "" && opens(before) {
			if end := s.closing(quotes, i); end > 0 {
				i, quoted = end, before == "" && (end == len(s.s) || s.s[end] == ' ')
			}
		}
	}
	s.i = i
	return token{s.s[start:i], quoted}
}

// opens reports whether a quote that stands behind the beginning of a token opens.
func opens(before string) bool {
	last, _ := utf8.DecodeLastRuneInString(before)
	return before == "" || strings.ContainsRune("=:,＝：，、", last)
}

// closers are what ends a quotation that a rune opens, best first: keyboards mix them.
func closers(open rune) string {
	switch open {
	case '"':
		return `"`
	case '“':
		return `”"“`
	case '”', '„', '‟':
		return `”“"`
	case '＂':
		return `＂`
	case '\'':
		return `'`
	case '‘':
		return `’'`
	case '‚', '‛':
		return `‘’`
	case '«':
		return `»`
	case '»':
		return `«`
	case '「':
		return `」`
	case '『':
		return `』`
	}
	return ""
}

// closing returns the end of the quotation that begins before from and that one of quotes
// closes; 0 if there is none. An apostrophe closes only at the end of a word.
func (s *scanner) closing(quotes string, from int) int {
	for _, c := range quotes {
		if strings.ContainsRune(s.missing, c) {
			continue
		}
		apostrophe := c == '\'' || c == '’'
		for at := from; ; {
			n := strings.IndexRune(s.s[at:], c)
			if n < 0 {
				break
			}
			at += n + utf8.RuneLen(c)
			if !apostrophe || at == len(s.s) || endsWord(s.s[at:]) {
				return at
			}
		}
		s.missing += string(c)
	}
	return 0
}

func endsWord(rest string) bool {
	r, _ := utf8.DecodeRuneInString(rest)
	return r == ' ' || r == ',' || r == '，' || r == '、'
}

// angle returns the end of the <…> that begins before from; 0 if it is just a sign.
func (s *scanner) angle(from int) int {
	rest := s.s[from:]
	if !markup(rest) || strings.IndexByte(s.missing, '>') >= 0 {
		return 0
	}
	n := 0
	for n < len(rest) && rest[n] != '<' && rest[n] != '>' {
		n++
	}
	if n == len(rest) {
		s.missing += ">" // nor is there a '<' to ask again
		return 0
	}
	if rest[n] == '<' {
		return 0
	}
	return from + n + 1
}

// markup reports whether what follows a '<' is what platforms put there: a mention, a
// channel, an emoji, or a URL.
func markup(s string) bool {
	if s == "" {
		return false
	}
	switch s[0] {
	case '@', '#', '!', ':', '/':
		return true
	}
	for i := range min(len(s), 12) {
		c := s[i] | 0x20
		switch {
		case 'a' <= c && c <= 'z':
		case s[i] == ':':
			return i > 0
		default:
			return false
		}
	}
	return false
}

// clean removes what nobody sees: control characters, zero-width and private-use ones,
// and those that turn the direction of the text around. What a script needs to be spelt
// stays. Every blank becomes a space.
func clean(s string) string {
	i := 0
	for i < len(s) && ' ' <= s[i] && s[i] < 0x7f {
		i++
	}
	var b []byte // nil as long as nothing has changed
	kept := 0    // what stands before is in b
	var last rune
	for i < len(s) {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		to := r
		switch {
		case ' ' <= r && r < 0x7f, '一' <= r && r <= '鿿', '！' <= r && r <= '～', '‐' <= r && r <= '‧', '、' <= r && r <= '】': // the common ones first
		case plain.Blank(r):
			to = ' '
		case r == zeroWidthJoiner || r == zeroWidthNonJoiner:
			if next, _ := utf8.DecodeRuneInString(s[i+size:]); !joins(last, r, next) {
				to = -1
			}
		case r == mongolianVowelSeparator, unicode.Is(unicode.Prepended_Concatenation_Mark, r): // seen, though of class Cf
		case r == utf8.RuneError, unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs):
			to = -1
		}
		if to != r {
			b = append(b, s[kept:i]...)
			if to >= 0 {
				b = append(b, byte(to))
			}
			kept = i + size
		}
		if to >= 0 {
			last = to
		}
		i += size
	}
	if kept == 0 {
		return s
	}
	return string(append(b, s[kept:]...))
}

const (
	zeroWidthNonJoiner      = '\u200c'
	zeroWidthJoiner         = '\u200d'
	mongolianVowelSeparator = '\u180e'
)

// joining are the scripts whose spelling needs joiners: those that are written joined up,
// and those of India and around it, where a joiner chooses the form of a conjunct.
// https://www.unicode.org/reports/tr31/#Layout_and_Format_Control_Characters
var joining = []*unicode.RangeTable{
	unicode.Arabic, unicode.Syriac, unicode.Mongolian, unicode.Nko, unicode.Mandaic, unicode.Manichaean, unicode.Psalter_Pahlavi, unicode.Adlam,
	unicode.Hanifi_Rohingya, unicode.Phags_Pa, unicode.Sogdian, unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi, unicode.Gujarati,
	unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala, unicode.Tibetan, unicode.Myanmar,
	unicode.Khmer, unicode.Balinese, unicode.Javanese, unicode.Meetei_Mayek, unicode.Tirhuta, unicode.Newa, unicode.Grantha, unicode.Chakma,
}

// joins reports whether a joiner between two characters does something: it makes one emoji
// of several, or tells how letters are written. One at the end of an Arabic word shows the
// last letter as if more followed, as in the abbreviation of the Persian calendar's name.
func joins(last, joiner, next rune) bool {
	if joiner == zeroWidthJoiner && joinable(last) && joinable(next) {
		return true
	}
	letter := func(r rune) bool { return unicode.In(r, unicode.L, unicode.M) && unicode.In(r, joining...) }
	return letter(last) && (letter(next) || joiner == zeroWidthJoiner && unicode.Is(unicode.Arabic, last))
}

// joinable reports whether r can be a part of an emoji sequence.
func joinable(r rune) bool {
	return r == '\ufe0f' || r >= 0x2190 && unicode.In(r, unicode.So, unicode.Sk)
}

// word is what a token, or the value of a flag, says.
type word struct {
	text     string // without quotes around it; with markup as people see it
	url      string // of a <URL|label> that is all of it
	mentions []chat.User
	channels []string // IDs
	groups   []string // IDs of groups and roles
}

// address is the word as a URL.
func (w word) address() string {
	if w.url != "" {
		return w.url
	}
	return w.text
}

func (t token) word() word { return read(unquote(t.raw, t.quoted)) }

func unquote(raw string, quoted bool) string {
	if !quoted {
		return raw
	}
	_, open := utf8.DecodeRuneInString(raw)
	_, end := utf8.DecodeLastRuneInString(raw)
	return raw[open : len(raw)-end]
}

// valueWord reads what stands behind a flag's "=", where quotes may enclose it.
func valueWord(raw string) word { return glued(raw).word() }

// read resolves markup and entities.
func read(s string) word {
	w := word{}
	if strings.IndexByte(s, '<') < 0 {
		w.text = unescape(s)
		return w
	}
	if sc := (scanner{s: s}); s[0] == '<' && sc.angle(1) == len(s) {
		shown, url := w.resolve(s[1 : len(s)-1])
		w.text, w.url = unescape(shown), unescape(url)
		return w
	}
	var b strings.Builder
	w.add(&b, s)
	w.text = b.String()
	return w
}

// add writes what s says to b, and takes down who and what is mentioned in it.
func (w *word) add(b *strings.Builder, s string) {
	sc := scanner{s: s}
	plain := 0
	for i := 0; ; {
		n := strings.IndexByte(s[i:], '<')
		if n < 0 {
			break
		}
		i += n + 1
		end := sc.angle(i)
		if end == 0 {
			continue
		}
		writeUnescaped(b, s[plain:i-1])
		shown, _ := w.resolve(s[i : end-1])
		writeUnescaped(b, shown)
		i, plain = end, end
	}
	writeUnescaped(b, s[plain:])
}

// resolve says what the inside of a <…> shows, and the URL that it stands for, and takes
// down a person or a channel. A person without a name is shown as "@ID".
func (w *word) resolve(s string) (shown, url string) {
	target, label, _ := strings.Cut(s, "|")
	switch {
	case strings.HasPrefix(target, "@&"), strings.HasPrefix(target, "#"):
		sign := target[:1]
		if sign == "#" {
			w.channels = append(w.channels, target[1:])
		} else {
			w.groups = append(w.groups, target[2:])
		}
		if label != "" {
			return sign + strings.TrimLeft(label, "@#"), ""
		}
		return sign + strings.TrimLeft(target, "@&#"), ""
	case strings.HasPrefix(target, "@"):
		who := chat.User{ID: strings.TrimPrefix(target[1:], "!")}
		who.Name = strings.TrimSpace(strings.TrimPrefix(unescape(label), "@"))
		if who.ID != "" {
			w.mentions = append(w.mentions, who)
		}
		if who.Name == "" {
			return "@" + who.ID, ""
		}
		return who.Name, ""
	case strings.HasPrefix(target, "!"):
		if _, id, group := strings.Cut(target, "^"); group {
			w.groups = append(w.groups, id)
		}
		if label != "" {
			return label, ""
		}
		return "@" + target[1:], ""
	case strings.HasPrefix(target, ":"), strings.HasPrefix(target, "a:") && strings.Count(target, ":") == 2:
		_, name, _ := strings.Cut(target, ":")
		name, _, _ = strings.Cut(name, ":")
		return ":" + name + ":", ""
	case strings.HasPrefix(target, "/"):
		name, _, _ := strings.Cut(target, ":")
		return name, ""
	}
	if label == "" {
		label = target
	}
	return label, target
}

// unescape resolves the three entities that Slack makes; once, so that "&amp;lt;" is "&lt;".
func unescape(s string) string {
	if strings.IndexByte(s, '&') < 0 {
		return s
	}
	var b strings.Builder
	writeUnescaped(&b, s)
	return b.String()
}

func writeUnescaped(b *strings.Builder, s string) {
	for {
		at := strings.IndexByte(s, '&')
		if at < 0 {
			b.WriteString(s)
			return
		}
		b.WriteString(s[:at])
		s = s[at:]
		sign, size := byte('&'), 1
		switch {
		case strings.HasPrefix(s, "&amp;"):
			size = len("&amp;")
		case strings.HasPrefix(s, "&lt;"):
			sign, size = '<', len("&lt;")
		case strings.HasPrefix(s, "&gt;"):
			sign, size = '>', len("&gt;")
		}
		b.WriteByte(sign)
		s = s[size:]
	}
}

// flag is what a token says if it is one.
type flag struct {
	name    string // without dashes, in lower case
	value   string // raw
	given   bool   // there was a "="
	certain bool   // "--" before a letter: nobody begins a word of a topic so
}

// asFlag reads "--name", "--name=value", and what keyboards make of them: an em dash for
// the two dashes, full-width signs, a colon for the equals sign.
func (t token) asFlag() (flag, bool) {
	hyphens, rest := 0, t.raw
	for rest != "" {
		r, size := rune(rest[0]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(rest)
		}
		if r != '-' && !isDash(r) {
			break
		}
		rest = rest[size:]
		if r == '-' || r == '－' {
			hyphens++
		}
	}
	if len(rest) == len(t.raw) || rest == "" || t.quoted {
		return flag{}, false
	}
	f := flag{name: rest}
	for i, r := range rest {
		if r == '=' || r == ':' || r == '＝' || r == '：' {
			f.name, f.value, f.given = rest[:i], rest[i+utf8.RuneLen(r):], true
			break
		}
	}
	f.certain = hyphens >= 2 && isLetter(f.name)
	if !plainName(f.name) {
		f.name = foldFlag(f.name)
	}
	return f, f.name != ""
}

func isDash(r rune) bool { return '\u2010' <= r && r <= '\u2015' || r == '\u2212' || r == '－' }

func isLetter(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || 'ａ' <= r && r <= 'ｚ' || 'Ａ' <= r && r <= 'Ｚ'
}

func plainName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && c != '-' {
			return false
		}
	}
	return true
}

// foldFlag writes a flag's name the way it is declared.
func foldFlag(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case '！' <= r && r <= '～':
			return unicode.ToLower(r - '！' + '!')
		case isDash(r), r == '_':
			return '-'
		}
		return unicode.ToLower(r)
	}, s)
}
