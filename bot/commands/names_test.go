package commands

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/grammar"
	"meetbot/bot/livepush"
	"meetbot/bot/policy"
)

func TestALinkToTheKeyPageSaysWhatItIsFor(t *testing.T) {
	inWorld(t, func(c *Config) { c.Parser.KeyPage, c.KeyPageURL = true, "https://bot.example/k/" }, func(w *world) {
		w.say(ada, channel, "/meet Show --provider tencent --live")
		for line, title := range map[string]string{
			"/livepush save youtube": "Enter the stream key of youtube",
			"/livepush save 主站":      "Enter the stream key of 主站",
			"/livepush":              "Enter the stream key",
		} {
			reply := w.say(ada, channel, line)[0].Reply
			assert.Equal(t, title, reply.Title)
			if line == "/livepush" {
				assert.Equal(t, []chat.Field{{Name: "Meeting", Value: "Show"}}, reply.Fields)
				continue
			}
			require.Len(t, reply.Secrets, 1)
			assert.Contains(t, reply.Secrets[0].Name, "Enter the key of ")
		}
	})
}

func TestThePlatformIsGuessedFromTheName(t *testing.T) {
	for name, want := range map[string]string{
		"youtube": "youtube", "YouTube-2": "youtube", "bilibili 官方": "bilibili", "B站二号": "bilibili", "抖音主站": "douyin", "视频号": "wechat", "yt": "youtube",
		"主站": "generic", "myty": "generic", "other": "generic", "微信群": "generic", "live": "generic",
	} {
		assert.Equal(t, want, livepush.Guess(name).ID, name)
	}
	inWorld(t, nil, func(w *world) {
		saved := w.say(ada, channel, "/livepush save youtube --key abcd-efgh-ijkl-mnop-qrst")[0].Reply
		assert.Equal(t, "youtube is saved", saved.Title)
		assert.Contains(t, saved.Fields, chat.Field{Name: "Server", Value: "a.rtmp.youtube.com"})
		assert.Contains(t, describe(w.say(ada, channel, "/livepush save 主站 --key abcd-efgh")), "address is missing")
	})
}

func TestAnAddressThatIsSetByAnotherNameIsCalledByIt(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet Show --provider tencent --live")
		w.say(ada, channel, "/livepush --name bili --url rtmp://ingest.example.com/live --key k12345678")
		again := w.say(ada, channel, "/livepush --name bili2 --url rtmp://ingest.example.com/live --key k12345678")
		assert.Contains(t, again[0].Reply.Fields[0].Value, "already set · called “bili” there")
		other := w.say(ada, channel, "/livepush --name bili3 --url rtmp://ingest.example.com/live --key another123")
		assert.Contains(t, other[0].Reply.Fields[0].Value, "called “bili” there")
		same := w.say(ada, channel, "/livepush --name BILI --url rtmp://ingest.example.com/live --key k12345678")
		assert.NotContains(t, same[0].Reply.Fields[0].Value, "called")
	})
}

// Where no list says who may, the platform does, and its word for it is said.
func TestARefusalSaysWhatIsNeeded(t *testing.T) {
	discord := chat.Place{Platform: chattest.Discord, Team: "1", Channel: "2"}
	for _, tt := range []struct {
		name   string
		place  chat.Place
		line   string
		policy policy.Policy
		want   string
		admins int
	}{
		{name: "DiscordMeet", place: discord, line: "meet", want: "“Manage Events”"},
		{name: "DiscordPush", place: discord, line: "livepush", want: "“Manage Server”"},
		{name: "SlackMeet", place: channel, line: "meet", want: "full members"},
		{name: "AListDecides", place: discord, line: "meet", want: "don't have permission", policy: policy.Policy{Meet: []policy.Entry{}}},
		{name: "AdminsOfHereAlone", place: discord, line: "meet", want: "Manage Events", admins: 1, policy: policy.Policy{Admins: []policy.Entry{
			{Platform: chattest.Slack, Kind: chat.UserEntry, ID: "U9"}, {Platform: chattest.Discord, Kind: chat.UserEntry, ID: "7"},
		}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(c *Config) { c.Policy = tt.policy }, func(w *world) {
				reply := w.bot.Parse(w.request(mal, tt.place, chat.Request{Command: tt.line, Text: "x"})).Reply
				if tt.line == "livepush" {
					reply = w.bot.Parse(w.request(mal, tt.place, chat.Request{Command: tt.line, Text: "destinations"})).Reply
				}
				require.NotNil(t, reply)
				assert.Contains(t, reply.Text, tt.want)
				assert.Len(t, reply.Fields, tt.admins)
			})
		})
	}
}

func TestWhichOfSeveralIsAskedWithButtons(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet Show --provider tencent --live")
		w.another(ben, channel, "/meet Show --provider tencent --live")
		for _, line := range []string{"/meet end", "/livepush status", "/livepush log", "/livepush off"} {
			reply := w.say(ada, channel, line)[0].Reply
			require.Len(t, reply.Buttons, 2, line)
			assert.Equal(t, "Show · 806-146-602", reply.Buttons[0].Label, "the newest first")
			assert.Contains(t, reply.Text, "created at ", "equal names are told apart")
			again := w.do(w.bot.Parse(w.request(ada, channel, chat.Request{Action: &reply.Buttons[1].Action})), ada, channel)
			assert.NotContains(t, describe(again), "There are several", line)
		}
		typed := w.say(ada, channel, "/livepush off bili")[0].Reply
		assert.Empty(t, typed.Buttons, "a button would switch off something else")
		assert.Contains(t, typed.Text, "with a meeting number")
	})
}

func TestACardOfAMeetingThatIsOverSpeaksOfThePast(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		made := w.onAir(1)
		over := w.press(ada, channel, made, grammar.VerbEndYes)
		var names []string
		for _, f := range find(t, over, chat.SlotEdit).Reply.Fields {
			names = append(names, f.Name)
		}
		assert.Contains(t, names, "Was pushed to")
		assert.NotContains(t, names, "Pushed to")
		assert.Contains(t, describe(w.say(ada, channel, "/livepush --name b --url rtmp://ingest.example.com/live --key k12345678 806146601")), "is over")
	})
}

func TestTheThreadSaysWhichOptionsWereAskedFor(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		thread := find(t, w.say(ada, channel, "/meet Show --provider systec --duration 90 --record cloud --no-mute --capacity 25"), chat.SlotThread).Reply
		assert.Contains(t, thread.Fields, chat.Field{Name: "Options", Value: "90 min · Capacity: 25 · Recording: In the cloud · Mute on entry: No"})
		for _, f := range find(t, w.say(ada, channel, "/meet Another"), chat.SlotThread).Reply.Fields {
			assert.NotEqual(t, "Options", f.Name, "nothing was")
		}
	})
}

func TestAMeetingThatIsNamedAfterAVerbIsMeant(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet end Friday show")
		require.Equal(t, 1, w.systec.created, "no such meeting is here")
		w.say(ada, channel, "/meet Friday show --provider tencent")
		for line, command := range map[string]string{"end friday show": "/meet end 806-146-601", "share Friday show": "/meet share 806-146-601", "结束Friday show": "/meet end 806-146-601"} {
			posts := w.say(ada, channel, "/meet "+line)
			asked := find(t, posts, chat.SlotPrivate)
			assert.Equal(t, "I haven't created anything yet. Did you mean "+command+"?", asked.Reply.Text)
			assert.Equal(t, 2, w.systec.created+w.tencent.created, line)
			require.Len(t, asked.Reply.Buttons, 1)
			assert.Equal(t, "End the meeting?", w.say(ada, channel, "/meet end 806-146-601")[0].Reply.Title, "what it says works")
		}
		posts := w.say(ada, channel, "/meet end Friday show --provider tencent")
		find(t, w.press(ada, channel, posts, grammar.VerbCreateAnyway), chat.SlotRoot)

		w.say(ada, channel, "/meet Friday show --provider systec")
		again := find(t, w.say(ada, channel, "/meet end Friday show --duration 60"), chat.SlotPrivate)
		assert.Contains(t, again.Reply.Text, "Did you mean /meet end?", "which lists both")
	})
}

// A person chooses their own display name, and everybody reads it: in the topic of a meeting, on
// its card on another platform, in the log of a channel.
func TestADisplayNameTurnsNothingAround(t *testing.T) {
	const hidden = "\u202e\x1b[31mAda\u200b\u2066 L\u2028ovelace\ufeff"
	for name, given := range map[string]string{"WithTheEvent": hidden, "LookedUp": ""} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				who := ada
				who.Name = given
				w.bot.Attach(chattest.Slack, lobby{w.room, map[string]chat.Profile{"U1": {Name: hidden, Locale: "en", Rights: ada.Rights}}})
				for _, line := range []string{"/meet --provider tencent --live", "/meet <@U1> and the others", "/livepush save tw --url rtmp://live.example.com/app --key canary-key", "/livepush to tw", "/livepush log", "/meetings list", "/livepush status"} {
					for _, p := range w.say(who, channel, line) {
						raw, err := json.Marshal(p.Reply)
						require.NoError(t, err)
						for _, r := range []string{"\u202e", "\u2066", "\u200b", "\ufeff", `\u202e`, `\u2066`, `\u200b`, `\ufeff`, `\u001b`, `\u2028`} {
							assert.NotContains(t, string(raw), r, line)
						}
					}
				}
				for _, m := range w.tencent.meetings {
					assert.NotContains(t, m.Topic, "\u202e")
				}
			})
		})
	}
}
