package meeting_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
	"meetbot/meeting"
)

func TestSplitPush(t *testing.T) {
	for _, tt := range []struct{ name, raw, url, key string }{
		{"BilibiliKeyBeginsWithAQuestionMark", "rtmp://live-push.bilivideo.com/live-bvc/?streamname=live_1_2&key=k", "rtmp://live-push.bilivideo.com/live-bvc/", "?streamname=live_1_2&key=k"},
		{"YouTube", "rtmp://a.rtmp.youtube.com/live2/abcd-efgh-ijkl-mnop-qrst", "rtmp://a.rtmp.youtube.com/live2/", "abcd-efgh-ijkl-mnop-qrst"},
		{"FacebookWithPort", "rtmps://live-api-s.facebook.com:443/rtmp/1?s_bl=1&a=x", "rtmps://live-api-s.facebook.com:443/rtmp/", "1?s_bl=1&a=x"},
		{"WeChatChannels", "rtmp://111.livepush.myqcloud.com/trtc_1/live_2?txSecret=s&txTime=66C35660", "rtmp://111.livepush.myqcloud.com/trtc_1/", "live_2?txSecret=s&txTime=66C35660"},
		{"TwoSegments", "rtmp://ingest.example.com/app/instance/key", "rtmp://ingest.example.com/app/instance/", "key"},
		{"KnownTwoSegmentApp", "rtmp://liveorigin.dlive.nicovideo.jp/live/input/key", "rtmp://liveorigin.dlive.nicovideo.jp/live/input/", "key"},
		{"KnownZeroSegmentApp", "rtmp://stream.shareplay.tv/key?a=b", "rtmp://stream.shareplay.tv/", "key?a=b"},
		{"UpperCaseScheme", "RTMP://h.example/app/key", "RTMP://h.example/app/", "key"},
		{"BlanksAround", " \u200b\trtmp://h.example/app/key\n", "rtmp://h.example/app/", "key"},
		{"DoubleSlash", "rtmp://h.example/app//key", "rtmp://h.example/app//", "key"},
		{"QueryWithSlashes", "rtmp://h.example/app/key?sign=a/b/c==", "rtmp://h.example/app/", "key?sign=a/b/c=="},
		{"KeyWithOddCharacters", "rtmp://h.example/app/k?sign={a|b}", "rtmp://h.example/app/", "k?sign={a|b}"},
		{"IPv4", "rtmp://203.0.113.9:1936/app/key", "rtmp://203.0.113.9:1936/app/", "key"},
		{"IPv6", "rtmp://[2001:db8::1]:1935/app/key", "rtmp://[2001:db8::1]:1935/app/", "key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := meeting.SplitPush(tt.raw, secret.String{})
			require.NoError(t, err)
			assert.Equal(t, meeting.PushAddress{URL: tt.url, Key: secret.New(tt.key), Split: true}, got)
		})
	}
}

func TestAnAddressWithoutAKeyAsksForIt(t *testing.T) {
	for _, raw := range []string{
		"rtmp://live.twitch.tv/app",
		"rtmp://a.rtmp.youtube.com/live2/",
		"rtmp://b.rtmp.youtube.com/live2?backup=1",
		"rtmps://rtmp-api.facebook.com:443/rtmp/",
		"rtmp://h.example/live/input/",
		"rtmp://liveorigin.dlive.nicovideo.jp/live/input",
		"rtmp://live-rtmp-pub.millicast.com/v2/pub",
		"rtmp://stream.shareplay.tv",
		"rtmp://h.example",
		"rtmp://h.example/",
		"rtmp://h.example/app/?",
	} {
		got, err := meeting.SplitPush(raw, secret.String{})
		require.Equal(t, meeting.PushFaults{meeting.PushFaultKeyMissing}, err, raw)
		assert.Equal(t, meeting.PushAddress{URL: raw}, got)
	}
}

// With a key given nothing is cut, whatever the path looks like.
func TestIngestAddressesAreAcceptedAsTheyAre(t *testing.T) {
	for _, raw := range []string{
		"rtmp://live-push.bilivideo.com/live-bvc/", "rtmp://txy2.live-push.bilivideo.com/live-bvc/",
		"rtmps://a.rtmps.youtube.com:443/live2", "rtmp://a.rtmp.youtube.com/live2", "rtmps://b.rtmps.youtube.com:443/live2?backup=1",
		"rtmp://live-fra02.twitch.tv/app", "rtmps://live-api-s.facebook.com:443/rtmp/",
		"rtmp://push-rtmp-l1.douyincdn.com/third", "rtmp://push-rtmp-f5.tiktokcdn.com/stage",
		"rtmp://open-push.voip.yximgs.com/gifshow/", "rtmp://tx.push.yximgs.com/live/",
		"rtmp://123123.123live.123.com/trtc_1451297868/", "rtmp://321.321.fs.tv/123live/", "rtmp://wxalivepush.weixin.qq.com/live/",
		"rtmp://liveorigin.dlive.nicovideo.jp/live/input", "rtmp://live-rtmp-pub.millicast.com:1935/v2/pub",
		"rtmp://stream.shareplay.tv", "rtmp://stream.shareplay.tv/", "rtmp://ingest.example:80/a", "rtmp://under_score.example/a",
		"rtmp://xn--fiq228c.example/a", "rtmp://h.example:65535/a-b_c.d~e/%20", "rtmp://0a.example.c0de/a",
	} {
		got, err := meeting.SplitPush(raw, secret.New(" live_1?a=b&c=d#e "))
		require.NoError(t, err, raw)
		assert.Equal(t, meeting.PushAddress{URL: raw, Key: secret.New("live_1?a=b&c=d#e")}, got)
	}
}

func TestFaultsOfPushAddresses(t *testing.T) {
	long := strings.Repeat("x", meeting.MaxPushURL)
	for _, tt := range []struct {
		name, raw, key string
		want           meeting.PushFaults
	}{
		{"Nothing", " ", "", meeting.PushFaults{meeting.PushFaultMissing, meeting.PushFaultKeyMissing}},
		{"Scheme", "https://h.example/app", "k", meeting.PushFaults{meeting.PushFaultScheme}},
		{"NoScheme", "h.example/app", "k", meeting.PushFaults{meeting.PushFaultScheme}},
		{"SRT", "srt://h.example/app", "k", meeting.PushFaults{meeting.PushFaultScheme}},
		{"NoHost", "rtmp:///app", "k", meeting.PushFaults{meeting.PushFaultHost}},
		{"HostOfAnotherShape", "rtmp://h..example/app", "k", meeting.PushFaults{meeting.PushFaultHost}},
		{"HostStars", "rtmp://**/app", "k", meeting.PushFaults{meeting.PushFaultHost}},
		{"HostHalfAnAddress", "rtmp://203.0.113/app", "k", meeting.PushFaults{meeting.PushFaultHost}},
		{"HostHexadecimal", "rtmp://0x7f000001/app", "k", meeting.PushFaults{meeting.PushFaultHost}},
		{"HostDecimal", "rtmp://2130706433/app", "k", meeting.PushFaults{meeting.PushFaultHost}},
		{"IPv6WithoutBrackets", "rtmp://::1/app", "k", meeting.PushFaults{meeting.PushFaultHost}},
		{"IPv6WithZone", "rtmp://[2001:db8::1%25eth0]/app", "k", meeting.PushFaults{meeting.PushFaultHost}},
		{"Localhost", "rtmp://localhost/app", "k", meeting.PushFaults{meeting.PushFaultPrivateHost}},
		{"Loopback", "rtmp://127.0.0.1:1935/app", "k", meeting.PushFaults{meeting.PushFaultPrivateHost}},
		{"LoopbackIPv6", "rtmp://[::1]/app", "k", meeting.PushFaults{meeting.PushFaultPrivateHost}},
		{"LoopbackMapped", "rtmp://[::ffff:127.0.0.1]/app", "k", meeting.PushFaults{meeting.PushFaultPrivateHost}},
		{"Private", "rtmp://192.168.1.5/app", "k", meeting.PushFaults{meeting.PushFaultPrivateHost}},
		{"Private10", "rtmp://10.1.2.3/app", "k", meeting.PushFaults{meeting.PushFaultPrivateHost}},
		{"LinkLocal", "rtmp://169.254.169.254/app", "k", meeting.PushFaults{meeting.PushFaultPrivateHost}},
		{"CarrierGrade", "rtmp://100.64.0.1/app", "k", meeting.PushFaults{meeting.PushFaultPrivateHost}},
		{"Unspecified", "rtmp://0.0.0.0/app", "k", meeting.PushFaults{meeting.PushFaultPrivateHost}},
		{"Bonjour", "rtmp://studio.local./app", "k", meeting.PushFaults{meeting.PushFaultPrivateHost}},
		{"UserInfo", "rtmp://u:p@h.example/app", "k", meeting.PushFaults{meeting.PushFaultUserInfo}},
		{"PortZero", "rtmp://h.example:0/app", "k", meeting.PushFaults{meeting.PushFaultPort}},
		{"PortTooHigh", "rtmp://h.example:65536/app", "k", meeting.PushFaults{meeting.PushFaultPort}},
		{"PortEmpty", "rtmp://h.example:/app", "k", meeting.PushFaults{meeting.PushFaultPort}},
		{"PortSigned", "rtmp://h.example:+80/app", "k", meeting.PushFaults{meeting.PushFaultPort}},
		{"Fragment", "rtmp://h.example/app#x", "k", meeting.PushFaults{meeting.PushFaultFragment}},
		{"Blank", "rtmp://h.example/a pp", "k", meeting.PushFaults{meeting.PushFaultCharacters}},
		{"LineBreak", "rtmp://h.example/a\npp", "k", meeting.PushFaults{meeting.PushFaultCharacters}},
		{"NotASCII", "rtmp://h.example/直播", "k", meeting.PushFaults{meeting.PushFaultCharacters}},
		{"FullWidth", "rtmp：//h.example/app", "k", meeting.PushFaults{meeting.PushFaultScheme, meeting.PushFaultHost, meeting.PushFaultCharacters}},
		{"Long", "rtmp://h.example/" + long, "k", meeting.PushFaults{meeting.PushFaultLong}},
		{"KeyWithABlank", "rtmp://h.example/app", "a b", meeting.PushFaults{meeting.PushFaultKeyCharacters}},
		{"KeyWithALine", "rtmp://h.example/app", "a\r\nb", meeting.PushFaults{meeting.PushFaultKeyCharacters}},
		{"KeyNotUTF8", "rtmp://h.example/app", "a\xffb", meeting.PushFaults{meeting.PushFaultKeyCharacters}},
		{"KeyLong", "rtmp://h.example/app", strings.Repeat("k", meeting.MaxPushKey+1), meeting.PushFaults{meeting.PushFaultKeyLong}},
		{"FacebookPlain", "rtmp://live-api-s.facebook.com:80/rtmp/", "FB-1", meeting.PushFaults{meeting.PushFaultFacebookRTMP}},
		{
			"ManyAtOnce", "http://u@10.0.0.1:99999/a b#c", "", meeting.PushFaults{
				meeting.PushFaultScheme, meeting.PushFaultPrivateHost, meeting.PushFaultUserInfo, meeting.PushFaultPort,
				meeting.PushFaultFragment, meeting.PushFaultCharacters, meeting.PushFaultKeyMissing,
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := meeting.SplitPush(tt.raw, secret.New(tt.key))
			require.Equal(t, tt.want, err)
			require.ErrorIs(t, err, meeting.ErrInvalid)
		})
	}
}

func TestWarningsOfPushAddresses(t *testing.T) {
	now := time.Unix(0x66C35660, 0)
	for _, tt := range []struct {
		name, url, key string
		want           []meeting.PushWarning
	}{
		{"None", "rtmp://live.twitch.tv/app", "live_1_abc", nil},
		{"BandwidthTest", "rtmp://live.twitch.tv/app", "live_1_abc?bandwidthtest=true", []meeting.PushWarning{meeting.PushWarnBandwidthTest}},
		{"BandwidthTestOff", "rtmp://live.twitch.tv/app", "live_1_abc?bandwidthtest=false", nil},
		{"TxTimePast", "rtmp://1.livepush.myqcloud.com/trtc_1/", "live_2?txSecret=s&txTime=66C3565F", []meeting.PushWarning{meeting.PushWarnExpired}},
		{"TxTimeNow", "rtmp://1.livepush.myqcloud.com/trtc_1/", "live_2?txSecret=s&txTime=66C35660", nil},
		{"TxTimeNotATime", "rtmp://1.livepush.myqcloud.com/trtc_1/", "live_2?txSecret=s&txTime=zz", nil},
		{"ExpirePast", "rtmp://push-rtmp-l1.douyincdn.com/third", "stream-1?expire=1724077000&sign=x", []meeting.PushWarning{meeting.PushWarnExpired}},
		{"ExpireIsADuration", "rtmp://push-rtmp-l1.douyincdn.com/third", "stream-1?expire=3600&sign=x", nil},
		{"BilibiliQueryIsRead", "rtmp://live-push.bilivideo.com/live-bvc/", "?streamname=a&bandwidthtest=true", []meeting.PushWarning{meeting.PushWarnBandwidthTest}},
		{"NoApp", "rtmp://h.example/", "k", []meeting.PushWarning{meeting.PushWarnNoApp}},
		{"NoAppWhereThereIsNone", "rtmp://stream.shareplay.tv", "k", nil},
		{"KeyInAddress", "rtmp://h.example/app/live_12345", "live_12345?a=b", []meeting.PushWarning{meeting.PushWarnKeyInAddress}},
		{"SignatureInAddress", "rtmp://h.example/app/s?txSecret=1", "other", []meeting.PushWarning{meeting.PushWarnKeyInAddress}},
		{"Backup", "rtmp://b.rtmp.youtube.com/live2?backup=1", "abcd-efgh", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := meeting.SplitPush(tt.url, secret.New(tt.key))
			require.NoError(t, err)
			assert.Equal(t, tt.want, a.Warnings(now))
		})
	}
}

func TestShownHasNoQuery(t *testing.T) {
	for in, want := range map[string]string{
		"rtmp://h.example/app/":                    "rtmp://h.example/app/",
		"rtmp://b.rtmp.youtube.com/live2?backup=1": "rtmp://b.rtmp.youtube.com/live2?…",
		"rtmp://u:p@h.example/app":                 "",
	} {
		assert.Equal(t, want, meeting.PushAddress{URL: in}.Shown())
	}
}

func TestPushAddressesLeakNoKey(t *testing.T) {
	var out bytes.Buffer
	for _, raw := range []string{"rtmp://h.example/app/canary-1", "http://canary@10.0.0.1/a/canary?canary=1#canary", "canary", "rtmp://canary:canary/x"} {
		a, err := meeting.SplitPush(raw, secret.String{})
		if err == nil {
			_, _ = fmt.Fprintf(&out, "%+v %#v\n", a, a)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "a", a)
			continue
		}
		_, _ = fmt.Fprintf(&out, "%v %+v %#v\n", err, err, err)
	}
	assert.NotContains(t, out.String(), "canary")
}

func FuzzSplitPush(f *testing.F) {
	for _, raw := range []string{
		"rtmp://live-push.bilivideo.com/live-bvc/?streamname=live_1_2&key=k", "rtmp://a.rtmp.youtube.com/live2/abcd", "rtmps://h:443/rtmp/1?s_bl=1&a=x",
		"rtmp://111.livepush.myqcloud.com/trtc_1/live_2?txSecret=s&txTime=66C35660", "rtmp://live.twitch.tv/app", "://", "rtmp://[::1", "?", "rtmp://@:/#?", "rtmp：//h/直播",
	} {
		f.Add(raw, "")
		f.Add(raw, "key?a=b#c")
	}
	f.Fuzz(func(t *testing.T, raw, key string) {
		a, err := meeting.SplitPush(raw, secret.New(key))
		_ = a.Warnings(time.Unix(1, 0))
		_ = a.Shown()
		if key != "" && a.Key.Reveal() != "" && !a.Split {
			require.Contains(t, raw, a.URL)
			require.Contains(t, key, a.Key.Reveal())
		} else {
			require.Contains(t, raw, a.URL+a.Key.Reveal(), "put together, the parts are what was given")
		}
		if err != nil {
			var faults meeting.PushFaults
			require.True(t, errors.As(err, &faults))
			require.NotEmpty(t, faults)
			return
		}
		require.NotEmpty(t, a.URL)
		require.NotEmpty(t, a.Key.Reveal())
		again, err := meeting.SplitPush(a.URL, a.Key)
		require.NoError(t, err)
		a.Split = false
		require.Equal(t, a.URL, again.URL)
		require.Equal(t, a.Key.Reveal(), again.Key.Reveal())
	})
}

func TestTheSamePushAddress(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"rtmp://h.example/app", "rtmp://h.example/app", true},
		{"rtmp://h.example/app/", "rtmp://h.example/app", true},
		{"RTMP://H.Example:1935/app", "rtmp://h.example/app", true},
		{"rtmps://h.example:443/app", "rtmps://h.example/app/", true},
		{"rtmp://h.example.:1935/app", "rtmp://h.example/app", true},
		{"rtmp://[2001:DB8::1]:1935/app", "rtmp://[2001:db8::1]/app", true},
		{"rtmp://[2001:db8::1]/app", "rtmp://[2001:db8::2]/app", false},
		{"rtmp://h.example:443/app", "rtmp://h.example/app", false},
		{"rtmps://h.example/app", "rtmp://h.example/app", false},
		{"rtmp://h.example/App", "rtmp://h.example/app", false},
		{"rtmp://h.example/app?backup=1", "rtmp://h.example/app", false},
		{"rtmp://%zz", "rtmp://%zz", true},
		{"rtmp://%zz", "rtmp://%zy", false},
	} {
		assert.Equal(t, tt.want, meeting.SamePushAddress(tt.a, tt.b), "%s %s", tt.a, tt.b)
	}
}
