// Package texts has the sentences that people read, in both languages, by topic. What is
// said in one language is said in the other; a test compares them.
package texts

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

// The texts are in *.en.json and *.zh-CN.json: message ID to text, with {{.Name}} where a
// value goes. Every ID is in both languages (a test compares them). None has a command or an
// option as it is typed: {{.Here.Command `livepush to` .Name}} and {{.Here.Option `live`}}
// write it as [Words] of the reader's platform do.
//
//go:embed *.json
var textFiles embed.FS

// Locales are the languages that people are answered in; the first is the fallback.
var Locales = []string{"en", "zh-CN"}

var loadTexts = sync.OnceValue(func() *i18n.Bundle {
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("json", func(b []byte, v any) error { return json.Unmarshal(apart(b), v) })
	names, err := fs.Glob(textFiles, "*.json")
	if err != nil {
		panic(err) // unreachable: the pattern is constant
	}
	for _, name := range names {
		if _, err := bundle.LoadMessageFileFS(textFiles, name); err != nil {
			panic(err) // unreachable unless a text file is broken; a test loads them all
		}
	}
	return bundle
})

// Where Chinese meets a value, what the value is decides whether a space stands between the two:
// “Zoom 拒绝了请求”, but “腾讯会议拒绝了请求”. So no text has that space; the value brings it.
var (
	hanFirst = regexp.MustCompile(`(\p{Han}){{(\.\w+)}}`)
	hanLast  = regexp.MustCompile(`{{(\.\w+|\.Apart\.After \.\w+)}}(\p{Han})`)
)

func apart(texts []byte) []byte {
	texts = hanFirst.ReplaceAll(texts, []byte("${1}{{.Apart.After $2}}"))
	return hanLast.ReplaceAll(texts, []byte("{{.Apart.Before ($1)}}$2"))
}

// spaces sets them between Chinese and other letters or digits.
type spaces struct{}

// After returns a value that follows a Chinese character.
func (spaces) After(value any) any {
	s, ok := value.(string)
	if first, _ := utf8.DecodeRuneInString(s); ok && foreign(first) {
		return " " + s
	}
	return value
}

// Before returns a value that a Chinese character follows.
func (spaces) Before(value any) any {
	s, ok := value.(string)
	if last, _ := utf8.DecodeLastRuneInString(s); ok && foreign(last) {
		return s + " "
	}
	return value
}

func foreign(r rune) bool {
	return (unicode.IsLetter(r) || unicode.IsDigit(r)) && !unicode.Is(unicode.Han, r)
}

// Text speaks one language, and on a platform whose [Words] it was given.
type Text struct {
	Locale    string // one of [Locales]
	localizer *i18n.Localizer
	words     Words
}

// Words writes commands and options as people give them where the reader is.
type Words interface {
	// Command writes a declared command, as "livepush to", with what follows it: values by
	// position, and what Option returned.
	Command(verb string, args ...any) any
	// Option writes a declared option, with its value where it has one; "no-" before the name
	// turns a switch off.
	Option(name string, value ...any) any
}

// On returns t with the words of a platform.
func (t Text) On(w Words) Text {
	t.words = w
	return t
}

var localeMatcher = language.NewMatcher([]language.Tag{language.English, language.SimplifiedChinese, language.Chinese})

var languages = sync.OnceValue(func() map[string]Text {
	m := make(map[string]Text, len(Locales))
	for _, l := range Locales {
		m[l] = Text{Locale: l, localizer: i18n.NewLocalizer(loadTexts(), l)}
	}
	return m
})

// For returns the language for the first of the given BCP 47 locales that is not
// empty; every Chinese one is answered in Simplified Chinese, every other in English.
func For(locales ...string) Text {
	for _, l := range locales {
		if l == "" {
			continue
		}
		if t, ok := languages()[l]; ok {
			return t
		}
		return languages()[localesMatched.of(l)]
	}
	return languages()["en"]
}

// matched knows which of [Locales] a locale was matched to: that takes longer than most texts.
type matched struct {
	mu sync.RWMutex
	by map[string]string
}

// maxMatched is how many locales are remembered, of which platforms have some dozens.
const maxMatched = 1000

var localesMatched = matched{by: make(map[string]string)}

func (m *matched) of(locale string) string {
	m.mu.RLock()
	to, ok := m.by[locale]
	m.mu.RUnlock()
	if ok {
		return to
	}
	to = "en"
	tag, _ := language.Parse(locale)
	if _, i, _ := localeMatcher.Match(tag); i > 0 {
		to = "zh-CN"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.by) < maxMatched && len(locale) < 64 {
		m.by[strings.Clone(locale)] = to
	}
	return to
}

// Command writes a declared command as the [Words] of the platform do.
func (t Text) Command(verb string, args ...any) string {
	return fmt.Sprint(t.words.Command(verb, args...))
}

// T returns the text of a message, its placeholders filled from pairs of name and value.
// An unknown ID is returned as it is, so that a person sees something.
func (t Text) T(id string, pairs ...any) string {
	s, err := t.find(id, pairs)
	if err != nil && s == "" {
		return id
	}
	return s
}

// Has reports whether there is a message with that ID.
func (t Text) Has(id string) bool {
	s, err := t.find(id, nil)
	return err == nil && s != ""
}

func (t Text) find(id string, pairs []any) (string, error) {
	data := make(map[string]any, len(pairs)/2+2)
	data["Here"] = t.words // where it is nil, a text that needs it is an error
	data["Apart"] = spaces{}
	for i := 0; i+1 < len(pairs); i += 2 {
		data[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return t.localizer.Localize(&i18n.LocalizeConfig{MessageID: id, TemplateData: data})
}

// Either returns which of the two is in the language: for words that are no text of ours, as
// a product's name.
func (t Text) Either(en, zh string) string {
	if t.Locale == "zh-CN" {
		return zh
	}
	return en
}

// Sentences joins sentences as a paragraph is written.
func (t Text) Sentences(all ...string) string { return strings.Join(all, t.Either(" ", "")) }

// Join joins names as a list is written.
func (t Text) Join(names []string) string { return strings.Join(names, t.T("list.separator")) }
