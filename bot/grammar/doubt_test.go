package grammar

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat/chattest"
)

// What looks like a command, or says when, is asked about before everybody sees a meeting.
func TestWhatLooksLikeACommandIsDoubted(t *testing.T) {
	for text, want := range map[string]Verb{
		"-h": VerbMeetHelp, "hlep": VerbMeetHelp, "helpp": VerbMeetHelp, "hep": VerbMeetHelp, "HLEP": VerbMeetHelp, "-help": VerbMeetHelp, "用法": VerbMeetHelp,
		"stop": VerbMeetEnd, "cancel": VerbMeetEnd, "edn": VerbMeetEnd, "取消": VerbMeetEnd, "停止": VerbMeetEnd,
		"join": VerbMeetList, "lsit": VerbMeetList, "lis": VerbMeetList, "加入": VerbMeetList,
		"sahre": VerbMeetShare, "form1": VerbMeetForm,
		"setings": VerbSettings, "setting": VerbSettings, "config": VerbSettings, "配置": VerbSettings, "設置": VerbSettings,
		"settings provider tencent": VerbSettings, "Settings Live on": VerbSettings, "设置 平台 腾讯会议": VerbSettings, "设置语言 中文": VerbSettings,
		"end 123": VerbMeetEnd, "结束 123": VerbMeetEnd, "结束123": VerbMeetEnd, "share 12": VerbMeetShare, "end 80614666x": VerbMeetEnd, "end 806-146-66O": VerbMeetEnd,
		"schedule tomorrow 3pm": "", "明天下午三点": "", "standup tomorrow at 9:30": "", "周五15:00评审": "", "下午3点开会": "", "book friday 10am": "", "in 10 minutes": "",
		"review at 3pm": "", "今晚八点直播": "", "12月3日 10点 评审": "", "Tuesday 9:00 sync": "",
	} {
		typed := line("meet", "")
		typed.Place.Platform, typed.Options = chattest.Discord, map[string]string{"topic": text}
		if text == "-help" || text == "-h" { // what no platform takes for an option
			typed = line("meet", text)
		}
		for name, d := range map[string]*Ask{"line": AskOf(both().Parse(line("meet", text))), "typed": AskOf(both().Parse(typed))} {
			require.NotNil(t, d, "%s %s", name, text)
			assert.Equal(t, want, d.Meant, "%s %s", name, text)
			doubt := DoubtWord
			if want == "" {
				doubt = DoubtTime
			}
			assert.Equal(t, doubt, d.Doubt, "%s %s", name, text)
		}
		assert.False(t, both().Parse(line("meet", text)).Public, text)
	}
}

// Honest topics are not asked about.
func TestHonestTopicsPass(t *testing.T) {
	topics := []string{
		"", "15:00 club", "end of sprint", "end 2026", "end to end tests", "End-of-year party", "share 806146667 with Bob", "share the plan", "Shape", "shape up",
		"Weekly sync", "standup", "Daily", "retro", "Retrospective", "1:1", "1:1 Ann / Ben", "Q3 planning", "OKR review", "All hands",
		"9am crew", "24/7 support", "9 to 5", "Nine o'clock tea", "Tomorrow's release", "Monday retro", "Friday show", "Friday beers", "Today in ops", "next week's plan",
		"lists", "shares", "forms", "helpers", "help desk sync", "helpdesk", "form follows function", "from", "heap", "held", "send", "trend", "ending", "endgame",
		"Start of the project", "start", "stop the line", "stopgap", "cancel culture", "cancellation policy", "join forces", "Joint review", "close reading", "leave policy",
		"list of risks", "listing prices", "wish list", "sharing is caring", "share price", "Market share", "friend list", "the end", "Weekend plan", "backend",
		"incident 4711", "INC-123456", "release 2.0", "v1.2.3", "404", "2026", "806146667", "sprint 12", "room 101", "PR 12345",
		"周会", "周一例会", "晨会", "项目复盘", "结束语", "结束仪式", "列表整理", "分享会", "分享技巧", "帮助中心改版",
		"明天会更好", "今天吃什么", "下午茶", "三点水偏旁研究", "一点想法", "两点建议", "取消订阅流程", "停止线评审", "加入我们宣讲", "双十一复盘",
		"表单设计", "会议制度讨论", "-5 degrees", "#general chat", "?!", "A/B test", "50% off", "Why we meet", "hello", "lunch & learn",
		"settings review", "settings to review", "settings of the office", "设置语言", "config review", "配置评审", "board meeting", "board", "看板",
		"War room", "Launch show", "面试", "年终总结", "Plan B", "book club", "remind me why", "schedule review", "Plan 2027", "in good time",
	}
	require.GreaterOrEqual(t, len(topics), 100)
	for _, text := range topics {
		d := both().Parse(line("meet", text))
		require.NotNil(t, d.Ask, "%q %+v", text, d.Reply)
		assert.Empty(t, AskOf(d).Doubt, text)
		assert.Equal(t, VerbMeet, AskOf(d).Verb, text)
		assert.True(t, d.Public, text)
	}
}

func TestATopicBegunWithAVerb(t *testing.T) {
	for topic, want := range map[string][2]string{
		"end Friday show": {"meet end", "Friday show"}, "END  x": {"meet end", "x"}, "share Friday show": {"meet share", "Friday show"},
		"结束周五秀": {"meet end", "周五秀"}, "结束会议 周五秀": {"meet end", "周五秀"}, "分享 周五秀": {"meet share", "周五秀"},
		"end": {}, "ending": {}, "weekend plans": {}, "list x": {}, "": {}, "结": {},
	} {
		verb, rest := Begun(topic)
		assert.Equal(t, want, [2]string{string(verb), rest}, topic)
	}
}
