package grammar

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/texts"
)

var renamed = chat.Kind{Name: "renamed", Commands: map[string]string{"meet": "/livemeet", "livepush": "/lp"}}

func TestCommandsAreWrittenAsThePlatformTakesThem(t *testing.T) {
	typed := chattest.Kinds().Of(chattest.Discord)
	for _, tt := range []struct {
		kind   chat.Kind
		locale string
		want   []string
	}{
		{chattest.Kinds().Of(chattest.Slack), "en", []string{
			"/meet", "/livepush to bili", "/livepush save NAME", "/livepush destinations", "/meet --provider tencent --live", "--no-mute", "--url rtmp://a", "/meet help",
		}},
		{renamed, "zh-CN", []string{
			"/livemeet", "/lp to bili", "/lp save NAME", "/lp destinations", "/livemeet --provider tencent --live", "--no-mute", "--url rtmp://a", "/livemeet help",
		}},
		{typed, "en", []string{
			"/meet", "/livepush to:bili", "/destinations save name:NAME", "/destinations list", "/meet provider:tencent live:True", "mute:False", "url:rtmp://a", "/meet",
		}},
		{typed, "zh-CN", []string{
			"/会议", "/推流 推流到:bili", "/推流目标 保存 名称:NAME", "/推流目标 列表", "/会议 会议平台:tencent 直播:True", "入会静音:False", "推流地址:rtmp://a", "/会议",
		}},
	} {
		w := words{tt.kind, texts.For(tt.locale)}
		assert.Equal(t, tt.want, []string{
			w.Command("meet").(string), w.Command("livepush to", "bili").(string), w.Command("livepush save", "NAME").(string),
			w.Command("livepush destinations").(string), w.Command("meet", w.Option("provider", "tencent"), w.Option("live")).(string),
			string(w.Option("no-mute").(option)), string(w.Option("url", "rtmp://a").(option)), w.Command("meet help").(string),
		}, "%s in %s", tt.kind.Name, tt.locale)
	}
}

// TestEveryTextNamesWhatThePlatformHas says every text on every kind of platform, and looks
// for commands and options that people there do not have.
func TestEveryTextNamesWhatThePlatformHas(t *testing.T) {
	command := regexp.MustCompile(`(?:^|[^\pL\pN.:/])(/[\pL-]+)`)
	flag := regexp.MustCompile(`(?:^|[^\w-])--[a-z]`)
	placeholder := regexp.MustCompile(`(?:{{| )\.(\w+)`)
	said := 0
	for _, kind := range append(chattest.Kinds(), renamed) {
		for _, locale := range texts.Locales {
			text := Text(kind, locale)
			var known []string
			for _, d := range commandDeclarations {
				known = append(known, strings.Fields(text.Command(d.Line()))[0])
			}
			for id, source := range sources(t, locale) {
				var pairs []any
				for _, m := range placeholder.FindAllStringSubmatch(source, -1) {
					if m[1] != "Here" {
						pairs = append(pairs, m[1], "X")
					}
				}
				if strings.Contains(source, ".Here.") {
					said++
				}
				got := text.T(id, pairs...)
				assert.NotEqual(t, id, got, "%s on %s", id, kind.Name)
				assert.NotContains(t, got, "<no value>", id)
				for _, m := range command.FindAllStringSubmatch(got, -1) {
					assert.True(t, slices.Contains(known, m[1]) || id == "slack.invite", "%s on %s names %s", id, kind.Name, m[1])
				}
				if kind.Typed {
					assert.NotRegexp(t, flag, got, "%s on %s", id, kind.Name)
				}
			}
		}
	}
	assert.Greater(t, said, 100, "the texts were not found")
}

// sources returns the texts of one language as they are written.
func sources(t *testing.T, locale string) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../texts/*." + locale + ".json")
	require.NoError(t, err)
	all := map[string]string{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, &all))
	}
	require.NotEmpty(t, all)
	return all
}

// TestAnUnknownCommandIsAnsweredWithThoseOfThePlatform: where a registration is old.
func TestAnUnknownCommandIsAnsweredWithThoseOfThePlatform(t *testing.T) {
	d := both().Parse(chat.Request{Command: "meting", Options: map[string]string{}, Place: chat.Place{Platform: chattest.Discord}})
	require.NotNil(t, d.Reply)
	var names []string
	for _, f := range d.Reply.Fields {
		names = append(names, f.Name)
	}
	assert.Contains(t, names, "/destinations save")
	assert.NotContains(t, names, "/livepush save")
	assert.NotContains(t, d.Reply.Note, "help")
}
