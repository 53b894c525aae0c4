package grammar

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"meetbot/config/near"
	"meetbot/meeting"
)

// Doubt is why a topic may be none: something else seems to have been meant. The person is
// asked before anything is created, and one click goes on.
type Doubt string

const (
	DoubtWord Doubt = "word" // a command's word, misspelt or of another program
	DoubtTime Doubt = "time" // a time: meetings begin now
)

// doubt finds out whether a topic may be none, and which verb was meant. Only what nobody
// calls a meeting is doubted.
func (p *Parser) doubt(topic []token) (Doubt, Verb) {
	if len(topic) == 0 || slices.ContainsFunc(topic, func(t token) bool { return t.quoted }) {
		return "", ""
	}
	if v, rest := p.meet.verb(topic); v != nil && v.argument(1) != nil && v.argument(1).Kind == KindMeeting && len(rest) > 0 {
		if nearlyNumber(phrase(rest).text) {
			return DoubtWord, v.Verb
		}
	}
	if v, rest := p.meet.verb(topic); v != nil && v.Verb == VerbSettings && len(rest) == 2 && len(rest[0].raw) > len("to") && p.flags[v][strings.ToLower(rest[0].raw)] != nil {
		return DoubtWord, v.Verb // an option without its dashes
	}
	if len(topic) == 1 {
		if v := p.nearMeetVerb(topic[0].raw); v != "" {
			return DoubtWord, v
		}
	}
	if isTime(phrase(topic).text) {
		return DoubtTime, ""
	}
	return "", ""
}

// Begun returns the verb of meet with whose word a topic begins, if that verb takes a meeting, and
// what follows the word: the topic of a meeting that is there already, or a part of this one.
func Begun(topic string) (verb Verb, rest string) {
	longest := 0
	for i := range commandDeclarations {
		v := &commandDeclarations[i]
		if at := v.argument(1); v.Command != commandMeet || at == nil || at.Kind != KindMeeting {
			continue
		}
		for _, word := range append([]string{v.Name}, v.Aliases...) {
			first, _ := utf8.DecodeRuneInString(word)
			if len(word) > longest && len(topic) > len(word) && strings.EqualFold(topic[:len(word)], word) && (first >= '一' || topic[len(word)] == ' ') {
				longest, verb, rest = len(word), v.Verb, strings.TrimSpace(topic[len(word):])
			}
		}
	}
	return verb, rest
}

// nearlyNumber reports whether a word is mostly digits, or a number that is no year.
func nearlyNumber(s string) bool {
	if d, ok := meeting.Digits(s); ok {
		return len(d) != len("2026")
	}
	digits := 0
	for _, r := range s {
		if '0' <= r && r <= '9' {
			digits++
		}
	}
	return digits >= 6 && digits*5 >= utf8.RuneCountInString(s)*3
}

// others are words that other programs have for what a verb does.
var others = map[string]Verb{
	"-h": VerbMeetHelp, "-?": VerbMeetHelp, "-help": VerbMeetHelp, "/h": VerbMeetHelp, "/?": VerbMeetHelp, "/help": VerbMeetHelp, "--h": VerbMeetHelp, "usage": VerbMeetHelp,
	"stop": VerbMeetEnd, "cancel": VerbMeetEnd, "quit": VerbMeetEnd, "exit": VerbMeetEnd, "delete": VerbMeetEnd, "kill": VerbMeetEnd,
	"停止": VerbMeetEnd, "取消": VerbMeetEnd, "关闭": VerbMeetEnd, "退出": VerbMeetEnd, "取消会议": VerbMeetEnd, "关闭会议": VerbMeetEnd, "停止会议": VerbMeetEnd, "删除": VerbMeetEnd,
	"join": VerbMeetList, "ls": VerbMeetList, "status": VerbMeetList, "加入": VerbMeetList, "加入会议": VerbMeetList, "入会": VerbMeetList, "查看": VerbMeetList, "状态": VerbMeetList,
	"config": VerbSettings, "configure": VerbSettings, "preferences": VerbSettings, "配置": VerbSettings, "设定": VerbSettings, "設置": VerbSettings, "設定": VerbSettings,
	"帮忙": VerbMeetHelp, "使用说明": VerbMeetHelp, "用法": VerbMeetHelp,
}

// nearMeetVerb returns the verb of meet that a single word was meant for. A letter too many,
// one too few or two that are swapped are a slip; another letter, or the plural, makes a word.
func (p *Parser) nearMeetVerb(word string) Verb {
	word = strings.ToLower(word)
	if v, ok := others[word]; ok {
		return v
	}
	if len(word) > 12 {
		return ""
	}
	for i := range commandDeclarations {
		v := &commandDeclarations[i]
		if v.Command != commandMeet || len(v.Name) < 3 || word == v.Name+"s" || word == "from" {
			continue
		}
		swapped := len(word) == len(v.Name) && sorted(word) == sorted(v.Name)
		if near.Distance(word, v.Name) == 1 && (swapped || len(v.Name) > 3 && len(word) != len(v.Name)) {
			return v.Verb
		}
	}
	return ""
}

func sorted(s string) string {
	b := []byte(s)
	slices.Sort(b)
	return string(b)
}

var (
	enDay   = regexp.MustCompile(`(?i)\b(today|tonight|tomorrow|tmrw|(mon|tues|wednes|thurs|fri|satur|sun)day|next week)\b`)
	enClock = regexp.MustCompile(`(?i)\b(\d{1,2}(:[0-5]\d)?\s?[ap]\.?m\b|([01]?\d|2[0-3]):[0-5]\d\b|at \d{1,2}\b|noon\b|midnight\b)`)
	enAt    = regexp.MustCompile(`(?i)\bat \d{1,2}(:[0-5]\d|\s?[ap]\.?m\b)|^in (\d{1,3}|an?|half an) (min|minutes?|mins|h|hrs?|hours?)$`)
	enPlan  = regexp.MustCompile(`(?i)^(schedule|book|plan|arrange|remind( me)?)\b`)
	zhDay   = regexp.MustCompile(`今天|明天|后天|今晚|明晚|明早|下?(周|星期|礼拜)[一二三四五六日天]|\d{1,2}月\d{1,2}[日号]`)
	zhClock = regexp.MustCompile(`([0-9０-９]{1,2}|[一二两三四五六七八九十]{1,3})(点|时|[:：][0-5]\d)`)
	zhPart  = regexp.MustCompile(`(上午|下午|晚上|早上|中午|凌晨|傍晚)([0-9０-９]{1,2}|[一二两三四五六七八九十]{1,3})(点|时|[:：])`)
)

// isTime reports whether a topic says when, and not only what: a day with a time of it.
func isTime(s string) bool {
	return enDay.MatchString(s) && enClock.MatchString(s) || enAt.MatchString(s) ||
		enPlan.MatchString(s) && (enDay.MatchString(s) || enClock.MatchString(s)) ||
		zhDay.MatchString(s) && (zhClock.MatchString(s) || enClock.MatchString(s)) || zhPart.MatchString(s)
}
