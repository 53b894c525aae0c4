package texts

import (
	"encoding/json"
	"regexp"
	"slices"
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
	placeholder := regexp.MustCompile(`{{\.\w+}}`)
	en, zh := messages(t, "en"), messages(t, "zh-CN")
	for id, text := range en {
		if !assert.Contains(t, zh, id, "not in zh-CN") {
			continue
		}
		want, got := placeholder.FindAllString(text, -1), placeholder.FindAllString(zh[id], -1)
		slices.Sort(want)
		slices.Sort(got)
		assert.Equal(t, slices.Compact(want), slices.Compact(got), "placeholders of %s", id)
		assert.NotEqual(t, id, For("en").T(id))
		assert.NotEmpty(t, zh[id])
	}
	for id := range zh {
		assert.Contains(t, en, id, "not in en")
	}
}

func TestLocalesAreMatched(t *testing.T) {
	for locale, want := range map[string]string{
		"": "en", "en": "en", "en-GB": "en", "en-US": "en", "fr": "en", "nonsense-": "en",
		"zh": "zh-CN", "zh-CN": "zh-CN", "zh-TW": "zh-CN", "zh-Hant-HK": "zh-CN",
	} {
		assert.Equal(t, want, For(locale).Locale, locale)
	}
	assert.Equal(t, "zh-CN", For("", "zh-CN").Locale)
}
