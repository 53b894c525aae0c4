package texts

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// messages returns the texts of one language, as the files have them.
func messages(t *testing.T, locale string) map[string]string {
	t.Helper()
	entries, err := textFiles.ReadDir(".")
	require.NoError(t, err)
	all := map[string]string{}
	name := regexp.MustCompile(`^[a-z]+\.` + regexp.QuoteMeta(locale) + `\.json$`)
	for _, e := range entries {
		if !name.MatchString(e.Name()) {
			continue
		}
		b, err := textFiles.ReadFile(e.Name())
		require.NoError(t, err)
		var m map[string]string
		require.NoError(t, json.Unmarshal(b, &m), e.Name())
		for id, text := range m {
			assert.NotContains(t, all, id, "in two files")
			all[id] = text
		}
	}
	require.NotEmpty(t, all)
	return all
}

func TestBothLanguagesSayTheSameThings(t *testing.T) {
	// What is typed after a command may be in the reader's language.
	placeholder := regexp.MustCompile("{{\\.\\w+}}|\\.Here\\.\\w+ `[^`]+`")
	en, zh := messages(t, "en"), messages(t, "zh-CN")
	for id, text := range en {
		if !assert.Contains(t, zh, id, "not in zh-CN") {
			continue
		}
		want, got := placeholder.FindAllString(text, -1), placeholder.FindAllString(zh[id], -1)
		slices.Sort(want)
		slices.Sort(got)
		assert.Equal(t, slices.Compact(want), slices.Compact(got), "placeholders of %s", id)
		assert.NotEqual(t, id, For("en").On(someWords{}).T(id))
		assert.NotEmpty(t, zh[id])
	}
	for id := range zh {
		assert.Contains(t, en, id, "not in en")
	}
}

type someWords struct{}

func (someWords) Command(verb string, _ ...any) any { return "/" + verb }
func (someWords) Option(name string, _ ...any) any  { return "--" + name }

func TestLocalesAreMatched(t *testing.T) {
	for locale, want := range map[string]string{
		"": "en", "en": "en", "en-GB": "en", "en-US": "en", "fr": "en", "nonsense-": "en",
		"zh": "zh-CN", "zh-CN": "zh-CN", "zh-TW": "zh-CN", "zh-Hant-HK": "zh-CN",
	} {
		assert.Equal(t, want, For(locale).Locale, locale)
	}
	assert.Equal(t, "zh-CN", For("", "zh-CN").Locale)
}

// TestNoTextNamesACommandItself: what people type is not the same on every platform.
func TestNoTextNamesACommandItself(t *testing.T) {
	typed := regexp.MustCompile(`(?:^|[^\w.:/])/(?:meet|livepush|dest|会议|推流)|(?:^|[^\w-])--\p{L}|(?i)slack|discord`)
	markup := regexp.MustCompile("`")
	for _, locale := range Locales {
		for id, text := range messages(t, locale) {
			if id == "platform.slack" || id == "platform.discord" {
				continue // their names
			}
			platform, _, _ := strings.Cut(id, ".")
			rest := regexp.MustCompile(`{{[^}]*}}`).ReplaceAllString(text, "")
			if platform == "slack" || platform == "discord" { // said there only
				rest = regexp.MustCompile(`(?i)slack|discord`).ReplaceAllString(rest, "")
			}
			assert.Empty(t, typed.FindAllString(rest, -1), "%s in %s names what is typed on one platform", id, locale)
			assert.Empty(t, markup.FindAllString(rest, -1), "%s in %s has markup, which platforms show as it is", id, locale)
		}
	}
}

func TestATextWithoutWordsNamesNoCommand(t *testing.T) {
	assert.Equal(t, "list.none", For("en").T("list.none"), "better no sentence than a wrong one")
}

// TestSpacesInChinese: docs/contributing.md, "How we write", has the rule.
func TestSpacesInChinese(t *testing.T) {
	var (
		value   = regexp.MustCompile(`{{[^}]*}}`)
		touch   = regexp.MustCompile(`\p{Han}[A-Za-z0-9]|[A-Za-z0-9]\p{Han}`)
		narrow  = regexp.MustCompile(`\p{Han}[,;:?!()]|[,;:?!()]\p{Han}`)
		product = regexp.MustCompile(`\p{Han} {{\.(?:Provider|Other|Preset|Platform|Detected|Chat|Person|Owner)}}|{{\.(?:Provider|Other|Preset|Platform|Detected|Chat|Person|Owner)}} \p{Han}`)
	)
	for id, text := range messages(t, "zh-CN") {
		rest := strings.ReplaceAll(value.ReplaceAllString(text, "\x00"), "B站", "") // as its viewers write it
		assert.Empty(t, touch.FindAllString(rest, -1), "%s: a space stands between Chinese and other letters or digits", id)
		assert.Empty(t, narrow.FindAllString(rest, -1), "%s: punctuation of full width", id)
		assert.Empty(t, product.FindAllString(text, -1), "%s: the name of a product or a person brings its space", id)
	}
}

func TestAValueBringsItsSpace(t *testing.T) {
	zh := For("zh-CN")
	for name, want := range map[string]string{
		"Zoom": "对 Zoom 的请求过于频繁，请一分钟后重试。",
		"腾讯会议": "对腾讯会议的请求过于频繁，请一分钟后重试。",
		"":     "对的请求过于频繁，请一分钟后重试。",
	} {
		assert.Equal(t, want, zh.T("fault.rate", "Provider", name))
	}
	assert.Equal(t, "这里的会议使用 SYSTEC，不支持直播推流。", zh.T("which.no_push_anywhere", "Provider", "SYSTEC"))
	assert.NotContains(t, zh.T("fault.rate"), "Apart", "nor where the value is missing")
	assert.Equal(t, "Zoom is limiting my requests right now. Try again in a minute.", For("en").T("fault.rate", "Provider", "Zoom"))
}

func TestForALocale(t *testing.T) {
	for locale, want := range map[string]string{
		"": "en", "en": "en", "en-GB": "en", "de": "en", "xx-nonsense!": "en", strings.Repeat("x", 1000): "en",
		"zh": "zh-CN", "zh-CN": "zh-CN", "zh-TW": "zh-CN", "zh-Hant-HK": "zh-CN",
	} {
		for range 2 { // the second time it is remembered
			assert.Equal(t, want, For(locale).Locale, locale)
		}
	}
	assert.Equal(t, "zh-CN", For("", "zh-TW", "en").Locale, "the first that is not empty")
	for i := range 2 * maxMatched {
		For(fmt.Sprintf("en-x-a%d", i))
	}
	assert.Len(t, localesMatched.by, maxMatched, "a person may set any locale, so not all are remembered")
	assert.Equal(t, "zh-CN", For("zh-MO").Locale)
}
