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

// A number that none of Go's holds is no number: the largest there is would count as a code, a
// status or a length that nobody sent.
func TestNumbers(t *testing.T) {
	for in, want := range map[Text]int64{
		"200": 200, " 7 ": 7, "-1": -1, "9223372036854775807": 9223372036854775807,
		"": 0, "x": 0, "1.5": 0, "9223372036854775808": 0, "-9223372036854775809": 0, "99999999999999999999999": 0,
	} {
		assert.Equal(t, want, in.Int64(), string(in))
		assert.Equal(t, int(want), in.Int(), string(in))
	}
}

func TestAtLeast(t *testing.T) {
	for _, in := range []Text{"10", "11", " 10 ", "0010", "100", "9223372036854775808", "99999999999999999999999"} {
		assert.True(t, in.AtLeast(10), string(in))
	}
	for _, in := range []Text{"", "x", "9", "009", "-11", "1e9", "10.5", "１１"} {
		assert.False(t, in.AtLeast(10), string(in))
	}
	assert.True(t, Text("1").AtLeast(1))
	assert.False(t, Text("0").AtLeast(1))
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
