package livepush

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"meetbot/config/secret"
	"meetbot/meeting"
)

func TestTheSameStreamInAnotherDress(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		url, key, asURL, asKey string
		want                   bool
	}{
		{"Itself", "rtmp://h.example/live", "CANARYKEY1234567", "rtmp://h.example/live", "CANARYKEY1234567", true},
		{"AnotherQuery", "rtmp://h.example/live", "CANARYKEY1234567", "rtmp://h.example/live", "CANARYKEY1234567?x=1", true},
		{"AnotherQueryEach", "rtmp://h.example/live", "k1234?txTime=1", "rtmp://h.example/live", "k1234?txTime=2", true},
		{"Ampersand", "rtmp://h.example/live", "k1234", "rtmp://h.example/live", "k1234&x=1", true},
		{"Fragment", "rtmp://h.example/live", "k1234", "rtmp://h.example/live", "k1234#x", true},
		{"SlashesAround", "rtmp://h.example/live", "k1234", "rtmp://h.example/live", "/k1234/", true},
		{"Percent", "rtmp://h.example/live", "k1234", "rtmp://h.example/live", "%6b1234", true},
		{"FullWidth", "rtmp://h.example/live", "k1234", "rtmp://h.example/live", "ｋ１２３４？x=1", true},
		{"AnotherAddress", "rtmp://h.example/live", "k1234", "rtmp://other.example/app", "k1234", true},
		{"BilibiliOrder", "rtmp://live-push.bilivideo.com/live-bvc/", "?streamname=live_1_2&key=abcdef0123&schedule=rtmp&pflag=1", "rtmp://live-push.bilivideo.com/live-bvc/", "?pflag=1&key=abcdef0123&streamname=live_1_2", true},
		{"BilibiliOneMore", "rtmp://live-push.bilivideo.com/live-bvc/", "?streamname=live_1_2&key=abcdef0123", "rtmp://live-push.bilivideo.com/live-bvc/", "?x=1&streamname=live_1_2&key=abcdef0123", true},
		{"CutElsewhere", "rtmp://h.example/live/", "a/k1234", "rtmp://h.example/live/a", "k1234?x=1", true},
		{"CutElsewhereInAnotherDress", "rtmp://h.example/live", "a/k1234", "RTMP://H.Example.:1935//live/a/", "k1234", true},
		{"CutElsewhereOverTLS", "rtmps://h.example:443/live", "a/k1234", "rtmps://h.EXAMPLE/live/a", "k1234", true},
		{"QueryInTheAddress", "rtmp://h.example/live", "a/k1234", "rtmp://h.example/live/a?x=1", "k1234", true},
		{"PercentTwice", "rtmp://h.example/live", "k1234", "rtmp://h.example/live", "%256b1234", true},
		{"PercentAndABrokenOne", "rtmp://h.example/live", "k1234", "rtmp://h.example/live", "%6b1234?%zz", true},
		{"AnEscapedQuestionMark", "rtmp://h.example/live", "k1234", "rtmp://h.example/live", "k1234%3Fx=1", true},
		{"AnEscapedSlash", "rtmp://h.example/live", "k1234", "rtmp://h.example/live", "%2Fk1234", true},
		{"Semicolon", "rtmp://h.example/live", "k1234", "rtmp://h.example/live", "k1234;x=1", true},
		{"DotsAround", "rtmp://h.example/live", "k1234", "rtmp://h.example/live", "./x/../k1234", true},
		{"WhollyInTheAddress", "rtmp://h.example/live", "k1234", "rtmp://h.example/live/k1234", "?x=1", true},
		{"WhollyInAnotherAddress", "rtmp://h.example/live", "k1234", "rtmp://[2001:db8::1]:1935/app/k1234", "?x=1", true},
		{"SlashesWithin", "rtmp://h.example/live", "a/k1234", "rtmp://h.example/live", "a//k1234", true},
		{"IDN", "rtmp://bücher.example/live", "a/k1234", "rtmp://xn--bcher-kva.example/live/a", "k1234", true},
		{"UserInfo", "rtmp://h.example/live", "a/k1234", "rtmp://u:p@h.example/live/a", "k1234", true},
		{"BilibiliTwice", "rtmp://live-push.bilivideo.com/live-bvc/", "?streamname=live_1_2&key=abcdef0123", "rtmp://live-push.bilivideo.com/live-bvc/", "?streamname=zzzzzzzz&streamname=live_1_2&key=zzzzzzzz&key=abcdef0123", true},
		{"BilibiliSemicolons", "rtmp://live-push.bilivideo.com/live-bvc/", "?streamname=live_1_2&key=abcdef0123", "rtmp://live-push.bilivideo.com/live-bvc/", "?streamname=live_1_2;key=abcdef0123", true},
		{"BilibiliOtherCase", "rtmp://live-push.bilivideo.com/live-bvc/", "?streamname=live_1_2&key=abcdef0123", "rtmp://live-push.bilivideo.com/live-bvc/", "?STREAMNAME=live_1_2&KEY=abcdef0123", true},
		{"BilibiliEscaped", "rtmp://live-push.bilivideo.com/live-bvc/", "?streamname=live_1_2&key=abcdef0123", "rtmp://live-push.bilivideo.com/live-bvc/", "%3Fstreamname=live%5F1%5F2&key=%61bcdef0123", true},
		{"BilibiliBehindAName", "rtmp://live-push.bilivideo.com/live-bvc/", "?streamname=live_1_2&key=abcdef0123", "rtmp://live-push.bilivideo.com/live-bvc/", "x?streamname=live_1_2&key=abcdef0123", true},
		{"BilibiliInTheAddress", "rtmp://live-push.bilivideo.com/live-bvc/", "?streamname=live_1_2&key=abcdef0123", "rtmp://live-push.bilivideo.com/live-bvc/?streamname=live_1_2&key=abcdef0123", "x", true},
		{"AnotherKeyInTheSameAddress", "rtmp://h.example/live/a", "k1234", "rtmp://h.example/live/a", "k9999", false},
		{"AnotherKeyAfterTheAddress", "rtmp://h.example/live", "k1234", "rtmp://h.example/live/k1234", "other", false},
		{"OnlySlashes", "rtmp://h.example/live", "k1234", "rtmp://h.example/live", "/", false},
		{"AnotherKey", "rtmp://h.example/live", "k1234", "rtmp://h.example/live", "k1235", false},
		{"Longer", "rtmp://h.example/live", "k1234", "rtmp://h.example/live", "k12345", false},
		{"CaseOfTheKey", "rtmp://h.example/live", "k1234", "rtmp://h.example/live", "K1234", false},
		{"BilibiliOther", "rtmp://live-push.bilivideo.com/live-bvc/", "?streamname=live_1_2&key=abcdef0123&schedule=rtmp&pflag=1", "rtmp://live-push.bilivideo.com/live-bvc/", "?streamname=live_3_4&key=fedcba9876&schedule=rtmp&pflag=1", false},
		{"NoKey", "rtmp://h.example/live", "", "rtmp://h.example/live", "k1234", false},
		{"NoKeyAtAll", "rtmp://h.example/live", "", "rtmp://h.example/live", "", false},
		{"OnlyAQuery", "rtmp://h.example/live", "?a=1", "rtmp://h.example/live", "?b=1", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := meeting.PushTarget{URL: tt.url, Key: secret.New(tt.key)}
			b := meeting.PushTarget{URL: tt.asURL, Key: secret.New(tt.asKey)}
			assert.Equal(t, tt.want, SameStream(a, b))
			assert.Equal(t, tt.want, SameStream(b, a))
		})
	}
}
