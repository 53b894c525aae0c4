package lenient

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTextReadsEveryType(t *testing.T) {
	for in, want := range map[string]Text{
		`"a"`: "a", `""`: "", `13339451618278424869`: "13339451618278424869", `-1`: "-1", `true`: "true", `null`: "", `{"a":"b"}`: "", `["a"]`: "",
	} {
		var got Text
		require.NoError(t, json.Unmarshal([]byte(in), &got))
		assert.Equal(t, want, got, in)
	}
}

func TestDigits(t *testing.T) {
	for in, want := range map[Text]string{
		"13339451618278424869": "13339451618278424869", " 1 ": "1", "0": "0",
		"": "", "-1": "", "1.5": "", "1e3": "", "１": "", "a": "", "123456789012345678901": "",
	} {
		assert.Equal(t, want, in.Digits(), string(in))
	}
}

func TestLink(t *testing.T) {
	for in, want := range map[string]string{
		"https://h/x?a=b&c=d#e": "https://h/x?a=b&c=d#e", " http://h:8080/ ": "http://h:8080/", "HTTPS://h/": "HTTPS://h/",
		"": "", "//h/x": "", "/x": "", "javascript:alert(1)": "", "data:text/html,x": "", "https://": "", "https://u:p@h/": "",
		"https://h/a b": "", "https://h/\u202ex": "", "https://h/<b>": "", "https://h/\nx": "",
		"https://h/" + strings.Repeat("x", maxLink): "",
	} {
		assert.Equal(t, want, Text(in).Link(), in)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{`"13339451618278424869"`, `13339451618278424869`, `1e3`, `null`, `true`, `{"a":1}`, `[1]`, `"\u0000"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var w struct{ X Text }
		if json.Unmarshal([]byte(`{"X":`+s+`}`), &w) != nil {
			return
		}
		if d := w.X.Digits(); d != "" {
			require.Contains(t, s, d)
		}
		if l := w.X.Link(); l != "" {
			u, err := url.Parse(l)
			require.NoError(t, err)
			require.Contains(t, []string{"http", "https"}, u.Scheme)
			require.NotEmpty(t, u.Host)
		}
	})
}
