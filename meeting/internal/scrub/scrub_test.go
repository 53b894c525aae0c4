package scrub

import (
	"encoding/base64"
	"encoding/hex"
	"html"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMessage(t *testing.T) {
	for _, tt := range []struct {
		name, said string
		secrets    []string
		want       string
	}{
		{"AnExplanation", "预约方数超过购买方数上限(25)", []string{"周会"}, "预约方数超过购买方数上限(25)"},
		{"Nothing", "", []string{"x"}, ""},
		{"ATopic", "主题“裁员名单”包含敏感词", []string{"裁员名单"}, "主题“…”包含敏感词"},
		{"AShortTopic", "subject HR refused", []string{"HR"}, "subject … refused"},
		{"AnyCase", "KEY ABCDEF12 unknown", []string{"abcdef12"}, "KEY … unknown"},
		{"APartOfAKey", "signature of secret-ke… failed", []string{"my-secret-key-1"}, "signature of …… failed"},
		{"Escaped", `bad "a\u0026b\"cdefgh"`, []string{`a&b"cdefgh`}, `bad "…"`},
		{"InALink", "see https://host.example/x?zak=abc now", nil, "see … now"},
		{"AForeignToken", "token eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0 refused", nil, "token … refused"},
		{"AnEscapedLink", `exists: rtmp:\/\/push.example.com\/app\/k1 there`, nil, "exists: … there"},
		{"AnotherTwitchKey", "key live_99999_OtherKey! is set", nil, "key … is set"},
		{"AnotherKeyInQuotes", "地址“live_1_ab”已存在", nil, "地址“…”已存在"},
		{"AnotherYouTubeKey", "has abcd-12ef-34gh-56ij.", nil, "has …."},
		{"AnotherIVSKey", "sk_us-west-2_aBc12 in use", nil, "… in use"},
		{"AnotherFacebookKey", "FB-1234567-0-Ab in use", nil, "… in use"},
		{"AnotherDouyinKey", "set (stream-1134567890)", nil, "set (…)"},
		{"AnotherBilibiliKey", "?streamname=x&key=abc1 in use", nil, "… in use"},
		{"ASignature", "app?txSecret=ab12 in use", nil, "app… in use"},
		{"NoKeys", "the live_demo of team-sync-plan, meeting 806-146-667, 2026-12-01T12:00:00Z, key=value", nil, "the live_demo of team-sync-plan, meeting 806-146-667, 2026-12-01T12:00:00Z, key=value"},
		{"Lines", "a\r\nb\t c\u202e d\x00e", nil, "a b c de"},
		{"OnlyASecret", "secret", []string{"secret"}, ""},
		{"TooLong", strings.Repeat("长", 300), nil, strings.Repeat("长", 199) + "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, Message(tt.said, tt.secrets...))
		})
	}
}

func FuzzNoSecretIsLeft(f *testing.F) {
	f.Add("refused: ", "s3cr3t&key", " again", uint8(0))
	f.Add("", "?streamname=live_1_2&key=abcdef", "", uint8(3))
	f.Add("<", "裁员", ">", uint8(1))
	f.Fuzz(func(t *testing.T, before, secret, after string, form uint8) {
		if utf8.RuneCountInString(secret) < 4 || !utf8.ValidString(secret) || strings.ContainsRune(secret, '…') {
			return
		}
		quoted := []func(string) string{
			func(s string) string { return s },
			html.EscapeString,
			url.QueryEscape,
			func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
			func(s string) string { return hex.EncodeToString([]byte(s)) },
		}[int(form)%5](secret)
		got := Message(before+" "+quoted+" "+after, secret)
		require.LessOrEqual(t, utf8.RuneCountInString(got), maxRunes)
		require.True(t, utf8.ValidString(got))
		if strings.Contains(before+after, secret) || len(string(line([]rune(secret)))) != len(secret) {
			return
		}
		require.NotContains(t, got, secret)
	})
}
