package sandbox_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
	"meetbot/meeting/sandbox"
)

// push is an entry with platform_type 2, enabled.
func push(name, address, key string) object {
	return object{
		"platform_type": 2, "platform_name": base64.StdEncoding.EncodeToString([]byte(name)), "enable_push_addres": true,
		"push_address": address, "push_password": key,
	}
}

func pushBody(user string, entries ...object) object {
	return object{"userid": user, "instanceid": 1, "push_stream_info": entries}
}

func (p peer) setPush(id, user string, entries ...object) (int, int) {
	p.t.Helper()
	status, answer := p.tencent(http.MethodPost, "/v1/meetings/"+id+"/live_play/live-stream-address", pushBody(user, entries...))
	return status, code(answer)
}

func (p peer) queryPush(id, user string) ([]any, int) {
	p.t.Helper()
	_, answer := p.tencent(http.MethodGet, "/v1/meetings/"+id+"/live-play/push-stream-info?operator_id="+user+"&operator_id_type=1&instanceid=1", nil)
	list, _ := answer["push_stream_info"].([]any)
	return list, code(answer)
}

func with(entry object, field string, value any) object {
	out := object{}
	for k, v := range entry {
		out[k] = v
	}
	out[field] = value
	if value == nil {
		delete(out, field)
	}
	return out
}

func TestTheKeyMayTellAddressesApart(t *testing.T) {
	for tells, want := range map[bool]int{false: 400004, true: 0} {
		p := start(t, sandbox.Config{Quirks: sandbox.Quirks{KeyTellsAddresses: tells}})
		id := p.create(nil)["meeting_id"].(string)
		_, c := p.setPush(id, "operator", push("one", "rtmp://h.example/app", "k1"))
		require.Zero(t, c)
		_, c = p.setPush(id, "operator", push("two", "rtmp://h.example/app", "k2"))
		assert.Equal(t, want, c)
		_, c = p.setPush(id, "operator", push("one", "rtmp://h.example/app", "k1"))
		assert.Equal(t, 400004, c)
	}
}

func TestSetPushIsReadBack(t *testing.T) {
	for _, emptyObject := range []bool{false, true} {
		p := start(t, sandbox.Config{Quirks: sandbox.Quirks{TencentEmptyObject: emptyObject}})
		id := p.create(nil)["meeting_id"].(string)
		key := "?streamname=live_1_2&key=abc&schedule=rtmp&pflag=1"
		status, answer := p.tencent(http.MethodPost, "/v1/meetings/"+id+"/live_play/live-stream-address",
			pushBody("operator", push("B站", "rtmp://live-push.bilivideo.com/live-bvc/", key)))
		require.Equal(t, http.StatusOK, status, "%v", answer)
		assert.Equal(t, emptyObject, answer != nil)
		assert.Empty(t, answer)

		want := sandbox.Push{Platform: 2, Name: "B站", URL: "rtmp://live-push.bilivideo.com/live-bvc/", Key: secret.New(key), Enabled: true}
		assert.Equal(t, []sandbox.Push{want}, p.s.Pushes(id))
		assert.NotContains(t, fmt.Sprintf("%+v %#v", p.s.Pushes(id), p.s.Meetings()), "abc")

		list, _ := p.queryPush(id, "operator")
		assert.Equal(t, []any{object{
			"platform_type": 2., "platform_name": "QuermQ==", "enable_push_addres": true,
			"push_address": "rtmp://live-push.bilivideo.com/live-bvc/", "push_password": key,
		}}, list)
	}
}

func TestPushEntryIsChecked(t *testing.T) {
	p := start(t, sandbox.Config{Quirks: sandbox.Quirks{CallsPerMinute: -1}})
	good := push("YouTube", "rtmp://a.rtmp.youtube.com/live2", "abcd-efgh")
	name := func(s string) object {
		return with(good, "platform_name", base64.StdEncoding.EncodeToString([]byte(s)))
	}
	for _, tt := range []struct {
		name    string
		entries []object
		code    int
	}{
		{"Good", []object{good}, 0},
		{"None", nil, 190004},
		{"Two", []object{good, push("b", "rtmp://b.example/live", "k")}, 190004},
		{"NoPlatformType", []object{with(good, "platform_type", nil)}, 190004},
		{"PlatformType3", []object{with(good, "platform_type", 3)}, 190004},
		{"PlatformTypeAsString", []object{with(good, "platform_type", "2")}, 190004},
		{"NoName", []object{with(good, "platform_name", nil)}, 190004},
		{"NameNotBase64", []object{with(good, "platform_name", "B站")}, 190004},
		{"NameWithoutPadding", []object{with(good, "platform_name", "QuermQ")}, 190004},
		{"NameInURLAlphabet", []object{with(good, "platform_name", "5Lya6K6u-_8=")}, 190004},
		{"NameWithLineBreakInBase64", []object{with(good, "platform_name", "Quer\nmQ==")}, 190004},
		{"NameNotUTF8", []object{name("\xff\xfe")}, 190004},
		{"NameEmpty", []object{name("")}, 190004},
		{"NameOneCharacter", []object{name("b")}, 0},
		{"NameTenCharacters", []object{name("0123456789")}, 0},
		{"NameTenChineseCharacters", []object{name("一二三四五六七八九十")}, 0},
		{"NameEleven", []object{name("01234567890")}, 190004},
		{"NameBlank", []object{name("  \u3000")}, 190004},
		{"NameLineBreak", []object{name("a\nb")}, 190004},
		{"NameCarriageReturn", []object{name("a\r")}, 190004},
		{"NoEnable", []object{with(good, "enable_push_addres", nil)}, 190004},
		{"EnableAsString", []object{with(good, "enable_push_addres", "true")}, 190004},
		{"EnableSpelledRight", []object{with(good, "enable_push_address", true)}, 190004},
		{"NoAddress", []object{with(good, "push_address", nil)}, 190004},
		{"NoPassword", []object{with(good, "push_password", nil)}, 190004},
		{"EmptyPassword", []object{with(good, "push_password", "")}, 190004},
		{"HTTPAddress", []object{with(good, "push_address", "https://a.example/live")}, 400004},
		{"AddressWithoutHost", []object{with(good, "push_address", "rtmp:///live")}, 400004},
		{"NoURL", []object{with(good, "push_address", "live.example/app")}, 400004},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := p
			p.t = t
			id := p.create(nil)["meeting_id"].(string)
			status, c := p.setPush(id, "operator", tt.entries...)
			assert.Equal(t, tt.code, c)
			assert.Equal(t, map[int]int{0: 200, 190004: 400, 400004: 500}[tt.code], status)
			assert.Equal(t, tt.code == 0, len(p.s.Pushes(id)) == 1)
		})
	}
}

func TestPushLimits(t *testing.T) {
	p := start(t, sandbox.Config{})
	id := p.create(nil)["meeting_id"].(string)
	channels := func(n int) object {
		return with(push("视频号", fmt.Sprintf("rtmp://%d.livepush.myqcloud.com/trtc_1/", n), "k"), "platform_type", 1)
	}
	for i := range 10 {
		_, c := p.setPush(id, "operator", push("p", fmt.Sprintf("rtmp://h%d.example/live", i), "k"))
		require.Zero(t, c)
	}
	_, c := p.setPush(id, "operator", push("p", "rtmp://h10.example/live", "k"))
	assert.Equal(t, 400001, c, "eleven platforms")
	_, c = p.setPush(id, "operator", push("p", "rtmp://h3.example/live", "k"))
	assert.Equal(t, 400004, c, "the same address again")
	_, c = p.setPush(id, "operator", push("p", "rtmp://h3.example/live", "other"))
	assert.Equal(t, 400004, c, "also with another key")
	_, c = p.setPush(id, "operator", channels(1))
	assert.Zero(t, c, "WeChat Channels come on top")
	_, c = p.setPush(id, "operator", channels(2))
	assert.Equal(t, 400004, c, "but once")
	assert.Len(t, p.s.Pushes(id), 11)
}

func TestPushRights(t *testing.T) {
	p := start(t, sandbox.Config{Users: []sandbox.User{{ID: sandbox.DefaultUser}, {ID: "alice"}, {ID: "nolive", NoLive: true}}})
	id := p.create(object{"hosts": []object{{"userid": "alice"}}})["meeting_id"].(string)
	entry := push("a", "rtmp://a.example/live", "k")

	_, c := p.setPush(id, "stranger", entry)
	assert.Equal(t, 190001, c)
	_, c = p.setPush("12345678901234567890", "operator", entry)
	assert.Equal(t, 400005, c)
	_, c = p.setPush(id, "alice", entry)
	assert.Equal(t, 400006, c, "before the meeting only its creator")
	_, c = p.queryPush(id, "alice")
	assert.Equal(t, 400006, c)
	_, c = p.setPush(id, "operator", entry)
	assert.Zero(t, c)

	require.NoError(t, p.s.Join(id, "guest"))
	_, c = p.setPush(id, "operator", push("b", "rtmp://b.example/live", "k"))
	assert.Equal(t, 400007, c, "during the meeting only its host")
	_, c = p.queryPush(id, "operator")
	assert.Equal(t, 400007, c)
	_, c = p.setPush(id, "alice", push("b", "rtmp://b.example/live", "k"))
	assert.Zero(t, c)
	list, c := p.queryPush(id, "alice")
	assert.Zero(t, c)
	assert.Len(t, list, 2)

	require.NoError(t, p.s.End(id))
	_, c = p.setPush(id, "alice", push("c", "rtmp://c.example/live", "k"))
	assert.Equal(t, 400005, c, "after the meeting nobody")

	id = p.create(object{"userid": "nolive", "enable_live": true})["meeting_id"].(string)
	status, c := p.setPush(id, "nolive", entry)
	assert.Equal(t, []int{400, 500014}, []int{status, c})
}

func TestRepostingWithTheOtherEnable(t *testing.T) {
	entry := push("a", "rtmp://a.example/live", "k")
	for _, tt := range []struct {
		repost  sandbox.Repost
		code    int
		enabled bool
	}{
		{sandbox.RepostUpdates, 0, false},
		{sandbox.RepostRefused, 400004, true},
		{sandbox.RepostIgnored, 0, true},
	} {
		p := start(t, sandbox.Config{Quirks: sandbox.Quirks{Repost: tt.repost}})
		id := p.create(nil)["meeting_id"].(string)
		_, c := p.setPush(id, "operator", entry)
		require.Zero(t, c)
		_, c = p.setPush(id, "operator", with(entry, "enable_push_addres", false))
		assert.Equal(t, tt.code, c)
		list, _ := p.queryPush(id, "operator")
		require.Len(t, list, 1)
		assert.Equal(t, tt.enabled, list[0].(object)["enable_push_addres"])
		assert.Equal(t, tt.enabled, p.s.Pushes(id)[0].Enabled)

		if tt.repost == sandbox.RepostUpdates {
			_, c = p.setPush(id, "operator", entry)
			assert.Zero(t, c, "and on again")
			assert.True(t, p.s.Pushes(id)[0].Enabled)
		}
		_, c = p.setPush(id, "operator", with(with(entry, "enable_push_addres", false), "push_password", "other"))
		assert.Equal(t, 400004, c, "another key is another entry at the same address")
		_, c = p.setPush(id, "operator", with(with(entry, "enable_push_addres", !p.s.Pushes(id)[0].Enabled), "platform_type", 1))
		assert.Equal(t, 400004, c, "so is another platform")
	}
}

func TestPushQuirks(t *testing.T) {
	set := func(t *testing.T, q sandbox.Quirks, entry object) (peer, string, int) {
		p := start(t, sandbox.Config{Quirks: q})
		id := p.create(nil)["meeting_id"].(string)
		_, c := p.setPush(id, "operator", entry)
		return p, id, c
	}
	t.Run("RTMPS", func(t *testing.T) {
		for refuse, want := range map[bool]int{false: 0, true: 400004} {
			_, _, c := set(t, sandbox.Quirks{RefuseRTMPS: refuse}, push("fb", "rtmps://live-api-s.facebook.com:443/rtmp/", "FB-1"))
			assert.Equal(t, want, c)
		}
	})
	t.Run("WideNames", func(t *testing.T) {
		for name, want := range map[string]int{"一二三四五": 0, "一二三四五六": 190004, "0123456789": 0, "B站B站B站b": 0, "B站B站B站bc": 190004} {
			_, _, c := set(t, sandbox.Quirks{WideNames: true}, push(name, "rtmp://a.example/live", "k"))
			assert.Equal(t, want, c, name)
		}
	})
	t.Run("HideDisabled", func(t *testing.T) {
		for hide, want := range map[bool]int{false: 1, true: 0} {
			p, id, c := set(t, sandbox.Quirks{HideDisabled: hide}, with(push("a", "rtmp://a.example/live", "k"), "enable_push_addres", false))
			require.Zero(t, c)
			list, _ := p.queryPush(id, "operator")
			assert.Len(t, list, want)
			assert.Len(t, p.s.Pushes(id), 1, "it is set all the same")
		}
	})
	t.Run("PushDelay", func(t *testing.T) {
		p, id, _ := set(t, sandbox.Quirks{PushDelay: time.Minute}, push("a", "rtmp://a.example/live", "k"))
		list, _ := p.queryPush(id, "operator")
		assert.Empty(t, list)
		p.clock.Advance(time.Minute)
		list, _ = p.queryPush(id, "operator")
		assert.Len(t, list, 1)
	})
	t.Run("ChannelsPrefix", func(t *testing.T) {
		q := sandbox.Quirks{ChannelsPrefix: "rtmp://1.livepush.myqcloud.com/"}
		channels := with(push("视频号", "rtmp://1.livepush.myqcloud.com/trtc_1/", "k"), "platform_type", 1)
		_, _, c := set(t, q, channels)
		assert.Zero(t, c)
		_, _, c = set(t, q, with(channels, "push_address", "rtmp://2.example/trtc_1/"))
		assert.Equal(t, 400004, c)
		_, _, c = set(t, q, push("a", "rtmp://2.example/live", "k"))
		assert.Zero(t, c, "other platforms are free")
	})
}

func TestQueryPushIsStrict(t *testing.T) {
	p := start(t, sandbox.Config{})
	id := p.create(nil)["meeting_id"].(string)
	for query, want := range map[string]int{
		"operator_id=operator&operator_id_type=1&instanceid=1":          0,
		"userid=operator&instanceid=1":                                  190004,
		"operator_id=operator&instanceid=1":                             190004,
		"operator_id=operator&operator_id_type=2&instanceid=1":          190004,
		"operator_id=operator&operator_id_type=1":                       190004,
		"operator_id=operator&operator_id_type=1&instanceid=1&x=1":      190004,
		strings.Repeat("operator_id=operator&operator_id_type=1&", 2):   190004,
		"operator_id=stranger&operator_id_type=1&instanceid=1":          190001,
		"operator_id=operator&operator_id_type=1&instanceid=abc":        190004,
		"operator_id=operator&operator_id_type=1&instanceid=1000000000": 190004,
	} {
		_, answer := p.tencent(http.MethodGet, "/v1/meetings/"+id+"/live-play/push-stream-info?"+query, nil)
		assert.Equal(t, want, code(answer), query)
	}
}
