package plain

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryCharacterIsBlankHiddenOrSeen(t *testing.T) {
	for _, r := range "a周é\u0301😀ｱ1-·\u06dd" {
		assert.True(t, Seen(r), "%U", r)
	}
	for _, r := range " \t\n\u00a0\u3000\u2003\u2028\u115f\u1160\u3164\uffa0\u2800" {
		assert.True(t, Blank(r), "%U", r)
		assert.False(t, Hidden(r) || Seen(r), "%U", r)
	}
	for _, r := range "\x00\x1b\u007f\u0080\u00ad\u034f\u061c\u17b4\u180b\u180e\u200b\u200c\u200d\u200e\u202e\u2060\u2065\u2066\u206a\ufe0f\ufeff\ufffd\ue000\U0001d173\U000e0001\U000e0041\U000e0100" {
		assert.True(t, Hidden(r), "%U", r)
		assert.False(t, Blank(r) || Seen(r), "%U", r)
	}
}

func TestNothingThatActsIsWritten(t *testing.T) {
	for in, want := range map[string]string{
		"plain, 周会 é 😀\n\tnext":          "plain, 周会 é 😀\n\tnext",
		"\x1b]0;PWNED\x07":               `\u001b]0;PWNED\u0007`,
		"a\rb\x00\x7f\v\f":               `a\u000db\u0000\u007f\u000b\u000c`,
		"\u009b31m\u0085":                `\u009b31m\u0085`,
		"abc\u202etxt.exe\u2066":         `abc\u202etxt.exe\u2066`,
		"a\u2028b\u2029":                 `a\u2028b\u2029`,
		"\U000e0041\U000e0001":           `\udb40\udc41\udb40\udc01`,
		"half \xe5\x91 \xff":             `half \ufffd\ufffd \ufffd`,
		`{"who_name":"` + "\u202eada\"}": `{"who_name":"\u202eada"}`,
	} {
		var whole, pieces strings.Builder
		n, err := Escape(&whole).Write([]byte(in))
		require.NoError(t, err)
		assert.Equal(t, len(in), n)
		assert.Equal(t, want, whole.String())
		w := Escape(&pieces)
		for i := range len(in) {
			n, err := w.Write([]byte{in[i]})
			require.NoError(t, err)
			assert.Equal(t, 1, n)
		}
		assert.Equal(t, want, pieces.String(), "a byte at a time")
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("\x1b[31m\u202e周")
	f.Fuzz(func(t *testing.T, in string) {
		encoded, err := json.Marshal(in)
		require.NoError(t, err)
		var out strings.Builder
		_, err = Escape(&out).Write(encoded)
		require.NoError(t, err)
		require.NotContains(t, out.String(), "\x1b")
		require.False(t, strings.ContainsFunc(out.String(), acts))
		var back string
		require.NoError(t, json.Unmarshal([]byte(out.String()), &back))
		require.Equal(t, string([]rune(in)), back)
	})
}
