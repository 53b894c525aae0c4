package grammar

import (
	"fmt"
	"meetbot/bot/chat"
	"meetbot/meeting"
	"meetbot/meeting/systec"
	"meetbot/meeting/tencent"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func wordsOf(tokens []token) []string {
	all := []string{}
	for _, t := range tokens {
		all = append(all, t.word().text)
	}
	return all
}

func TestLinesAreSplitAsPeopleMeanThem(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		want       []string
	}{
		{"Nothing", "", []string{}},
		{"Blanks", " \t\u00a0\u3000\n ", []string{}},
		{"Words", "a  b\u00a0c\u3000d\ne", []string{"a", "b", "c", "d", "e"}},
		{"Quotes", `"a b" 'c d'`, []string{"a b", "c d"}},
		{"SmartQuotes", "“a b” ‘c d’ „e f“ «g h» »i j«", []string{"a b", "c d", "e f", "g h", "i j"}},
		{"ChineseQuotes", "「周 会」 『例 会』 ＂总 结＂", []string{"周 会", "例 会", "总 结"}},
		{"MixedQuotes", "“a b\" c", []string{"a b", "c"}},
		{"TurnedQuotes", "”a b“ c", []string{"a b", "c"}},
		{"NestedQuotes", `"say “hello there” now"`, []string{"say “hello there” now"}},
		{"EmptyQuotes", `"" a`, []string{"", "a"}},
		{"Apostrophes", "don't rock 'n' roll O’Neill’s", []string{"don't", "rock", "n", "roll", "O’Neill’s"}},
		{"ApostropheFirst", "'tis the season ’cause", []string{"'tis", "the", "season", "’cause"}},
		{"ApostropheInQuotes", "'don't do it'", []string{"don't do it"}},
		{"OpenQuote", `"a b`, []string{`"a`, "b"}},
		{"CloseQuote", `a" b`, []string{`a"`, "b"}},
		{"QuoteInAWord", `5" disc 双“十一”`, []string{`5"`, "disc", "双“十一”"}},
		{"QuoteBeforeAWord", "“双 十一”复盘", []string{"“双 十一”复盘"}},
		{"QuotedValue", `--name="B 站" --name：“抖 音”`, []string{`--name="B 站"`, "--name：“抖 音”"}},
		{"QuotedList", `"B 站","抖 音"、「快 手」`, []string{`"B 站","抖 音"、「快 手」`}},
		{"Entities", "&lt;a&gt; &amp;amp; AT&amp;T &quot; &", []string{"<a>", "&amp;", "AT&T", "&quot;", "&"}},
		{"Link", "<https://a.example/x?y=1&amp;z=2|what people see> <http://b.example>", []string{"what people see", "http://b.example"}},
		{"LinkInside", "(<http://b.example|b.example>)", []string{"(b.example)"}},
		{"Mentions", "<@U1|ann> <@!42> <@&7> <#C1|general> <#9> <!here> <!subteam^S1|@ops>", []string{"ann", "@42", "@7", "#general", "#9", "@here", "@ops"}},
		{"MentionWithBlank", "<@U1|Ann B>", []string{"Ann B"}},
		{"Emoji", "<:party:1> <a:wave:2> 👨‍👩‍👧 ❤️ 👍🏽", []string{":party:", ":wave:", "👨‍👩‍👧", "❤️", "👍🏽"}},
		{"SlashMention", "</meet:123>", []string{"/meet"}},
		{"JustSigns", "a < b > c <3 <> <a", []string{"a", "<", "b", ">", "c", "<3", "<>", "<a"}},
		{"OpenMarkup", "<@U1 <https://x.example", []string{"<@U1", "<https://x.example"}},
		{"Invisible", "a\u200bb\ufeffc\u00add\u2060", []string{"abcd"}},
		{"Direction", "a\u202eb\u2066c\u200f", []string{"abc"}},
		{"Control", "a\x00b\x1b[31m\x7f", []string{"ab[31m"}},
		{"PrivateUse", "a\ue000\U000f0000b", []string{"ab"}},
		{"Fillers", "a\u3164b", []string{"a", "b"}},
		{"LoneJoiner", "a\u200db", []string{"ab"}},
		{"LoneNonJoiner", "a\u200cb \u200c周\u200c会", []string{"ab", "周会"}},
		{"Persian", "جلسهٔ می\u200cخواهم کتاب\u200cها", []string{"جلسهٔ", "می\u200cخواهم", "کتاب\u200cها"}},
		{"PersianCalendar", "۱۴۰۵ ه\u200d.ش", []string{"۱۴۰۵", "ه\u200d.ش"}},
		{"Devanagari", "क\u094d\u200dष क\u094d\u200cष", []string{"क\u094d\u200dष", "क\u094d\u200cष"}},
		{"Bengali", "র\u200d\u09cdয\u09beম", []string{"র\u200d\u09cdয\u09beম"}},
		{"Sinhala", "ශ\u0dca\u200dර\u0dd3", []string{"ශ\u0dca\u200dර\u0dd3"}},
		{"Malayalam", "ന\u0d4d\u200dറ", []string{"ന\u0d4d\u200dറ"}},
		{"Kannada", "ರ\u200d\u0ccdಕ", []string{"ರ\u200d\u0ccdಕ"}},
		{"Mongolian", "ᠰᠠᠶᠢᠬᠠᠨ\u180eᠠ", []string{"ᠰᠠᠶᠢᠬᠠᠨ\u180eᠠ"}},
		{"ArabicSigns", "\u06dd۱۲ \u0600۳", []string{"\u06dd۱۲", "\u0600۳"}},
		{"JoinersInARow", "می\u200c\u200c\u200cخواهم", []string{"می\u200cخواهم"}},
		{"JoinersAround", "\u200cمی\u200c \u200dمی", []string{"می", "می"}},
		{"NoUTF8", "a\xffb \xf0\x9f", []string{"ab"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, wordsOf(tokenize(tt.line)))
		})
	}
}

func TestFlagsAreReadInEveryWidth(t *testing.T) {
	for _, tt := range []struct {
		raw  string
		want flag
		ok   bool
	}{
		{"--name", flag{name: "name", certain: true}, true},
		{"--name=a=b", flag{name: "name", value: "a=b", given: true, certain: true}, true},
		{"--name:a", flag{name: "name", value: "a", given: true, certain: true}, true},
		{"－－name＝B站", flag{name: "name", value: "B站", given: true, certain: true}, true},
		{"－－ｎａｍｅ：B站", flag{name: "name", value: "B站", given: true, certain: true}, true},
		{"--Join_Before–Host", flag{name: "join-before-host", certain: true}, true},
		{"—name", flag{name: "name"}, true},
		{"——name", flag{name: "name"}, true},
		{"–-name", flag{name: "name"}, true},
		{"-name", flag{name: "name"}, true},
		{"--静音", flag{name: "静音"}, true},
		{"--", flag{}, false},
		{"—", flag{}, false},
		{"--=x", flag{value: "x", given: true}, false},
		{"name", flag{}, false},
		{"a--b", flag{}, false},
	} {
		t.Run(tt.raw, func(t *testing.T) {
			got, ok := token{raw: tt.raw}.asFlag()
			assert.Equal(t, tt.ok, ok)
			if ok {
				assert.Equal(t, tt.want, got)
			}
		})
	}
	_, ok := token{raw: `"--name"`, quoted: true}.asFlag()
	assert.False(t, ok, "what is quoted is no option")
}

func TestALinkIsAnAddressAndALabel(t *testing.T) {
	w := tokenize("<https://meeting.tencent.com/dm/x|here>")[0].word()
	assert.Equal(t, "here", w.text)
	assert.Equal(t, "https://meeting.tencent.com/dm/x", w.address())
	w = tokenize("see:<https://meeting.tencent.com/dm/x|here>")[0].word()
	assert.Equal(t, "see:here", w.address(), "as typed, where it is a part")
}

// FuzzTokenize: nothing panics, no token has a blank that no quote or markup explains,
// nothing invisible survives, and what is quoted comes back as it was.
func FuzzTokenize(f *testing.F) {
	for _, s := range []string{
		"", "a b", `"a b" --x="c d"`, "“a” ‘b’ «c»", "<@U1|ann> <https://x|y> &amp;", "\u200b\u202e\xff", "'don't'", "『a", "—name＝值",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		tokens := tokenize(line)
		var joined strings.Builder
		for _, tok := range tokens {
			require.NotEmpty(t, tok.raw)
			joined.WriteString(tok.raw)
			text := tok.word().text
			require.True(t, utf8.ValidString(text))
			for _, r := range text {
				require.False(t, unicode.IsControl(r) || unicode.In(r, unicode.Co, unicode.Cs), "%q", text)
				require.False(t, unicode.Is(unicode.Cf, r) && r != zeroWidthJoiner && r != zeroWidthNonJoiner &&
					r != mongolianVowelSeparator && !unicode.Is(unicode.Prepended_Concatenation_Mark, r), "%q", text)
			}
			if f, ok := tok.asFlag(); ok {
				valueWord(f.value)
			}
		}
		// The tokens are all of the line but its blanks.
		require.Equal(t, strings.ReplaceAll(clean(line), " ", ""), strings.ReplaceAll(joined.String(), " ", ""))
		// A token that stood in a line is the same in a line of its own.
		for _, tok := range tokens {
			again := tokenize(tok.raw)
			if tok.quoted {
				require.Len(t, again, 1, "%q", tok.raw)
				require.Equal(t, tok, again[0])
			}
		}
		// What is quoted comes back.
		plain := clean(strings.Map(func(r rune) rune {
			if strings.ContainsRune(`"&<>`, r) {
				return -1
			}
			return r
		}, line))
		if plain != "" {
			quoted := tokenize(`x "` + plain + `" y`)
			require.Len(t, quoted, 3, "%q", plain)
			require.Equal(t, plain, quoted[1].word().text)
		}
	})
}

// FuzzKey: whatever letters a key has, it arrives whole, in every way of giving it.
func FuzzKey(f *testing.F) {
	for _, s := range []string{"abcd-efgh", "?a=b&c=d", "live_1?txSecret=a&txTime=66C35660", "a'b", `a"b`, "--x", "-", "a=b:c,d", "&lt=5&amp=1"} {
		f.Add(s)
	}
	p := New(Config{Kinds: meeting.Kinds{systec.Kind, tencent.Kind}})
	f.Fuzz(func(t *testing.T, key string) {
		if key == "" || len(key) > 200 || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) ||
			strings.ContainsAny(key, "<>") || strings.Contains(key, "&amp;") || strings.Contains(key, "&lt;") || strings.Contains(key, "&gt;") ||
			IsPushURL(key) || strings.ContainsAny(key[:1]+key[len(key)-1:], `"'`) {
			t.Skip("markup, quotes around it, or no key")
		}
		for _, line := range []string{
			"--url rtmp://live.example.com/app --key=" + key,
			"--url rtmp://live.example.com/app --key：" + key + " --name x",
			"--url rtmp://live.example.com/app --key=" + strings.ReplaceAll(key, "&", "&amp;"),
		} {
			d := p.Parse(chat.Request{Command: "livepush", Text: line})
			require.NotNil(t, d.Ask, "%q: %+v", line, d.Reply)
			require.Equal(t, key, AskOf(d).Push.Key.Reveal(), line)
			require.NotContains(t, fmt.Sprintf("%+v", d), "Key:"+key)
		}
		d := p.Parse(chat.Request{Command: "livepush", Options: map[string]string{"url": "rtmp://live.example.com/app", "key": key}})
		require.NotNil(t, d.Ask)
		require.Equal(t, key, AskOf(d).Push.Key.Reveal())
	})
}
