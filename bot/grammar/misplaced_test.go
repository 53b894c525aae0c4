package grammar

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
)

// A push address or a stream key that is given for a meeting makes none, and is not repeated.
func TestAKeyInTheWrongCommandMakesNoMeeting(t *testing.T) {
	for _, text := range []string{
		"rtmp://live.twitch.tv/app/live_1234_CANARYX1",
		"RTMPS://live.example.com/app/CANARY",
		"rtmp：／／live.example.com/app/CANARY",
		"show <rtmp://live.example.com/app/CANARY>",
		"show (rtmp://live.example.com/app/CANARY)",
		"<rtmp://live.example.com/app/CANARY|the address> tonight",
		"`rtmp://live.example.com/app/CANARY`",
		"srt://live.example.com:9000?streamid=CANARY",
		"806 146 667 rtmp://live.example.com/app CANARY",
		"to twitch ?streamname=live_1_2&amp;key=CANARY",
		"?streamname=live_1_2&key=CANARY",
		"live.twitch.tv/app/live_1234_CANARY",
		"live_1234_CANARYX1",
		"Show live_1234_CANARYX1 --live",
		"abcd-12ef-34gh-CANARY rtmp://a.rtmp.youtube.com/live2",
		"yt ab1d-12ef-34gh-56ij",
		"stream-113456789012345678",
		"FB-1234567890-0-CANARY",
		"live.douyin.example/third/stream-113456789?expire=1&sign=CANARY",
		"--key CANARY", "--url=rtmp://x.example/app show", "—推流码 CANARY",
		"--topic rtmp://live.example.com/app/CANARY", "--host-name live_1234_CANARYX1",
		"end rtmp://live.example.com/app/CANARY",
		"rtmp%3A%2F%2Flive.example.com%2Fapp%2FCANARY", "rtmp%253A%252F%252Flive.example.com/app/CANARY", "show %6cive_1234_CANARYX1",
		"ｌｉｖｅ＿1234＿CANARYX1", "li\u200bve_1234_CANARYX1", "rtmp\u2060://live.example.com/app/CANARY", "live\u00ad_1234_CANARYX1",
		"x:rtmp://live.example.com/app/CANARY", "https://live.twitch.tv/app/live_1234_CANARYX1", "%3Fstreamname=live_1_2%26key=CANARY",
		"show (live_1234_CANARYX1)", "key:live_1234_CANARYX1", "密钥：live_1234_CANARYX1", "密钥live_1234_CANARYX1，八点", "“key live_1234_CANARYX1.”",
		"streamname=live_1_2&key=CANARY", "key=FB-1234567890-0-CANARY", "*stream-113456789012345678-CANARY*",
		"yt ab1d-12ef-34gh-56ij. CANARY", "密钥ab1d-12ef-34gh-56ij，CANARY", "(ab1d-12ef-34gh-56ij) CANARY", "`ab1d-12ef-34gh-56ij`",
		"ab1d-12ef-34gh-56ij?backup=CANARY", "Ab1d-12ef-34gh-56ij-78kl", "a.rtmp.youtube.com\\live2\\ab1d-12ef-34gh-56ij",
		"rtmp:/live.example.com/app/CANARY", "rtmp:\\\\live.example.com\\app\\CANARY", "rtmp//live.example.com/app/CANARY", "rtmps;//live.example.com/app/CANARY",
		"__rtmp://live.example.com/app/CANARY__", "rtmpts://live.example.com/app/CANARY", "rist://live.example.com:1?secret=CANARY", "whip://live.example.com/CANARY",
		"sk_us-west-2_CANARYabc123",
	} {
		typed := line("meet", "")
		typed.Place.Platform, typed.Options, typed.Text = chattest.Discord, map[string]string{"topic": text}, ""
		mention := line("meet", text)
		mention.InTheOpen = true
		shortcut := line("meet", "")
		shortcut.About = "Going live with " + text + " at eight"
		form := chat.Request{Place: typed.Place, Form: &chat.Submission{Form: formMeet, Fields: map[string]string{"topic": text}}}
		for name, r := range map[string]chat.Request{"Line": line("meet", text), "Typed": typed, "Mention": mention, "Shortcut": shortcut, "Form": form} {
			t.Run(name+"/"+text, func(t *testing.T) {
				d := both().Parse(r)
				require.Nil(t, d.Ask, "%+v", AskOf(d))
				assert.NotContains(t, fmt.Sprintf("%+v %+v", d.Reply, d.Faults), "CANARY")
				switch name {
				case "Form":
					assert.Contains(t, d.Faults["topic"], "stream key")
				case "Mention", "Shortcut":
					assert.Equal(t, "Everyone here can read that stream key", d.Reply.Title)
				default:
					assert.Equal(t, "That looks like a stream key, so I didn't create a meeting", d.Reply.Title)
					assert.Contains(t, d.Reply.Text, "/livepush")
				}
			})
		}
	}
}

func TestTopicsThatOnlyRemindOfAKeyPass(t *testing.T) {
	for _, text := range []string{
		"RTMP basics", "live_demo", "live 2026 kickoff", "stream-2 planning", "FB-ads review", "team-sync-plan-work", "What is a stream key?",
		"https://docs.example.com/?key=abc", "Q&A", "why?=because", "1234-5678", "a?b=c", "the key=value store", "2026-1129",
		"my_live_2026_show", "live-stream-20261201", "RTMP/SRT basics", "rtmp: how to", "RTMP//", "550e8400-e29b-41d4-a716-446655440000", "(team-sync-plan-work)",
		"the sk_ prefix", "whip round", "2026-1129-1130", "SYNC-2026-PLAN-2027",
	} {
		assert.NotNil(t, both().Parse(line("meet", text)).Ask, text)
	}
}

// Whoever types a key in the open has to hear that it can be read, however the address is spelt
// and in whichever option it stands.
func TestAKeyInTheOpenIsToldHoweverItIsSpelt(t *testing.T) {
	for text, exposed := range map[string]bool{
		"rtmp://live.example.com/app/CANARY":                        true,
		"rtmp:/live.example.com/app/CANARY":                         true,
		"rtmp:\\\\live.example.com\\app\\CANARY":                    true,
		"live_1234_CANARYX1":                                        true,
		"save live_1234_CANARYX1":                                   true,
		"save 主站 --name live_1234_CANARYX1":                         true,
		"to 主站 ?streamname=live_1_2&amp;key=CANARY":                 true,
		"--url live.twitch.tv/app/live_1234_CANARYX1":               true,
		"save 主站 --url rtmp://live.example.com/app":                 false,
		"save 主站 --page https://live.example.com/watch?v=ab1d-12ef": false,
		"to 主站 in 806146601":                                        false,
	} {
		r := line("livepush", text)
		r.InTheOpen = true
		d := both().Parse(r)
		said := fmt.Sprintf("%+v %+v", d.Reply, d.Faults)
		assert.NotContains(t, said, "CANARY", text)
		assert.Equal(t, exposed, d.Reply != nil && d.Reply.Title == "Everyone here can read that stream key", "%s: %s", text, said)
	}
}
