package livepush

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/texts"
	"meetbot/config/secret"
	"meetbot/meeting"
)

var showNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestPresetsAreFoundByWhatPeopleCallThem(t *testing.T) {
	for word, want := range map[string]string{
		"bilibili": "bilibili", "Bili": "bilibili", "B站": "bilibili", "Ｂ站": "bilibili", " 哔哩哔哩 ": "bilibili",
		"抖音": "douyin", "Douyin": "douyin", "快手": "kuaishou", "视频号": "wechat", "微信视频号": "wechat",
		"WeChat Channels": "wechat", "YouTube": "youtube", "YT": "youtube", "ＴＷＩＴＣＨ": "twitch", "fb": "facebook",
		"TikTok": "tiktok", "generic": "generic", "其他": "generic",
	} {
		got, ok := Find(word)
		assert.True(t, ok, word)
		assert.Equal(t, want, got.ID, word)
	}
	got, ok := Find("myspace")
	assert.False(t, ok)
	assert.Equal(t, GenericPreset, got.ID)
}

func TestNoTwoPresetsAnswerToTheSameWord(t *testing.T) {
	owner := map[string]string{}
	for _, p := range Presets() {
		for _, word := range append([]string{p.ID}, p.Aliases...) {
			assert.NotContains(t, owner, Fold(word), "%s", p.ID)
			owner[Fold(word)] = p.ID
		}
	}
}

func TestEveryPresetIsWholeInBothLanguages(t *testing.T) {
	for _, p := range Presets() {
		for _, l := range texts.Locales {
			assert.True(t, texts.For(l).Has("preset."+p.ID), "%s %s", p.ID, l)
			assert.True(t, texts.For(l).Has("preset."+p.ID+".where"), "%s %s", p.ID, l)
		}
		require.NotEmpty(t, p.Example, p.ID)
		_, fs := p.Check(p.Example, secret.String{}, showNow)
		require.Len(t, fs, 1, "%s: its own example", p.ID)
		assert.Equal(t, "finding.push.key_missing", fs[0].Message.ID)
		if p.Ingest != "" {
			assert.Equal(t, p.ID, Detect(p.Ingest).ID)
		}
		assert.Equal(t, p.ID, Detect(p.Example).ID)
	}
}

func TestTheServiceIsToldFromTheAddress(t *testing.T) {
	for address, want := range map[string]string{
		"rtmp://live-push.bilivideo.com/live-bvc/":          "bilibili",
		"rtmp://txy2.live-push.bilivideo.com/live-bvc/":     "bilibili",
		"rtmp://push-rtmp-f5.douyincdn.com/third":           "douyin",
		"rtmp://tx.push.yximgs.com/live/":                   "kuaishou",
		"rtmp://321.livepush.myqcloud.com/trtc_1451297868/": "wechat",
		"rtmp://321.livepush.myqcloud.com/live/":            "generic", // anybody's Tencent Cloud account
		"rtmps://a.rtmps.youtube.com:443/live2":             "youtube",
		"rtmp://LIVE-FRA.Twitch.TV/app":                     "twitch",
		"rtmps://live-api-s.facebook.com:443/rtmp/":         "facebook",
		"rtmp://push-rtmp-l1-va01.tiktokcdn.com/stage":      "tiktok",
		"rtmp://eviltwitch.tv/app":                          "generic",
		"rtmp://twitch.tv.example.com/app":                  "generic",
		"rtmp://live.example.com/trtc_1/":                   "generic",
		"rtmp://wxalivepush.weixin.qq.com/live/":            "generic", // mini-programs, not Channels
		"not an address":                                    "generic", "": "generic", "rtmp://[::1": "generic",
	} {
		assert.Equal(t, want, Detect(address).ID, address)
	}
}

func TestAddressAndKeyAreCheckedAgainstTheirService(t *testing.T) {
	expired := fmt.Sprintf("%X", showNow.Add(-time.Minute).Unix())
	valid := fmt.Sprintf("%X", showNow.Add(time.Hour).Unix())
	const (
		limits = true
		warns  = false
	)
	type want struct {
		id       string
		NewLimit bool
	}
	for _, tt := range []struct {
		name, preset, url, key string
		want                   []want
	}{
		{"Bilibili", "bilibili", "rtmp://live-push.bilivideo.com/live-bvc/", "?streamname=live_1_2&key=3&schedule=rtmp&pflag=1", nil},
		{"BilibiliKeyCutAtTheQuestionMark", "bilibili", "rtmp://live-push.bilivideo.com/live-bvc/", "streamname=live_1_2&key=3", []want{{"preset.key", warns}}},
		{"YouTube", "youtube", "rtmp://a.rtmp.youtube.com/live2", "abcd-efgh-1234-5678-mnop", nil},
		{"YouTubeFourGroups", "youtube", "rtmp://a.rtmp.youtube.com/live2", "abcd-efgh-1234-5678", nil},
		{"YouTubeKeyForTwitch", "twitch", "rtmp://live.twitch.tv/app", "abcd-efgh-1234-5678", []want{{"preset.key", warns}}},
		{"TwitchBandwidthTest", "twitch", "rtmp://live.twitch.tv/app", "live_1_a?bandwidthtest=true", []want{{"push.bandwidth_test", warns}}},
		{"FacebookPlainRTMP", "facebook", "rtmp://live-api-s.facebook.com:80/rtmp/", "FB-1-0-x", []want{{"push.facebook_rtmp", limits}}},
		{"FacebookUpperCaseScheme", "facebook", "RTMPS://live-api-s.facebook.com:443/rtmp/", "1?s_bl=1&a=x", nil},
		{"WeChat", "wechat", "rtmp://1.livepush.myqcloud.com/trtc_1/", "live_1?txSecret=a&txTime=" + valid, nil},
		{"WeChatExpired", "wechat", "rtmp://1.livepush.myqcloud.com/trtc_1/", "live_1?txSecret=a&txTime=" + expired, []want{{"push.expired", warns}}},
		{"DouyinExpired", "douyin", "rtmp://push-rtmp-a.douyincdn.com/third", "stream-1?expire=1700000000&sign=b", []want{{"push.expired", warns}}},
		{"AnotherServicesAddress", "bilibili", "rtmp://live.twitch.tv/app", "?streamname=live_1", []want{{"preset.other", warns}}},
		{"UnknownHost", "youtube", "rtmp://relay.example.com/live2", "abcd-efgh-1234-5678", []want{{"preset.host", warns}}},
		{"GenericTakesAnyHost", "generic", "rtmp://live.twitch.tv/app", "anything", nil},
		{"Combined", "twitch", "rtmp://live.twitch.tv/app/live_1_a", "", nil},
		{"BlankInKey", "generic", "rtmp://push.example.com/app", "qx zv", []want{{"push.key_characters", limits}}},
		{"NoApplication", "generic", "rtmp://push.example.com", "qxzv", []want{{"push.no_app", warns}}},
		{"KeyInTheAddress", "generic", "rtmp://push.example.com/app?sign=1", "qxzv", []want{{"push.key_in_address", warns}}},
		{"AnotherKeyInTheAddress", "twitch", "rtmp://live.twitch.tv/app/live_12345_other", "live_12345_abc", []want{{"push.key_in_address", warns}}},
		{"AServerThatOnlyRemindsOfAKey", "generic", "rtmp://live-12345-a.example.com/app/stream-1", "qxzv", nil},
		{"Nothing", "douyin", "", "", []want{{"push.missing", limits}, {"push.key_missing", limits}}},
		{"NotAnAddress", "generic", "https://u:p@10.0.0.1:0/a b#c", "qxzv", []want{
			{"push.scheme", limits}, {"push.private_host", limits}, {"push.userinfo", limits}, {"push.port", limits}, {"push.fragment", limits}, {"push.characters", limits},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, fs := PresetByID(tt.preset).Check(tt.url, secret.New(tt.key), showNow)
			var got []want
			for _, f := range fs {
				got = append(got, want{f.Message.ID[len("finding."):], f.Limit})
				for _, l := range texts.Locales {
					text := f.Text(texts.For(l))
					assert.NotEqual(t, f.Message.ID, text)
					assert.NotContains(t, text, "<no value>")
					if tt.key != "" {
						assert.NotContains(t, text, tt.key)
					}
				}
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestFindingsNameTheServiceInTheReadersLanguage(t *testing.T) {
	_, fs := PresetByID("bilibili").Check("rtmp://push-rtmp-a.douyincdn.com/third", secret.New("?streamname=live_1"), showNow)
	require.Len(t, fs, 1)
	assert.Contains(t, fs[0].Text(texts.For("en")), "an address of Douyin, not Bilibili")
	assert.Contains(t, fs[0].Text(texts.For("zh-CN")), "抖音的地址，不是哔哩哔哩的")
}

func TestPushNamesKeepTheDocumentedLimits(t *testing.T) {
	for name, want := range map[string]string{
		"bili": "", "一二三四五六七八九十": "", "周五 秀": "", "🎬🎬": "",
		"": "finding.name.blank", "  \u3000": "finding.name.blank",
		"一二三四五六七八九十一": "finding.name.long", "12345678901": "finding.name.long",
		"\u200b": "finding.name.blank", "\u3164": "finding.name.blank", "\u2060\u00ad": "finding.name.blank", "\ufe0f\U000e0041": "finding.name.blank", "\u2800": "finding.name.blank",
		"\u202ednarb": "finding.name.control", "می\u200cخواهم": "",
		"a\nb": "finding.name.control", "a\x00b": "finding.name.control", "a\xffb": "finding.name.control",
	} {
		fs := CheckPushName(name)
		if want == "" {
			assert.Empty(t, fs, name)
			continue
		}
		if assert.Len(t, fs, 1, name) {
			assert.Equal(t, want, fs[0].Message.ID, name)
			assert.True(t, fs[0].Limit, name)
		}
	}
}

func TestANameOfTwoAlphabetsThatLookAlikeIsNoticed(t *testing.T) {
	for name, want := range map[string]bool{
		"brand": false, "бренд": false, "μηνα": false, "B站直播": false, "品牌 brand": false, "ブランドbr": false, "brän-d1": false, "": false,
		"br\u0430nd": true, "\u0412rand": true, "brand\u03bf": true, "ｂr\u0430nd": true, "\u13a0BC": true,
	} {
		assert.Equal(t, want, MixesScripts(name), "%q", name)
	}
}

func TestTheLimitsOfAMeetingAreCountedBeforeAnythingIsSent(t *testing.T) {
	others := func(from, n int) (ts []meeting.PushTarget) {
		for i := range n {
			ts = append(ts, meeting.PushTarget{Name: fmt.Sprint("d", from+i), Platform: meeting.PushThirdParty, URL: fmt.Sprintf("rtmp://h%d.example.com/app", from+i)})
		}
		return ts
	}
	channels := func(node string) meeting.PushTarget {
		return meeting.PushTarget{Name: node, Platform: meeting.PushWeChat, URL: "rtmp://" + node + ".livepush.myqcloud.com/trtc_1/"}
	}
	for _, tt := range []struct {
		name     string
		has, add []meeting.PushTarget
		want     []string
	}{
		{"TenOthersAndOneChannels", nil, append(others(0, 10), channels("a")), nil},
		{"ElevenOthers", others(0, 9), others(9, 2), []string{"finding.many"}},
		{"ASetAddressIsNotCountedAgain", others(0, 10), others(9, 1), nil},
		{"TwoChannels", []meeting.PushTarget{channels("a")}, []meeting.PushTarget{channels("b")}, []string{"finding.wechat.one"}},
		{"TheSameAddressTwice", nil, append(others(0, 1), others(0, 1)...), []string{"finding.twice"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range CheckTogether(meeting.PushRules{WeChat: 1, Others: 10}, tt.has, tt.add, false) {
				assert.True(t, f.Limit)
				got = append(got, f.Message.ID)
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestNamesThatLookTheSameAreTheSame(t *testing.T) {
	for _, same := range []string{
		"BRAND", "ｂｒａｎｄ", " brand ", "brand\u3000", "brand\u200b", "brand\u2060", "br\u00adand", "\ufeffbrand", "\u202ebrand\u202c", "\u2066brand\u2069",
		"bra\u200dnd", "bra\u200cnd", "brand\ufe0f", "brand\U000e0100", "brand\U000e0041\U000e007f", "brand\u3164", "brand\uffa0", "brand\u115f", "brand\u2800", "br\u034fand",
		"brand\u180b", "brand\u17b4", "brand\u061c", "𝐛𝐫𝐚𝐧𝐝", "ⓑⓡⓐⓝⓓ", "brand\u200e", "brand\x00", "brand\ue000", "brand\u206a",
	} {
		assert.Equal(t, Fold("brand"), Fold(same), "%+q", same)
	}
	assert.Equal(t, Fold("STRASSE"), Fold("straße"))
	assert.Equal(t, Fold("café"), Fold("cafe\u0301"))
	assert.Equal(t, Fold("B站"), Fold("ｂ站"))
	assert.Equal(t, Fold("main stage"), Fold("Main\u00a0 \u3000stage"))
	for _, other := range []string{"brand2", "bränd", "br and", "brand-", "品牌"} {
		assert.NotEqual(t, Fold("brand"), Fold(other))
	}
	for _, s := range []string{"Brand\ufe0f ", "ẞ\u200d", "\u3164a\u3164", "ŉ", "ǰ", "ﬀ"} {
		assert.Equal(t, Fold(s), Fold(Fold(s)), "%+q", s)
	}
}
